"""Run the training loop in the plugin's environment, in a folder that it can go on in."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from chronotick.errors import ConfigError, PluginError
from chronotick.plugins.child_environ import child_environ
from chronotick.plugins.environment import check_environment, sdk_version
from chronotick.plugins.manifest import Manifest
from chronotick.sdk.tune import FAULTED, INTERRUPTED, Job, Told
from chronotick.tuning.examples import Examples
from chronotick.wire.launch import Launch

# A loop that was told to stop finishes its step and writes its state, s.
_STOP_S: Final = 60.0
_SAID: Final = 20


def prepare(folder: Path, job: Job, asked: dict[str, Any], made: Examples) -> bool:
    """Fill the folder of a run, or find that it is there already. True: there is something to go on from.

    Args:
        asked: all that the run depends on; a folder of another run is not gone on in.

    Raises:
        ConfigError: it is another run's.
    """
    wanted = json.loads(json.dumps(asked))
    if (folder / "asked.json").exists():
        if json.loads((folder / "asked.json").read_text()) != wanted:
            raise ConfigError(
                f"{folder} is of a run with other options or another history.", mend="Delete it, or use another --out."
            )
        return (folder / "progress.json").exists()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    np.savez(folder / "windows.npz", context=made.context, future=made.future, held=made.held)
    (folder / "job.json").write_bytes(msgspec.json.encode(job))
    # Last: a folder with it is whole.
    (folder / "asked.part").write_text(json.dumps(wanted))
    (folder / "asked.part").replace(folder / "asked.json")
    return False


def demand_trainable(manifest: Manifest) -> None:
    """Raises:
    PluginError: the plugin can not be trained, or its environment is not sound.
    """
    if not manifest.training.module:
        raise PluginError(f"The plugin {manifest.name} can not be trained.", mend="Chronos-Bolt and TTM can.")
    if problem := check_environment(manifest, sdk_version()):
        raise PluginError(problem.sentence, mend=problem.mend)


def learn(manifest: Manifest, folder: Path, job: Job, told: Callable[[Told], None]) -> None:
    """Train to the end. Ctrl-C ends the loop after its step, and the same call goes on from there.

    Raises:
        PluginError: the loop failed, with its sentence.
        KeyboardInterrupt: it was stopped.
    """
    launch = Launch(endpoint="", log_level="warning")
    environ = child_environ(os.environ, manifest, launch, job.threads) | {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    words = [str(manifest.python), "-I", "-W", "ignore", "-m", manifest.training.module, str(folder)]
    with (folder / "stderr.log").open("ab") as log:
        process = subprocess.Popen(
            words, env=environ, cwd=manifest.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log
        )
    fault = Told()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            one = msgspec.json.decode(line, type=Told)
            if one.fault:
                fault = one
            else:
                told(one)
        code = process.wait()
    except KeyboardInterrupt:
        # A terminal has told the loop as well; a plain kill has not.
        process.send_signal(signal.SIGINT)
        process.wait(_STOP_S)
        raise
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    if code == FAULTED:
        raise PluginError(fault.fault, mend=fault.mend or None)
    if code:
        said = (folder / "stderr.log").read_text(errors="replace").splitlines()[-_SAID:]
        raise PluginError(f"Training ended with exit code {code}: {said[-1] if said else 'it said nothing'}.")

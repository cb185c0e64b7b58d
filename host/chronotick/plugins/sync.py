"""`chronotick plugins sync`: build the environments of several plugins, one after the other."""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from chronotick.errors import PluginError
from chronotick.plugins.build import Build, Progress, SyncResult
from chronotick.plugins.discovery import discover
from chronotick.plugins.environment import check_environment, sdk_version
from chronotick.plugins.manifest import Manifest
from chronotick.plugins.torch_source import TorchChoice
from chronotick.plugins.uv import Runner, find_uv, run_command

__all__ = ["Progress", "SyncResult", "sync"]


def sync(
    names: Sequence[str] = (),
    *,
    torch: TorchChoice | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    manifests: Sequence[Manifest] | None = None,
    force: bool = False,
    environ: Mapping[str, str] = os.environ,
    runner: Runner = run_command,
    uv: str | None = None,
) -> tuple[SyncResult, ...]:
    """Build the environments of these plugins (all that are found, for none), one after the other.

    One that fails does not keep the others from being built; its result says why. Ctrl-C ends the whole and leaves
    nothing that looks finished.

    Args:
        torch: where torch comes from; None for the usual chain (see `torch_source`).
        force: build healthy ones anew, too.
        runner, uv: replaced in tests.

    Raises:
        PluginError: a name is not known, or uv was not found.
    """
    if manifests is None:
        found = discover(environ)
        manifests = [found.find(name) for name in names] if names else found.manifests
    program = uv or find_uv(environ)
    return tuple(_sync_one(manifest, torch, progress, force, environ, runner, program) for manifest in manifests)


def _sync_one(
    manifest: Manifest,
    torch: TorchChoice | None,
    progress: Callable[[Progress], None],
    force: bool,
    environ: Mapping[str, str],
    runner: Runner,
    uv: str,
) -> SyncResult:
    build = Build(manifest, torch, progress, environ, runner, uv)
    try:
        if manifest.environment.kind == "host":
            return build.result(ok=True, built=False, sentence=f"{manifest.name} runs with the host's own interpreter.")
        with _exclusive(manifest):
            if not force and check_environment(manifest, sdk_version()) is None:
                return build.result(ok=True, built=False, sentence=f"The environment of {manifest.name} is up to date.")
            build.run()
        return build.result(ok=True, built=True, sentence=f"The environment of {manifest.name} is ready.")
    except PluginError as error:
        return build.result(ok=False, built=True, sentence=str(error))
    except OSError as error:
        return build.result(ok=False, built=True, sentence=f"The environment of {manifest.name}: {error}.")


@contextmanager
def _exclusive(manifest: Manifest) -> Iterator[None]:
    """Keep two builds of one environment apart."""
    handle = os.open(manifest.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PluginError(
                f"Another process builds the environment of {manifest.name} right now.", mend="Wait for it."
            ) from None
        yield
    finally:
        os.close(handle)

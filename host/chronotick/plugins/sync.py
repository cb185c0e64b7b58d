"""`chronotick plugins sync`: build the environments of several plugins, some of them at the same time."""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager

from chronotick.errors import PluginError
from chronotick.plugins.build import Build, Progress, SyncResult
from chronotick.plugins.discovery import discover
from chronotick.plugins.environment import check_environment, sdk_version
from chronotick.plugins.manifest import Manifest
from chronotick.plugins.torch_source import TorchChoice
from chronotick.plugins.uv import Runner, find_uv, run_command

__all__ = ["Progress", "SyncResult", "sync"]

# Builds at the same time. Five environments from a warm cache, on two cores with other work: 156 s one after the
# other, 117 s two at a time, for the same 62 s of CPU: the rest is waiting for the disk.
JOBS = 2


class _Stopped(BaseException):
    """Unwinds a build whose company is being ended; not an error of its own."""


def sync(
    names: Sequence[str] = (),
    *,
    torch: TorchChoice | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
    manifests: Sequence[Manifest] | None = None,
    force: bool = False,
    jobs: int = JOBS,
    environ: Mapping[str, str] = os.environ,
    runner: Runner = run_command,
    uv: str | None = None,
) -> tuple[SyncResult, ...]:
    """Build the environments of these plugins (all that are found, for none).

    One that fails does not keep the others from being built; its result says why. Ctrl-C ends the whole and leaves
    nothing that looks finished.

    Args:
        torch: where torch comes from; None for the usual chain (see `torch_source`).
        force: build healthy ones anew, too, from nothing.
        jobs: builds at the same time.
        progress: told by one build at a time.
        runner, uv: replaced in tests.

    Returns:
        A result for each plugin, in their order.

    Raises:
        PluginError: a name is not known, or uv was not found.
    """
    if manifests is None:
        found = discover(environ)
        manifests = [found.find(name) for name in names] if names else found.manifests
    program = uv or find_uv(environ)
    stopping, turn = threading.Event(), threading.Lock()

    def tell(said: Progress) -> None:
        # Called twice a second at the least, and unwinding from here ends the program that the build runs.
        if stopping.is_set():
            raise _Stopped
        with turn:
            progress(said)

    def build(manifest: Manifest) -> SyncResult:
        return _sync_one(manifest, torch, tell, force, environ, runner, program)

    if jobs == 1 or len(manifests) < 2:
        return tuple(build(manifest) for manifest in manifests)
    with ThreadPoolExecutor(jobs, thread_name_prefix="sync") as pool:
        building = [pool.submit(build, manifest) for manifest in manifests]
        try:
            for done in wait(building, return_when=FIRST_EXCEPTION).done:
                done.result()
            return tuple(one.result() for one in building)
        finally:
            stopping.set()
            pool.shutdown(cancel_futures=True)


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
            build.run(fresh=force)
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

"""Fine-tuning inside a plugin's environment: the loop that every trainable model shares.

`chronotick train` writes a folder and starts `python -m chronotick_NAME.tuning FOLDER` on it:

    job.json      a `Job`
    windows.npz   context (n, points) and future (n, horizon), scaled, NaN where nothing is known; held (n,) bool

What it gets back: lines of JSON on standard output (`Told`), `state.npz` and `progress.json` to go on from, and `best`,
the weights with the smallest loss on the held windows. Batch, signs and cuts of a step depend on the seed and the step
alone, so that a run that was stopped goes on as if it had not been.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.errors import ProtocolError
from chronotick.sdk.errors import PluginFault
from chronotick.sdk.forecaster import Params
from chronotick.wire.messages import Scalar

INTERRUPTED: Final = 130
FAULTED: Final = 3
# The learning rate rises over this share of the steps and then falls to zero.
_RISE: Final = 0.05
# One in so many windows loses a part of its past, so that the model stays able to answer for a young host.
_CUT_SHARE: Final = 0.2
_LEAST_POINTS: Final = 24
# What is held is looked at in pieces of this many windows, and in no more than so many windows in all.
_PIECE: Final = 64
_MOST_HELD: Final = 512
# State is kept at least this often, s.
_KEEP_S: Final = 30.0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What to do.

    Attributes:
        params: of the plugin: path, repo, size, revision, device, as in the configuration.
        steps, batch, lr: number of steps, windows in each, and the highest learning rate.
        every: held windows are looked at after so many steps.
        seed: of the order of windows, and of what the model itself draws.
        threads: for computing.
    """

    params: dict[str, Scalar] = {}
    steps: int = 600
    batch: int = 32
    lr: float = 1e-4
    every: int = 50
    seed: int = 1
    threads: int = 1


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One line of progress.

    Attributes:
        step: done so far.
        loss: mean over the steps since the last line; None where there were none.
        held: loss on the held windows.
        first: the same before any step.
        best: the smallest so far, and at which step.
        fault: why it ended, with what to do about it; empty for not.
    """

    step: int = 0
    loss: float | None = None
    held: float | None = None
    first: float | None = None
    best: float | None = None
    best_step: int = 0
    fault: str = ""
    mend: str = ""


class Tuner(Protocol):
    """A model that can be trained. Windows are in units of their own spread, as a request's are."""

    def step(self, context: NDArray[np.float32], future: NDArray[np.float32], lr: float, seed: int) -> float:
        """One step of the optimiser on (n, points) and (n, horizon); its loss."""
        ...

    def loss(self, context: NDArray[np.float32], future: NDArray[np.float32]) -> float:
        """The loss without learning."""
        ...

    def state(self) -> dict[str, NDArray[Any]]:
        """All that the next step depends on."""
        ...

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Be as when `state` was taken."""
        ...

    def save(self, folder: Path) -> None:
        """Write a checkpoint that the plugin itself can load: config.json and safetensors."""
        ...


Open = Callable[[Params], Tuner]
"""Loads the weights that the parameters name. Raises what `sdk.errors` offers."""


def main(open_tuner: Open) -> None:
    """Run the job in the folder on the command line, to its end or to SIGINT or SIGTERM, and exit."""
    # Libraries print what they like; only `Told` goes to standard output.
    told, sys.stdout = sys.stdout, sys.stderr
    stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: stop.append(number))

    def tell(one: Told) -> None:
        told.write(msgspec.json.encode(one).decode() + "\n")
        told.flush()

    folder = Path(sys.argv[1])
    job = msgspec.json.decode((folder / "job.json").read_bytes(), type=Job)
    os.environ.setdefault("OMP_NUM_THREADS", str(job.threads))
    try:
        tuner = open_tuner(Params(values=job.params, seed=job.seed, threads=job.threads))
        done = tune(tuner, job, folder, tell, lambda: bool(stop))
    except PluginFault as fault:
        tell(Told(fault=fault.message, mend=fault.mend or ""))
        raise SystemExit(FAULTED) from fault
    except ProtocolError as error:
        tell(Told(fault=error.message))
        raise SystemExit(FAULTED) from error
    raise SystemExit(0 if done else INTERRUPTED)


def tune(
    tuner: Tuner, job: Job, folder: Path, tell: Callable[[Told], None], stopped: Callable[[], bool] = lambda: False
) -> bool:
    """Train, from the beginning or from where `folder` says it was stopped. False: it was stopped again."""
    with np.load(folder / "windows.npz") as data:
        context, future, held = data["context"], data["future"], data["held"]
    learn = np.flatnonzero(~held)
    judge = np.flatnonzero(held)
    judge = judge[np.linspace(0, len(judge) - 1, min(len(judge), _MOST_HELD)).astype(int)]
    at = _resume(tuner, folder)
    if at is None:
        first = _held_loss(tuner, context[judge], future[judge])
        at = Told(held=first, first=first, best=first)
        _keep_best(tuner, folder)
        _keep(tuner, at, folder)
    tell(at)
    losses: list[float] = []
    kept_s = time.monotonic()
    while at.step < job.steps:
        if stopped():
            _keep(tuner, at, folder)
            return False
        rng = np.random.default_rng([job.seed, at.step])
        rows = rng.choice(learn, job.batch, replace=len(learn) < job.batch)
        lr = job.lr * _rate((at.step + 1) / job.steps)
        losses.append(tuner.step(*augmented(context[rows], future[rows], rng), lr, job.seed * 1_000_003 + at.step))
        at = msgspec.structs.replace(at, step=at.step + 1, loss=None)
        if at.step % job.every == 0 or at.step == job.steps:
            loss = _held_loss(tuner, context[judge], future[judge])
            at = msgspec.structs.replace(at, loss=float(np.mean(losses)), held=loss)
            losses = []
            if at.best is None or loss < at.best:
                at = msgspec.structs.replace(at, best=loss, best_step=at.step)
                _keep_best(tuner, folder)
                _keep(tuner, at, folder)
            tell(at)
        if time.monotonic() - kept_s > _KEEP_S or at.step == job.steps:
            _keep(tuner, at, folder)
            kept_s = time.monotonic()
    return True


def augmented(
    context: NDArray[np.float32], future: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A random sign for each window, and for some a shorter past; scaled again where it was cut.

    A clock that runs fast in a pattern is as likely as one that runs slow in it.
    """
    n, points = context.shape
    sign = np.where(rng.random((n, 1)) < 0.5, -1.0, 1.0).astype(np.float32)
    length = np.exp(rng.uniform(np.log(min(_LEAST_POINTS, points)), np.log(points), (n, 1)))
    cut = (rng.random((n, 1)) < _CUT_SHARE) & (np.arange(points) < points - length)
    # Never so much that nothing is left: what follows divides by its spread.
    cut &= np.isfinite(np.where(cut, np.nan, context)).sum(1, keepdims=True) >= 8
    context = np.where(cut, np.nan, context * sign)
    mean = np.nanmean(context, 1, keepdims=True)
    scale = np.nanstd(context, 1, keepdims=True) + 1e-6
    return ((context - mean) / scale).astype(np.float32), ((future * sign - mean) / scale).astype(np.float32)


def _rate(done: float) -> float:
    return min(done / _RISE, (1.0 - done) / (1.0 - _RISE) + 1e-3)


def _held_loss(tuner: Tuner, context: NDArray[np.float32], future: NDArray[np.float32]) -> float:
    pieces = [slice(i, i + _PIECE) for i in range(0, len(context), _PIECE)]
    sizes = [len(context[piece]) for piece in pieces]
    return float(np.average([tuner.loss(context[piece], future[piece]) for piece in pieces], weights=sizes))


def _resume(tuner: Tuner, folder: Path) -> Told | None:
    try:
        at = msgspec.json.decode((folder / "progress.json").read_bytes(), type=Told)
        with np.load(folder / f"state-{at.step}.npz") as state:
            tuner.restore({name: state[name] for name in state.files})
    except FileNotFoundError:
        return None
    return at


def _keep(tuner: Tuner, at: Told, folder: Path) -> None:
    """State first, then the word that it is there; what was before goes last."""
    with (folder / "state.part").open("wb") as file:
        np.savez(file, **tuner.state())  # type: ignore[arg-type]
    (folder / "state.part").replace(folder / f"state-{at.step}.npz")
    (folder / "progress.part").write_bytes(msgspec.json.encode(at))
    (folder / "progress.part").replace(folder / "progress.json")
    for old in folder.glob("state-*.npz"):
        if old.name != f"state-{at.step}.npz":
            old.unlink()


def _keep_best(tuner: Tuner, folder: Path) -> None:
    shutil.rmtree(folder / "best.part", ignore_errors=True)
    tuner.save(folder / "best.part")
    shutil.rmtree(folder / "best", ignore_errors=True)
    (folder / "best.part").rename(folder / "best")

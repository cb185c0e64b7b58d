"""A training run from its histories to its verdict."""

import contextlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.backtest.models import PluginModels
from chronotick.backtest.trace import Trace
from chronotick.config.schema import PluginConfig, RoleConfig
from chronotick.errors import ConfigError
from chronotick.plugins.manifest import Manifest
from chronotick.sdk import weights
from chronotick.sdk.tune import Job, Told
from chronotick.tuning.examples import Examples, Origin, examples, join
from chronotick.tuning.judge import TUNED, UNTUNED, errors_s, model_errors_s, table, verdict
from chronotick.tuning.learn import learn, prepare

Progress = Callable[[str, float], None]
"""What is being done, and the share of it."""

# Fewer windows teach nothing and prove nothing.
LEAST_LEARNED: Final = 64
LEAST_HELD: Final = 8
LEAST_JUDGED: Final = 16
# More origins of one history say the same again.
_MOST_JUDGED: Final = 800


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for.

    Attributes:
        weights: folder of the checkpoint to begin with; "" for the plugin's own.
        work: folder of the run, in which it can go on.
        train_share: share of each history that is learned from.
        horizons_s: that the report is about.
    """

    manifest: Manifest
    weights: str
    role: RoleConfig
    job: Job
    work: Path
    train_share: float
    horizons_s: tuple[float, ...]


def train(plan: Plan, traces: Sequence[Trace], progress: Progress) -> dict[str, Any]:
    """Run, or go on with, a training; the body of its report. The weights are in `plan.work / "best"`.

    Raises:
        ConfigError: the histories are too short. PluginError: the plugin can not be run or trained.
    """
    made = [
        examples(trace, plan.role, train_share=plan.train_share, progress=_part(progress, f"windows of {trace.name}"))
        for trace in traces
    ]
    whole = join(made)
    _demand_enough(whole, plan.role)
    asked = {
        "plugin": plan.manifest.name,
        "weights": plan.weights,
        "job": msgspec.to_builtins(plan.job),
        "role": msgspec.to_builtins(plan.role),
        "train_share": plan.train_share,
        "histories": [
            [trace.name, len(trace.fixes), trace.fixes[0].raw_ns, trace.fixes[-1].theta_ns] for trace in traces
        ],
    }
    prepare(plan.work, plan.job, asked, whole)
    last = Told()

    def told(one: Told) -> None:
        nonlocal last
        last = one
        loss = "" if one.held is None else f", loss {one.held:.4f}"
        progress(f"training{loss}", one.step / plan.job.steps)

    learn(plan.manifest, plan.work, plan.job, told)
    errors = _judged(plan, traces, made, progress)
    found = verdict(errors[UNTUNED], errors[TUNED])
    return {
        "plugin": plan.manifest.name,
        "verdict": msgspec.to_builtins(found),
        "horizons": table(errors, plan.horizons_s),
        "judged": {
            "share": 1.0 - plan.train_share,
            "origins": len(errors[TUNED]),
            "independent_truth": all(trace.independent for trace in traces),
        },
        "windows": {
            "learned": whole.learned,
            "held": int(whole.held.sum()),
            "step_s": plan.role.step_s,
            "points": plan.role.context,
            "horizon": plan.role.horizon,
        },
        "training": {
            "steps": plan.job.steps,
            "batch": plan.job.batch,
            "lr": plan.job.lr,
            "seed": plan.job.seed,
            "best_step": last.best_step,
            "best_loss": last.best,
            "first_loss": last.first,
        },
        "weights": {"untuned_sha256": _sha256(plan), "tuned_sha256": weights.sha256(plan.work / "best")},
        "histories": [{"name": t.name, "fixes": len(t.fixes), "poll_s": t.poll_s, "hours": _hours(t)} for t in traces],
    }


def _judged(
    plan: Plan, traces: Sequence[Trace], made: Sequence[Examples], progress: Progress
) -> dict[str, NDArray[np.float64]]:
    """Errors of all methods over all histories' held-out parts, s, shape (origins, horizons)."""
    parts: dict[str, list[NDArray[np.float64]]] = {}
    chosen = [_spread(one.origins) for one in made]
    floors = []
    for trace, origins in zip(traces, chosen, strict=True):
        plain, _ = errors_s(trace, origins, plan.horizons_s)
        floors.append(plain["floor"])
        for name, one in plain.items():
            parts.setdefault(name, []).append(one)
    for name, folder in ((UNTUNED, plan.weights), (TUNED, str(plan.work / "best"))):
        with contextlib.ExitStack() as stack:
            models = stack.enter_context(PluginModels([PluginConfig(name=plan.manifest.name, path=folder)]))
            tell = _part(progress, f"judging the {name} checkpoint")
            tell(0.0)
            models.load()

            levels = models.offered[plan.manifest.name]
            for origins, floor in zip(chosen, floors, strict=True):
                found = model_errors_s(origins, models.ask, levels, floor, plan.horizons_s, tell)
                parts.setdefault(name, []).append(found)
    return {name: np.concatenate(some) for name, some in parts.items()}


def _spread(origins: Sequence[Origin]) -> list[Origin]:
    at = np.linspace(0, len(origins) - 1, min(len(origins), _MOST_JUDGED)).astype(int)
    return [origins[i] for i in np.unique(at)]


def _demand_enough(made: Examples, role: RoleConfig) -> None:
    held = int(made.held.sum())
    if made.learned < LEAST_LEARNED or held < LEAST_HELD or len(made.origins) < LEAST_JUDGED:
        needs_h = role.step_s * (role.min_context + 4 * role.horizon) / 3600
        raise ConfigError(
            f"The history is too short: {made.learned} windows to learn from, {held} to choose by and "
            f"{len(made.origins)} to judge on; {LEAST_LEARNED}, {LEAST_HELD} and {LEAST_JUDGED} are needed.",
            mend=f"Give one of some times {math.ceil(needs_h)} h, or a smaller --step.",
        )


def _sha256(plan: Plan) -> str:
    """Of the untuned weights; "" where they are the plugin's own affair."""
    folder = Path(plan.weights) if plan.weights else _embedded(plan.manifest)
    return weights.sha256(folder) if folder is not None and folder.is_dir() else ""


def _embedded(manifest: Manifest) -> Path | None:
    found = sorted(manifest.folder.glob("src/*/weights"))
    return found[0] if manifest.weights.path == "embedded" and found else None


def _hours(trace: Trace) -> float:
    return round((trace.fixes[-1].raw_ns - trace.fixes[0].raw_ns) / 3.6e12, 2)


def _part(progress: Progress, name: str) -> Callable[[float], None]:
    return lambda share: progress(name, share)

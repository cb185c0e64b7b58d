"""`chronotick backtest`: recorded clocks through the host's own pipeline, beside what anyone could have done."""

import argparse
import contextlib
import math
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_config, add_json
from chronotick.cli.durations import duration_s
from chronotick.cli.output import duration, print_error, print_json, progress_bar, table, wrap
from chronotick.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from chronotick.backtest.models import PluginModels
    from chronotick.config.schema import Config, RoleConfig

HORIZONS: Final = "5s,60s,10m,1h"
UNSCORED: Final = (
    "A forecast is scored where there is truth that far behind a fix, after the first 40 % of a trace "
    "(30 min of a simulated one)."
)
# Figures of these come first, in this order; candidates follow.
FIRST: Final = ("chronotick", "floor", "chronyd", "hold_last", "linear", "holt", "kalman", "do_nothing")


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "backtest",
        "replay recorded clocks through the host's own pipeline and score what it would have said",
        "  chronotick backtest clock.csv\n  chronotick backtest clock.csv --models chronos --horizons 60s,1h,6h\n"
        "  chronotick backtest /var/log/chrony/measurements.log --report report\n"
        "  chronotick backtest clock.csv --models chronos,ttm --weights ttm=/models/ttm-r2 --json > result.json\n"
        "A trace is a CSV with the columns t_s, offset_s and, where known, delay_s, truth_offset_s, source; or\n"
        "chronyd's measurements.log, or ntpd's peerstats, or a host's event log. Errors are against truth_offset_s,\n"
        "else against later offsets.\n"
        "exit codes: 0 scored, 1 nothing could be scored, 78 a trace, a model or a key is wrong",
    )
    parser.add_argument("traces", nargs="+", type=Path, metavar="TRACE", help="recorded clocks")
    parser.add_argument(
        "--models",
        default="none",
        metavar="NAME,...",
        help="models to ask, or `none` (default) for the floor and the local candidates alone",
    )
    parser.add_argument(
        "--weights", action="append", default=[], metavar="NAME=FOLDER", help="weights for a model (repeatable)"
    )
    parser.add_argument(
        "--horizons", default=HORIZONS, metavar="H,...", help=f"how far ahead, as 5s, 10m, 1h (default {HORIZONS})"
    )
    parser.add_argument(
        "--poll", type=float, default=0.0, metavar="S", help="leave out fixes closer than this to the one before"
    )
    parser.add_argument("--report", type=Path, metavar="DIR", help="also write report.html and result.json there")
    add_config(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from chronotick.backtest.figures import summary
    from chronotick.backtest.read import read_trace
    from chronotick.backtest.score import score

    horizons_s = horizons(args.horizons)
    if not 0.0 <= args.poll < math.inf:
        raise ConfigError(f"--poll {args.poll:g} is no time between two fixes.", mend="Give seconds, for example 64.")
    config = _config(args)
    if args.report is not None:
        _demand_plots()
    traces = [read_trace(path, poll_s=args.poll) for path in args.traces]
    results: list[dict[str, Any]] = []
    kept = []
    with contextlib.ExitStack() as stack:
        models = _ready(config, stack)
        for number, trace in enumerate(traces, 1):
            began_s = time.perf_counter()
            with progress_bar() as bar:
                task = bar.add_task(f"{trace.name} ({number} of {len(traces)})", total=1.0)
                tell = partial(_tell, bar, task)
                scores = score(trace, config, horizons_s, models, progress=tell)
            found = summary(scores)
            result = {
                "name": trace.name,
                "fixes": len(trace.fixes),
                "poll_s": trace.poll_s,
                "span_s": trace.span_s,
                "constant_us": trace.constant_s * 1e6,
                "independent_truth": trace.independent,
                "scored_from_s": trace.score_from_s,
                "took_s": time.perf_counter() - began_s,
                "horizons": found,
            }
            results.append(result)
            if args.report is not None:
                kept.append((result, scores))
            if not args.json:
                print(text(result), flush=True)
    body = {"traces": results}
    if args.report is not None:
        from chronotick.backtest.report import write_report

        where = write_report(args.report, kept)
        print(f"The report is {where}.", file=sys.stderr)
    if args.json:
        print_json(body)
    blank = [one["name"] for one in results if not any(one["horizons"].values())]
    if blank:
        print_error(f"nothing could be scored: {', '.join(blank)}. {UNSCORED}")
    return exits.OK if len(blank) < len(results) else exits.NEGATIVE


def _tell(bar: "Progress", task: "TaskID", share: float) -> None:
    bar.update(task, completed=share)


def horizons(given: str) -> list[float]:
    """ "5s,10m,1h" in seconds.

    Raises:
        ConfigError: one is no duration, or not positive.
    """
    found = []
    for one in filter(None, (part.strip() for part in given.split(","))):
        try:
            found.append(duration_s(one))
        except argparse.ArgumentTypeError as error:
            raise ConfigError(
                f"`{one}` is no horizon.", mend="Write, for example, --horizons 5s,60s,10m,1h."
            ) from error
    if not found:
        raise ConfigError("No horizon was given.", mend="Write, for example, --horizons 5s,60s,10m,1h.")
    return sorted(set(found))


def text(result: dict[str, Any]) -> str:
    """One trace for people: a table per horizon, and a note on the truth."""
    from chronotick.backtest.figures import label

    lines = [f"{result['name']}: {result['fixes']} fixes in {duration(result['span_s'])}"]
    if result["constant_us"]:
        lines.append(
            wrap(
                f"The measurements are {result['constant_us']:.0f} us off the truth, as a path that is slower one way "
                "makes them. No method can see that: its own constant, from before the scored part, is taken off."
            )
        )
    if not result["independent_truth"]:
        lines.append(
            wrap(
                "The measurements themselves are the truth, as there is no better one in this trace. Their noise "
                "counts as everybody's error, and is counted in everybody's interval as far as the floor knows it."
            )
        )
    if missing := [name for name, methods in result["horizons"].items() if not methods]:
        lines.append(wrap(f"Nothing could be scored {', '.join(missing)} ahead. {UNSCORED}"))
    for horizon, methods in result["horizons"].items():
        if not methods:
            continue
        names = [*(n for n in FIRST if n in methods), *(n for n in methods if n not in FIRST)]
        head = ["between fixes" if horizon == "serve" else f"{horizon} ahead", "MAE us", "RMSE us", "p95 us", "max us"]
        head += ["in 95 %", "width us"]
        rows = []
        for name in names:
            one = methods[name]
            sizes = [_number(one[key]) for key in ("mae_us", "rmse_us", "p95_us", "max_us")]
            spread = ["-", "-"]
            if "coverage" in one:
                spread = [f"{100 * one['coverage']['95']:.1f} %", _number(one["width_us"]["95"])]
            rows.append([label(name, methods), *sizes, *spread])
        lines += ["", table(head, rows, drop=("max us", "p95 us", "width us", "RMSE us"))]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    """Four digits that count, and never an exponent: columns stay in line."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def roles_for(models: list[str]) -> "tuple[RoleConfig, ...]":
    """The default roles, put to each model."""
    import msgspec

    from chronotick.config.defaults import ROLES

    return tuple(
        msgspec.structs.replace(role, plugin=name, name=role.name if len(models) == 1 else f"{role.name}_{name}")
        for name in models
        for role in ROLES
    )


def _config(args: argparse.Namespace) -> "Config":
    """The configuration of the run, with the roles and plugins that `--models` asks for."""
    import msgspec

    from chronotick.config.load import load
    from chronotick.config.schema import PluginConfig

    loaded = load(args.config, args.set).config
    models = [] if args.models == "none" else [one.strip() for one in args.models.split(",") if one.strip()]
    folders = dict(_pair(one) for one in args.weights)
    if unknown := folders.keys() - set(models):
        raise ConfigError(f"--weights names {', '.join(sorted(unknown))}, which --models does not.")
    known = {one.name: one for one in loaded.plugins}
    plugins = tuple(
        msgspec.structs.replace(
            known.get(name, PluginConfig(name=name)), path=folders.get(name, known[name].path if name in known else "")
        )
        for name in models
    )
    own = tuple(role for role in loaded.roles if role.plugin in models) if args.config is not None else ()
    return msgspec.structs.replace(loaded, roles=own or roles_for(models), plugins=plugins)


def _pair(given: str) -> tuple[str, str]:
    name, equals, folder = given.partition("=")
    if not (name and equals and folder):
        raise ConfigError(f"--weights {given}: expected NAME=FOLDER.")
    return name, str(Path(folder).expanduser().absolute())


def _demand_plots() -> None:
    """Before hours of replay, not after."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            "--report draws with matplotlib, which is not installed.", mend="Run: pip install 'chronotick[report]'"
        ) from error


def _ready(config: "Config", stack: contextlib.ExitStack) -> "PluginModels | None":
    """The models of a configuration, READY until the stack ends; None where it has none."""
    if not config.plugins:
        return None
    from chronotick.backtest.models import PluginModels

    models = stack.enter_context(PluginModels(config.plugins))
    with progress_bar() as bar:
        task = bar.add_task("loading models", total=None)
        try:
            models.load(
                progress=lambda states: bar.update(task, description=", ".join(f"{k} {v}" for k, v in states.items()))
            )
        except PluginError as error:
            raise ConfigError(error.message, mend=error.mend) from error
    return models

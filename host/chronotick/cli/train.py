"""`chronotick train`: fine-tune a model on this host's own history, or repeat the recipe of the shipped checkpoint."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json
from chronotick.cli.durations import duration_s
from chronotick.cli.output import print_error, print_json, progress_bar, table, wrap
from chronotick.errors import ConfigError

if TYPE_CHECKING:
    from chronotick.plugins.manifest import Manifest


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "train",
        "fine-tune a model on a recorded clock, or repeat the recipe of the shipped checkpoint",
        "  chronotick train chronos ~/.local/state/chronotick --out /models/mine\n"
        "  chronotick train ttm monday.csv tuesday.csv --weights /models/ttm-r2 --out /models/mine --step 300\n"
        "  chronotick train --recipe --out /tmp/again\n"
        "A history is a host's state directory or event log, or what `chronotick backtest` reads. The model learns on\n"
        "its first part and is judged on the rest,\n"
        "beside the untuned checkpoint, the floor and the last value. Ctrl-C stops a run; the same command goes on.\n"
        "exit codes: 0 it is better and was kept, 1 it is not (--force keeps it), 2 usage, 78 a history is wrong",
    )
    parser.add_argument("plugin", nargs="?", default="", metavar="PLUGIN", help="chronos or ttm")
    parser.add_argument("history", nargs="*", type=Path, metavar="HISTORY", help="recorded clocks")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the result goes")
    parser.add_argument("--weights", default="", metavar="FOLDER", help="checkpoint to begin with (default: its own)")
    parser.add_argument(
        "--step", type=duration_s, default=64.0, metavar="TIME", help="grid of the windows (default 64)"
    )
    parser.add_argument(
        "--context", type=int, default=0, metavar="N", help="points of a window (default: the plugin's)"
    )
    parser.add_argument("--horizon", type=int, default=0, metavar="N", help="points ahead (default: the plugin's)")
    parser.add_argument(
        "--horizons", default="", metavar="H,...", help="how far ahead it is judged (default: 3 of them)"
    )
    parser.add_argument("--train-share", type=float, default=0.7, metavar="S", help="share learned from (default 0.7)")
    parser.add_argument("--steps", type=int, default=600, metavar="N", help="steps of the optimiser (default 600)")
    parser.add_argument("--batch", type=int, default=32, metavar="N", help="windows in a step (default 32)")
    parser.add_argument("--lr", type=float, default=1e-4, metavar="R", help="learning rate (default 1e-4)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of everything random (default 1)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="for computing (default 1)")
    parser.add_argument("--force", action="store_true", help="keep the result even where it is not better")
    parser.add_argument("--recipe", action="store_true", help="make the shipped checkpoint again (from a checkout)")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="with --recipe: stop each part after N steps")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.recipe:
        if args.plugin or args.history:
            print_error("--recipe takes no plugin and no history: it trains on simulated clocks.")
            return exits.USAGE
        from chronotick.cli.train_recipe import run_recipe

        return run_recipe(args)
    if not args.plugin or not args.history:
        print_error("a plugin and a history are needed: chronotick train chronos clock.csv --out FOLDER.")
        return exits.USAGE
    if not (0.2 <= args.train_share <= 0.95 and args.steps > 0 and args.batch > 0 and args.lr > 0):
        print_error("--train-share lies between 0.2 and 0.95, and --steps, --batch and --lr are positive.")
        return exits.USAGE
    return _tune(args)


def _tune(args: argparse.Namespace) -> int:
    import shutil

    from chronotick.cli.backtest import horizons
    from chronotick.config.schema import RoleConfig
    from chronotick.sdk.tune import Job
    from chronotick.tuning import report
    from chronotick.tuning.history import read_histories
    from chronotick.tuning.learn import demand_trainable
    from chronotick.tuning.run import Plan, train

    out = args.out.expanduser().absolute()
    report.demand_free(out)
    manifest = _manifest(args.plugin)
    demand_trainable(manifest)
    folder = str(Path(args.weights).expanduser().absolute()) if args.weights else ""
    role = RoleConfig(
        name="train",
        plugin=manifest.name,
        step_s=args.step,
        context=args.context or manifest.training.context,
        horizon=args.horizon or manifest.training.horizon,
    )
    longest_s = role.horizon * role.step_s
    ahead_s = horizons(args.horizons) if args.horizons else [longest_s / 8, longest_s / 2, longest_s]
    if max(ahead_s) > longest_s:
        raise ConfigError(
            f"--horizons goes beyond {role.horizon} steps of {role.step_s:g} s, which are all that is asked."
        )
    plan = Plan(
        manifest=manifest,
        weights=folder,
        role=role,
        job=Job(
            params={"path": folder} if folder else {},
            steps=args.steps,
            batch=args.batch,
            lr=args.lr,
            every=max(1, min(50, args.steps // 10)),
            seed=args.seed,
            threads=args.threads,
        ),
        work=out.with_name(out.name + ".work"),
        train_share=args.train_share,
        horizons_s=tuple(ahead_s),
    )
    traces = [trace for path in args.history for trace in read_histories(path)]
    with progress_bar() as bar:
        task = bar.add_task("starting", total=1.0)
        try:
            body = train(plan, traces, lambda what, share: bar.update(task, description=what, completed=share))
        except KeyboardInterrupt:
            bar.stop()
            print_error(f"stopped; the same command goes on from {plan.work}.")
            raise
    better = body["verdict"]["better"]
    kept = better or args.force
    body["weights"]["folder"] = str(out if kept else plan.work / "best")
    body["kept"] = kept
    if kept:
        report.put(plan.work / "best", body, out)
        shutil.rmtree(plan.work)
    else:
        report.write(body, plan.work)
    if args.json:
        print_json(body)
    else:
        print(text(body, kept=kept, where=out if kept else plan.work))
    return exits.OK if better or args.force else exits.NEGATIVE


def _manifest(name: str) -> "Manifest":
    from chronotick.plugins.discovery import discover

    found = {manifest.name: manifest for manifest in discover().manifests}
    if name not in found:
        raise ConfigError(f"There is no plugin {name!r}.", mend=f"There are {', '.join(sorted(found))}.")
    return found[name]


def text(body: dict[str, Any], *, kept: bool, where: Path) -> str:
    """The result for people."""
    from chronotick.tuning.report import METHODS, sentence, use

    head = ("ahead", *(f"{name} us" for name in METHODS), "tuned/untuned", "tuned/floor")
    rows = [
        (
            horizon,
            *(f"{methods[name]['mae_us']:.4g}" for name in METHODS),
            f"{methods['tuned']['mae_us'] / max(methods['untuned']['mae_us'], 1e-9):.3f}",
            f"{methods['tuned']['over_floor']:.3f}",
        )
        for horizon, methods in body["horizons"].items()
    ]
    against = "an independent truth" if body["judged"]["independent_truth"] else "later measurements"
    lines = [
        wrap(
            f"Mean absolute error of the bare model on the last {body['judged']['share']:.0%} of the history, "
            f"{body['judged']['origins']} origins, against {against}:"
        ),
        table(head, rows, drop=("last_value us",)),
        wrap(sentence(body)),
    ]
    if kept:
        lines += [f"Weights and report: {where}", f"SHA-256 {body['weights']['tuned_sha256']}", "To use them:"]
        lines.append(use(body["plugin"], str(where)))
    else:
        lines.append(
            wrap(f"Nothing was kept but the report in {where}. Keep the untuned checkpoint; --force keeps this one.")
        )
    return "\n".join(lines)

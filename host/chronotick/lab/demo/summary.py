"""What the demo says at the end."""

from collections.abc import Collection, Mapping
from typing import Any

from chronotick.lab.demo.score import METHODS
from chronotick.lab.demo.view import LABELS, skill
from chronotick.plugins.stand_in import NOTE


def note_trust(trusted: dict[str, dict[str, float]], candidates: list[dict[str, Any]]) -> None:
    """Add to `trusted`, {model: {horizon in s: gain over the floor}}, who may speak now; the latest gain stays."""
    for one in candidates:
        if one["open"]:
            model = one["candidate"].split("/")[0]
            trusted.setdefault(model, {})[f"{one['horizon_s']:g}"] = round(one["gain"], 4)


def document(
    scored: dict[str, Any],
    status: dict[str, Any] | None,
    first_forecast_s: float | None,
    trusted: dict[str, dict[str, float]],
    unknown: int,
    *,
    usage: Mapping[str, dict[str, float | None]] | None = None,
    paths: Mapping[str, list[str]] | None = None,
    made: Collection[str] = (),
) -> dict[str, Any]:
    """The one object of `--json`.

    Args:
        trusted: what `note_trust` has gathered over the run.
        usage: {model: pss_mb, cpu_percent}; paths: {model: states it went through}; made: models on stand-in weights.
    """
    plugins = status["plugins"] if status else []
    forecasts = status["forecasts"] if status else {"made": 0, "used": 0, "refused": 0}
    host = status["host"] if status else {"ready_s": None, "rss_mb": None, "cpu_percent": None}
    return {
        "truth": scored,
        "forecasts": {key: forecasts[key] for key in ("made", "used", "refused")} | {"first_s": first_forecast_s},
        "models": {
            row["name"]: {
                key: row[key]
                for key in ("state", "detail", "model_id", "p50_ms", "p99_ms", "infer_p50_ms", "rss_mb", "restarts")
            }
            | {"weight": row["weight"], "trusted": trusted.get(row["name"], {})}
            | {
                "served": row["served"],
                "skill": skill(forecasts, row["name"]),
                "self_made_weights": row["name"] in made,
            }
            | (usage or {}).get(row["name"], {"pss_mb": None, "cpu_percent": None})
            | {"states": (paths or {}).get(row["name"], [])}
            for row in plugins
        },
        "host": {"ready_s": host["ready_s"], "rss_mb": host["rss_mb"], "cpu_percent": host["cpu_percent"]},
        "unknown_readings": unknown,
    }


def text(result: dict[str, Any]) -> str:
    """The result for people."""
    truth = result["truth"]
    if not truth["samples"]:
        return "The host never had a time to give. Its log says why."
    lines = [
        "",
        f"{'error against the known truth, us':<36}{'MAE':>9}{'p95':>9}{'max':>9}{'synchronised':>15}{'hold-over':>12}",
    ]
    for method in METHODS:
        parts = (truth["synchronised"]["mae_us"], truth["holdover"]["mae_us"])
        apart = "".join(
            f"{'-' if part is None else f'{part[method]:.1f}':>{width}}"
            for part, width in zip(parts, (15, 12), strict=True)
        )
        values = "".join(f"{truth[key][method]:>9.1f}" for key in ("mae_us", "p95_us", "max_us"))
        lines.append(f"  {LABELS[method]:<34}{values}{apart}")
    lines += [
        "",
        f"hard interval   held true time in {truth['hard_coverage']:.2%} of {truth['samples']} readings "
        f"(median width {truth['hard_width_us'] / 1e3:.2f} ms)",
        f"95 % interval   held it in {truth['coverage_95']:.2%} (median width {truth['width_95_us']:.1f} us)",
    ]
    forecasts = result["forecasts"]
    first = "" if forecasts["first_s"] is None else f", the first after {forecasts['first_s']:.1f} s"
    lines.append(
        f"forecasts       {forecasts['made']} made, {forecasts['used']} used, {forecasts['refused']} refused{first}"
    )
    for name, model in result["models"].items():
        trusted = ", ".join(f"{horizon} s ({gain:.0%} better)" for horizon, gain in model["trusted"].items())
        speed = "" if model["p50_ms"] is None else f", p50 {model['p50_ms']:.1f} ms, {model['served']} forecasts"
        if model["pss_mb"] is not None:
            speed += f", {model['pss_mb']:.0f} MB of its own"
        if model["cpu_percent"] is not None:
            speed += f", {model['cpu_percent']:.1f} % CPU"
        lines.append(
            f"{name:<16}{model['state']}{speed}; "
            + (f"trusted at {trusted}" if trusted else "not trusted at any horizon")
        )
        if model["state"] != "READY":
            lines.append(f"                {model['detail']}")
        if model["skill"]:
            against = ", ".join(f"{gain:+.0%} at {horizon} s" for horizon, gain in model["skill"].items())
            lines.append(f"                skill against the floor: {against}")
        if model["self_made_weights"]:
            lines.append(f"                {NOTE}")
        if model["restarts"]:
            lines.append(f"                went {', '.join(model['states'][-8:])}")
    if not result["models"]:
        lines.append("models          none: this was the floor and the local candidates")
    sizes = [model["pss_mb"] for model in result["models"].values() if model["pss_mb"] is not None]
    if len(sizes) > 1:
        shares = sum(model["cpu_percent"] or 0.0 for model in result["models"].values())
        lines.append(f"models together {sum(sizes):.0f} MB, {shares:.1f} % of one core")
    host = result["host"]
    lines.append(f"host            ready in {host['ready_s']:.2f} s, {host['rss_mb']:.0f} MB resident")
    return "\n".join(lines)

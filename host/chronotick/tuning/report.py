"""What a training run came to, for people and for programs, and the folder that it leaves."""

import shutil
from pathlib import Path
from typing import Any, Final

import msgspec

from chronotick.errors import ConfigError

METHODS: Final = ("floor", "last_value", "untuned", "tuned")


def sentence(body: dict[str, Any]) -> str:
    """The verdict."""
    ratio, sure = body["verdict"]["ratio"], body["verdict"]["sure"]
    beside = f"{ratio:.3f} of the untuned checkpoint's error on the held-out part, below 1 in {sure:.0%} of resamples"
    return f"Better: {beside}." if body["verdict"]["better"] else f"Not better: {beside}."


def markdown(body: dict[str, Any]) -> str:
    """The report as a document."""
    lines = [
        f"# {body['plugin']}, fine-tuned on {', '.join(one['name'] for one in body['histories'])}",
        "",
        sentence(body),
        "",
        f"Mean absolute error in us of the bare model (not gated), on the last {body['judged']['share']:.0%} of the "
        f"history, {body['judged']['origins']} origins; beside each its ratio to the floor. Held against "
        + ("an independent truth." if body["judged"]["independent_truth"] else "later measurements."),
        "",
        "| ahead | " + " | ".join(METHODS) + " |",
        "|---|" + "---|" * len(METHODS),
    ]
    for horizon, methods in body["horizons"].items():
        cells = [f"{methods[name]['mae_us']:.4g} ({methods[name]['over_floor']:.3f})" for name in METHODS]
        lines.append(f"| {horizon} | " + " | ".join(cells) + " |")
    lines += [
        "",
        f"Learned from {body['windows']['learned']} windows, chosen by {body['windows']['held']}: step "
        f"{body['training']['best_step']} of {body['training']['steps']}, loss {body['training']['best_loss']:.4f} "
        f"there and {body['training']['first_loss']:.4f} before training.",
        "",
        f"SHA-256 of the weights: `{body['weights']['tuned_sha256']}`; before: `{body['weights']['untuned_sha256']}`.",
        "",
        "To use them, in the configuration:",
        "",
        "```yaml",
        use(body["plugin"], body["weights"]["folder"]),
        "```",
        "",
        "Options: " + ", ".join(f"{name} {value}" for name, value in body["training"].items()) + ".",
    ]
    return "\n".join(lines) + "\n"


def use(plugin: str, folder: str) -> str:
    """The lines of a configuration that name the folder."""
    return f"plugins:\n  - name: {plugin}\n    path: {folder}"


def write(body: dict[str, Any], folder: Path) -> None:
    """report.json and report.md."""
    (folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(body), indent=2) + b"\n")
    (folder / "report.md").write_text(markdown(body), encoding="utf-8")


def demand_free(out: Path) -> None:
    """Raises:
    ConfigError: something is there already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is there already.", mend="Name a folder that is not, or delete it.")


def put(best: Path, body: dict[str, Any], out: Path) -> None:
    """Checkpoint and report under `out`, whole or not at all."""
    staging = out.with_name(out.name + ".part")
    shutil.rmtree(staging, ignore_errors=True)
    shutil.copytree(best, staging)
    write(body, staging)
    if out.is_dir():
        out.rmdir()
    staging.rename(out)

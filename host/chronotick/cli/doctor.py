"""`chronotick doctor`: all that is usually asked when something does not work, with a verdict and a mend each."""

import argparse
from typing import TYPE_CHECKING, Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_config, add_json, add_runtime_dir
from chronotick.cli.output import paint, print_json, wrap

if TYPE_CHECKING:
    from chronotick.cli.checkup.finding import Finding, Patient

STYLES = {"ok": "good", "warn": "warn", "fail": "bad"}


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "doctor",
        "look at all that is usually wrong, and say how to mend it",
        "  chronotick doctor\n"
        "  chronotick doctor --config configs/lan.yaml\n"
        "  chronotick doctor --offline --json\n"
        "exit codes: 0 nothing fails (there may be warnings), 1 something does",
    )
    add_config(parser)
    parser.add_argument("--offline", action="store_true", help="ask no servers")
    add_runtime_dir(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    findings = examine(patient_of(args), offline=args.offline)
    counts = {verdict: sum(one.verdict == verdict for _, one in findings) for verdict in STYLES}
    if args.json:
        print_json(document(findings, counts))
    else:
        print(text(findings, counts))
    return exits.NEGATIVE if counts["fail"] else exits.OK


def patient_of(args: argparse.Namespace) -> "Patient":
    """What the command line and the configuration point at."""
    from chronotick.cli.checkup.finding import Patient
    from chronotick.config.load import load
    from chronotick.errors import ConfigError

    try:
        loaded = load(args.config, args.set)
    except ConfigError as error:
        return Patient(config_file=args.config, config_error=str(error), runtime_dir=args.runtime_dir)
    return Patient(
        config=loaded.config,
        config_file=args.config,
        notes=loaded.notes,
        runtime_dir=args.runtime_dir or loaded.config.publish.runtime_dir,
    )


def examine(patient: "Patient", *, offline: bool = False) -> list[tuple[str, "Finding"]]:
    """All findings, each with its section."""
    from chronotick.cli.checkup import installation, machine, network, running
    from chronotick.cli.checkup.finding import carried_out

    sections = {
        "installation": (
            installation.versions,
            installation.libraries,
            installation.configuration,
            installation.uv,
            installation.models,
        ),
        "machine": (
            machine.uptime,
            machine.clock_source,
            machine.virtualisation,
            machine.daemons,
            machine.resources,
        ),
        "network": (network.timestamps,) if offline else (network.timestamps, network.servers),
        "host": (running.runtime_directory, running.sockets, running.snapshot, running.host),
    }
    return [
        (section, finding)
        for section, checks in sections.items()
        for check in checks
        for finding in carried_out(check, patient)
    ]


def document(findings: list[tuple[str, "Finding"]], counts: dict[str, int]) -> dict[str, Any]:
    """What `--json` prints."""
    import msgspec

    return {
        "ok": not counts["fail"],
        "counts": counts,
        "findings": [{"section": section} | msgspec.to_builtins(finding) for section, finding in findings],
    }


def text(findings: list[tuple[str, "Finding"]], counts: dict[str, int]) -> str:
    """A line per finding, under its section's name."""
    lines: list[str] = []
    before = ""
    for section, finding in findings:
        if section != before:
            lines += ["", paint(section, "bold")] if lines else [paint(section, "bold")]
            before = section
        verdict = paint(finding.verdict.value.ljust(4), STYLES[finding.verdict.value])
        lines += [_indented(f"  {verdict}  {finding.name}: {finding.sentence}")]
        if finding.mend and finding.verdict.value != "ok":
            lines.append(_indented(f"        {finding.mend}"))
    total = f"{counts['ok']} ok, {counts['warn']} to note, {counts['fail']} wrong."
    return "\n".join([*lines, "", total])


def _indented(line: str) -> str:
    # A configuration's problems are several lines.
    return "\n".join(
        wrap(part if number == 0 else f"        {part}", " " * 8) for number, part in enumerate(line.splitlines())
    )

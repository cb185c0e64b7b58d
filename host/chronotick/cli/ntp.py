"""`chronotick ntp query`: ask servers, and say what each one is worth and what the vote makes of them."""

import argparse
from typing import TYPE_CHECKING, Any

from chronotick.cli import exits
from chronotick.cli.common import Commands, add_command, add_json
from chronotick.cli.durations import duration_s
from chronotick.cli.output import duration, paint, print_json, table, wrap

if TYPE_CHECKING:
    from chronotick.ntp.query import QueriedServer, QueryReport

# Faster than a host's warm-up: four exchanges with each server are not worth a minute's wait, nor abusive.
QUERY_POLL_S = 2.0
# Left out one after the other where the terminal is too narrow.
LEAST = ("grade", "jitter", "stratum", "root distance", "delay")


def add(commands: Commands) -> None:
    parser = add_command(
        commands,
        "ntp",
        "talk to NTP servers directly, without a host",
        "  chronotick ntp query pool.ntp.org time.cloudflare.com\n  chronotick ntp query '[::1]:1123' --json",
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    query = add_command(
        verbs,
        "query",
        "measure offset, delay and root distance of servers, and vote",
        "  chronotick ntp query pool.ntp.org\n"
        "  chronotick ntp query 127.0.0.1:11123 127.0.0.2:11123 --samples 8 --json\n"
        "exit codes: 0 something was accepted, 1 nothing was",
    )
    query.add_argument("server", nargs="+", metavar="HOST[:PORT]", help="server; [v6]:port for IPv6 addresses")
    query.add_argument(
        "--samples", type=_count, default=4, metavar="N", help="exchanges per server, 1 to 32 (default 4)"
    )
    query.add_argument(
        "--interval", type=_seconds, default=QUERY_POLL_S, metavar="S", help="between two, s (default 2)"
    )
    query.add_argument("--timeout", type=_seconds, default=2.0, metavar="S", help="for a reply, s (default 2)")
    query.add_argument("--family", choices=("any", "ipv4", "ipv6"), default="any")
    add_json(query)
    query.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    import asyncio

    from chronotick.config.schema import NtpConfig
    from chronotick.ntp.query import query

    config = NtpConfig(timeout_s=args.timeout, warm_up_poll_s=args.interval, family=args.family)
    report = asyncio.run(query(args.server, config, samples=args.samples))
    if args.json:
        print_json(document(report))
    else:
        print(text(report))
    return exits.OK if report.any_accepted else exits.NEGATIVE


def document(report: "QueryReport") -> dict[str, Any]:
    """The report as `--json` prints it."""
    import msgspec

    body: dict[str, Any] = msgspec.to_builtins(report)
    for server in body["servers"]:
        server["refused"] = dict(server["refused"])
    return body


def text(report: "QueryReport") -> str:
    """The report for people: a row per server, then the verdict."""
    head = ("server", "offset", "delay", "root distance", "jitter", "stratum", "grade", "verdict")
    lines = [table(head, [_row(server) for server in report.servers], drop=LEAST), ""]
    if report.offset_s is None:
        lines.append(f"No majority: {report.verdict.value.replace('_', ' ')}.")
    else:
        assert report.earliest_offset_s is not None
        assert report.latest_offset_s is not None
        lines.append(
            wrap(
                f"{len(report.selected)} of {len(report.servers)} agree: the system clock is "
                f"{'behind' if report.offset_s >= 0 else 'ahead'} by {duration(abs(report.offset_s))}, and true time "
                f"lies {duration(report.earliest_offset_s)} to {duration(report.latest_offset_s)} from it."
            )
        )
    return "\n".join(lines)


def _row(server: "QueriedServer") -> tuple[str, ...]:
    where = server.server if server.address in ("", server.server) else f"{server.server} ({server.address})"
    if not server.accepted:
        verdict = server.explanation or str(server.reason)
    else:
        verdict = server.standing.value.replace("_", " ")
    good = server.standing.value == "survivor"
    return (
        where,
        duration(server.offset_s),
        duration(server.delay_s),
        duration(server.root_distance_s),
        duration(server.jitter_s),
        "-" if server.stratum is None else str(server.stratum),
        server.grade.value,
        paint(verdict, "good" if good else "bad"),
    )


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 32:
        raise argparse.ArgumentTypeError(f"{text!r} is out of range: 1 to 32 are possible")
    return int(text)


def _seconds(text: str) -> float:
    value = duration_s(text)
    if not 0.01 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is out of range: 10ms to 1h are possible")
    return value

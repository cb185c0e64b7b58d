"""Whether time can be had from the network: names, servers, the way out to UDP port 123, the kernel's timestamps."""

import asyncio
import select
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from chronotick.cli.checkup.finding import Finding, Patient, fail, ok, warn
from chronotick.cli.output import duration
from chronotick.ntp import kernel_stamps

if TYPE_CHECKING:
    from chronotick.ntp.query import QueriedServer, QueryReport

NTP_PORT: Final = 123
SMALL_OFFSET_S: Final = 0.128
"""What ntpd and others step rather than slew: a system clock further off than this is not being kept."""
FOR_A_MAJORITY: Final = 3
STAMP_TRIES: Final = 20


def servers(patient: Patient) -> Iterable[Finding]:
    """One exchange with each configured server."""
    from chronotick.ntp.query import query

    if patient.config is None:
        return []
    report = asyncio.run(query(patient.config.ntp.servers, patient.config.ntp, samples=1))
    return [*_servers(report), *egress(report.servers), *system_clock(report)]


def _servers(report: "QueryReport") -> Iterable[Finding]:
    answering = [server for server in report.servers if server.accepted]
    facts = {
        "answering": [server.server for server in answering],
        "silent": {server.server: str(server.reason) for server in report.servers if not server.accepted},
        "verdict": str(report.verdict),
    }
    silent = "; ".join(
        f"{server.server}: {server.explanation}".rstrip(".") for server in report.servers if not server.accepted
    )
    sentence = f"{len(answering)} of {len(report.servers)} servers answer" + (f" ({silent})." if silent else ".")
    if not answering:
        yield fail("servers", sentence, "Check the network, or name servers of your own in ntp.servers.", **facts)
        return
    if report.offset_s is None:
        sentence += f" They do not agree: {report.verdict.value.replace('_', ' ')}."
        yield fail("servers", sentence, "Add servers of other operators to ntp.servers.", **facts)
    elif len(answering) < FOR_A_MAJORITY:
        mend = f"Name at least {FOR_A_MAJORITY} in ntp.servers, of several operators."
        yield warn("servers", f"{sentence} Fewer than {FOR_A_MAJORITY} can not outvote a wrong one.", mend, **facts)
    elif silent:
        yield warn("servers", sentence, "Remove from ntp.servers what stays silent.", **facts)
    else:
        yield ok("servers", f"{sentence[:-1]}, {len(report.selected)} agree.", **facts)
    wrong = [server.server for server in answering if server.standing.value == "falseticker"]
    if wrong:
        yield warn("falsetickers", f"{', '.join(wrong)}: outvoted by the others.", "Remove them from ntp.servers.")


def egress(asked: "Iterable[QueriedServer]") -> Iterable[Finding]:
    """What the answers say of the way out to UDP port 123, and of name resolution."""
    asked = list(asked)
    nameless = [server.server for server in asked if server.reason is not None and server.reason.value == "no_address"]
    if nameless:
        sentence = f"No address for {', '.join(nameless)}."
        mend = "Check name resolution: getent ahosts " + nameless[0].partition(":")[0]
        yield (fail if len(nameless) == len(asked) else warn)("names", sentence, mend, nameless=nameless)
    standard = [server for server in asked if server.port == NTP_PORT]
    if not standard:
        if not nameless:
            yield ok("udp 123", "No configured server uses UDP port 123.")
        return
    if any(server.accepted or _answered(server) for server in standard):
        yield ok("udp 123", "Replies from UDP port 123 come in.")
        return
    sentence = f"None of {len(standard)} servers on UDP port 123 could be heard: it seems to be blocked."
    yield fail(
        "udp 123", sentence, "Allow UDP to port 123 outgoing, e.g. iptables -A OUTPUT -p udp --dport 123 -j ACCEPT"
    )


def _answered(server: "QueriedServer") -> bool:
    return server.reason is not None and server.reason.value not in ("timeout", "unreachable", "no_route", "no_address")


def system_clock(report: "QueryReport") -> Iterable[Finding]:
    """How far off the system clock is, for those who read that instead."""
    if report.offset_s is None:
        return
    word = "behind" if report.offset_s >= 0 else "ahead"
    sentence = f"The system clock is {word} by {duration(abs(report.offset_s))}."
    if abs(report.offset_s) > SMALL_OFFSET_S:
        sentence += " ChronoTick is not disturbed, programs that read it are."
        yield warn("system clock", sentence, "Run chronyd or systemd-timesyncd.", offset_s=report.offset_s)
    else:
        yield ok("system clock", sentence, offset_s=report.offset_s)


def timestamps(patient: Patient) -> Iterable[Finding]:
    """Whether the kernel stamps packets, tried on loopback."""
    received, sent = loopback_stamps()
    facts = {"receive": received, "transmit": sent}
    if received and sent:
        return [ok("timestamps", "The kernel stamps packets when they come and when they go.", **facts)]
    lacking = " and ".join(word for word, there in (("arriving", received), ("leaving", sent)) if not there)
    sentence = f"The kernel does not stamp {lacking} packets: the scheduler's delays count as the network's."
    return [warn("timestamps", sentence, "Run outside of a sandbox, on a kernel of its own.", **facts)]


def loopback_stamps() -> tuple[bool, bool]:
    """Whether a datagram to oneself gets a receive stamp, and a transmit stamp."""
    received = sent = False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.setblocking(False)
        if not kernel_stamps.enable(one):
            return False, False
        # The kernel switches stamping on a moment after the first socket asks for it.
        for _ in range(STAMP_TRIES):
            one.sendto(b"stamp", one.getsockname())
            sent = sent or kernel_stamps.sent(one) is not None
            select.select([one], [], [], 0.1)
            try:
                _, ancillary, _, _ = one.recvmsg(64, kernel_stamps.ANCILLARY_BYTES)
            except BlockingIOError:
                continue
            received = received or kernel_stamps.received(ancillary) is not None
            if received and sent:
                break
    return received, sent

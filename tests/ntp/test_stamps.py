"""Kernel stamps on the raw clock: used where they fit, left alone where they can not be right."""

from typing import Any

from chronotick.clock.timebase import ClockPair
from chronotick.ntp.outcome import StampSource
from chronotick.ntp.stamps import Stamps, place

THETA_NS = 1_800_000_000 * 10**9
BEFORE = ClockPair(raw_ns=10**12, realtime_ns=10**12 + THETA_NS, window_ns=100)
HANDED = BEFORE.raw_ns + 1_000
SEEN = ClockPair(raw_ns=10**12 + 300_000, realtime_ns=10**12 + 300_000 + THETA_NS, window_ns=100)


def placed(**changes: Any) -> Stamps:
    given = {
        "before": BEFORE,
        "handed_raw_ns": HANDED,
        "sent_realtime_ns": HANDED + 12_000 + THETA_NS,
        "seen": SEEN,
        "received_realtime_ns": SEEN.realtime_ns - 60_000,
    }
    return place(**(given | changes))


def test_kernel_stamps_are_translated() -> None:
    """Both stamps land on the raw clock, and the cost of the translation is stated."""
    got = placed()
    assert (got.sent_raw_ns, got.sent_by) == (HANDED + 12_000, StampSource.KERNEL)
    assert (got.received_raw_ns, got.received_by) == (SEEN.raw_ns - 60_000, StampSource.KERNEL)
    assert got.realtime_theta_ns == THETA_NS
    assert 100 <= got.uncertainty_ns <= 300


def test_without_stamps_the_process_reads_the_clock() -> None:
    """T1 is early and T4 late then, so that the delay can only look longer."""
    got = placed(sent_realtime_ns=None, received_realtime_ns=None)
    assert (got.sent_raw_ns, got.sent_by) == (HANDED, StampSource.USER)
    assert (got.received_raw_ns, got.received_by) == (SEEN.raw_ns, StampSource.USER)
    assert got.uncertainty_ns == 0


def test_impossible_stamps_are_left_alone() -> None:
    """A packet neither leaves before it was handed over nor arrives after it was read."""
    assert placed(sent_realtime_ns=HANDED - 50_000 + THETA_NS).sent_by is StampSource.USER
    assert placed(sent_realtime_ns=SEEN.realtime_ns + 50_000).sent_by is StampSource.USER
    assert placed(received_realtime_ns=SEEN.realtime_ns + 50_000).received_by is StampSource.USER
    assert placed(received_realtime_ns=HANDED - 50_000 + THETA_NS).received_by is StampSource.USER


def test_a_step_of_the_system_clock_voids_its_stamps() -> None:
    """A system clock that jumped during the exchange by 2 ms moves neither T1 nor T4."""
    stepped = ClockPair(raw_ns=SEEN.raw_ns, realtime_ns=SEEN.realtime_ns + 2_000_000, window_ns=100)
    got = placed(seen=stepped, received_realtime_ns=stepped.realtime_ns - 60_000)
    assert (got.sent_by, got.received_by) == (StampSource.USER, StampSource.USER)
    assert (got.sent_raw_ns, got.received_raw_ns) == (HANDED, SEEN.raw_ns)

"""The status of the clock agrees with what readers of the snapshot see at the same instant."""

from typing import Any

import pytest

from chronotick.serve.fresh import as_of_now
from chronotick.wire.snapshot import Record, Status

S = 1_000_000_000
MEASURING: dict[str, Any] = {"status": "UNKNOWN", "sentence": "Measuring.", "epoch": 3, "warm_up": {"progress": 0.0}}
AGREED = MEASURING | {"status": "SYNCHRONISED", "sentence": "3 agree.", "rate_ppm": 7.0, "fixes": 9, "age_s": 1e9}


def test_the_numbers_are_those_of_this_instant(record: Record) -> None:
    """Whatever the section held of the record is replaced; what only the host knows is kept."""
    at = record.raw_ns + S
    found = as_of_now(AGREED, record, at, record.utc_ns(at) - 5000)
    assert (found["status"], found["sentence"]) == ("SYNCHRONISED", "3 agree.")
    assert (found["utc_ns"], found["system_offset_us"]) == (str(record.utc_ns(at)), 5.0)
    assert found["hard_width_us"] == (record.latest_ns(at) - record.earliest_ns(at)) / 1e3
    assert found["age_s"] == (at - record.fix_raw_ns) / 1e9
    assert (found["rate_ppm"], found["fixes"]) == (7.0, 9)


def test_a_time_that_was_taken_over_is_not_unknown(record: Record) -> None:
    """A host that has measured nothing yet but goes on with the last one's time says so, and with what."""
    held = record._replace(status=Status.HOLDOVER)
    found = as_of_now(MEASURING, held, record.raw_ns, 0)
    assert found["status"] == "HOLDOVER"
    assert found["sentence"] == "The time of this host's last run goes on, with growing bounds. Measuring."
    assert (found["rate_ppm"], found["fixes"]) == (record.rate * 1e6, 0)
    assert "noise_us" not in found


@pytest.mark.parametrize("void", [True, False])
def test_what_is_void_is_unknown_at_once(record: Record, void: bool) -> None:
    """Nothing of a time is said when its record is void, or the machine has slept since."""
    at = record.void_raw_ns if void else record.raw_ns
    found = as_of_now(AGREED, record if void else record._replace(status=Status.UNKNOWN), at, 0)
    assert (found["status"], found["sentence"]) == ("UNKNOWN", "What was known is void. 3 agree.")
    assert found.keys() == MEASURING.keys()
    assert as_of_now(MEASURING, record, record.void_raw_ns, 0) == MEASURING

"""The snapshot's layout: what is written is read, and nothing else is."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.errors import SnapshotInvalid
from chronotick.wire import snapshot
from chronotick.wire.boot import boot_hash, hash_of, suspended_ns
from chronotick.wire.levels import LEVELS
from chronotick.wire.snapshot import FILE_BYTES, MAX_NS, MIN_NS, Record, Status

INT64 = st.integers(MIN_NS, MAX_NS)
UINT64 = st.integers(0, 2**64 - 1)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
WIDTHS = st.tuples(*[FLOAT] * len(LEVELS))
NAMES = st.lists(st.text(st.characters(exclude_characters=",", codec="utf-8"), min_size=1, max_size=12), max_size=6)
RECORDS = st.builds(
    Record,
    raw_ns=INT64,
    theta_ns=INT64,
    rate=FLOAT,
    slew_rate=FLOAT,
    slew_until_raw_ns=INT64,
    sigma_s=FLOAT,
    sigma_growth=FLOAT,
    half_widths_s=WIDTHS,
    half_growths=WIDTHS,
    earliest_theta_ns=INT64,
    latest_theta_ns=INT64,
    bound_growth=FLOAT,
    stale_raw_ns=INT64,
    void_raw_ns=INT64,
    fix_raw_ns=INT64,
    suspended_ns=INT64,
    epoch=UINT64,
    sequence=UINT64,
    host_instance=UINT64,
    host_pid=st.integers(0, 2**32 - 1),
    status=st.sampled_from(Status),
    source=NAMES.map(tuple),
)


def file_of(record: Record, boot: int) -> bytes:
    slot = snapshot.encode(record, boot)
    header = bytearray(snapshot.identity(boot).ljust(snapshot.HEADER_BYTES, b"\0"))
    struct.pack_into("<Q", header, 32, 2)
    return bytes(header) + slot + slot


@given(RECORDS, UINT64)
def test_every_record_comes_back_as_it_was(record: Record, boot: int) -> None:
    """Encoding and decoding are inverse, up to names that do not fit."""
    back = snapshot.decode(snapshot.encode(record, boot), boot)
    assert back._replace(source=()) == record._replace(source=())
    assert back.source == record.source[: len(back.source)]
    if sum(len(name.encode()) + 1 for name in record.source) <= snapshot.SOURCE_BYTES:
        assert back.source == record.source


@given(RECORDS, st.data())
def test_any_changed_byte_of_a_record_is_noticed(record: Record, data: st.DataObject) -> None:
    """One wrong byte anywhere in checksum or record makes it invalid."""
    slot = bytearray(snapshot.encode(record, 1))
    used = 8 + snapshot._RECORD.size
    where = data.draw(st.integers(0, used - 1).filter(lambda at: not 4 <= at < 8))
    slot[where] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SnapshotInvalid):
        snapshot.decode(bytes(slot), 1)


def test_the_slots_hold_the_record(record: Record) -> None:
    """A record fills its slot exactly, and a header has its place for the generation."""
    assert len(snapshot.encode(record, 1)) == snapshot.SLOT_BYTES
    assert len(file_of(record, 1)) == FILE_BYTES
    assert snapshot.GENERATION_WORD * 8 < snapshot.HEADER_BYTES


@pytest.mark.parametrize(
    ("offset", "value", "sentence"),
    [
        (0, b"X", "not a ChronoTick snapshot"),
        (8, b"\1", "bytes"),
        (12, b"\1", "layout 1"),
        (16, b"\xff", "another boot"),
    ],
)
def test_a_foreign_file_is_refused_with_its_reason(record: Record, offset: int, value: bytes, sentence: str) -> None:
    """Magic, size, layout and boot each have their own sentence, and a mend."""
    content = bytearray(file_of(record, 1))
    content[offset : offset + 1] = value
    with pytest.raises(SnapshotInvalid, match=sentence) as caught:
        snapshot.check_identity(bytes(content), 1)
    assert caught.value.mend


@pytest.mark.parametrize("length", [0, 8, 23, 24, 64, FILE_BYTES - 1])
def test_a_file_that_is_too_short_is_refused(record: Record, length: int) -> None:
    """A cut-off file is never mapped."""
    with pytest.raises(SnapshotInvalid):
        snapshot.check_identity(file_of(record, 1)[:length], 1)


def test_a_record_of_another_boot_does_not_pass_its_checksum(record: Record) -> None:
    """A slot copied from a file of another boot is invalid by itself."""
    with pytest.raises(SnapshotInvalid, match="checksum"):
        snapshot.decode(snapshot.encode(record, 1), 2)


@pytest.mark.parametrize("change", [{"half_widths_s": (1.0,) * 4}, {"half_growths": (float("nan"),) * 5}])
def test_widths_are_one_finite_number_for_each_level(record: Record, change: dict[str, tuple[float, ...]]) -> None:
    """A record with a width too few, or one that is no number, is refused by the writer."""
    with pytest.raises(ValueError, match="snapshot"):
        snapshot.encode(record._replace(**change), 1)


@pytest.mark.parametrize("change", [{"rate": float("nan")}, {"sigma_s": float("inf")}, {"theta_ns": 2**63}])
def test_numbers_that_are_none_are_not_written(record: Record, change: dict[str, float]) -> None:
    """NaN, infinity and what does not fit 64 bits is refused by the writer."""
    with pytest.raises(ValueError, match="snapshot"):
        snapshot.encode(record._replace(**change), 1)


def test_this_boot_has_one_hash() -> None:
    """The hash is the same each time, and changes with boot id and time namespace."""
    assert boot_hash() == boot_hash() != 0
    assert len({hash_of(boot, name) for boot in ("a", "b") for name in ("x", "y", "")}) == 6
    assert 0 <= hash_of("a" * 36, "time:[4026531834]") < 2**64


def test_suspended_time_stands_still_while_awake() -> None:
    """Two readings of the suspended time agree within the tolerance."""
    first = suspended_ns()
    assert abs(suspended_ns() - first) < 1_000_000


def test_a_record_evaluates_as_its_docstring_says(record: Record) -> None:
    """UTC, hard bounds and spread follow the formulas, with bounds rounded outward."""
    line = record._replace(slew_rate=-1e-4, slew_until_raw_ns=record.raw_ns + 2 * 10**9, sigma_s=1e-3)
    at = record.raw_ns + 10**9
    assert line.utc_ns(at) == at + line.theta_ns + 20_000 - 100_000
    assert line.utc_ns(at + 9 * 10**9) == at + 9 * 10**9 + line.theta_ns + 200_000 - 200_000
    assert line.earliest_ns(at) == at + line.earliest_theta_ns - 50_000
    assert line.latest_ns(at) == at + line.latest_theta_ns + 50_000
    assert line.earliest_ns(line.raw_ns + 1) == line.raw_ns + line.earliest_theta_ns
    assert line.latest_ns(line.raw_ns + 1) == line.raw_ns + 1 + line.latest_theta_ns + 1
    assert line.sigma_ns(at) == 1_000_000 + 10 - 100_000
    assert line.sigma_ns(at + 9 * 10**9) == 1_000_000 + 100 - 200_000


def test_a_record_loses_worth_with_age(record: Record) -> None:
    """SYNCHRONISED becomes HOLDOVER when stale, and anything UNKNOWN when void; DISRUPTED stays until then."""
    assert record.status_at(record.stale_raw_ns - 1) is Status.SYNCHRONISED
    assert record.status_at(record.stale_raw_ns) is Status.HOLDOVER
    assert record.status_at(record.void_raw_ns) is Status.UNKNOWN
    disrupted = record._replace(status=Status.DISRUPTED)
    assert disrupted.status_at(record.stale_raw_ns) is Status.DISRUPTED
    assert disrupted.status_at(record.void_raw_ns) is Status.UNKNOWN

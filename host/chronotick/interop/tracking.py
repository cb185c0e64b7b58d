"""What a chronyd knows, as `chronyc -c tracking` says it, and the sample that it makes. Pure.

Signs, as chrony 4.3 gives them in this form: the corrected time is the system clock plus `correction_s`, so a positive
correction means a system clock that is behind; the frequency has the opposite sign, positive for a clock that gains.
"""

import math
import re
from typing import Final

import msgspec

from chronotick.config.schema import NtpConfig
from chronotick.ntp.outcome import Refusal, Sample
from chronotick.units import PPM, ns_to_s, s_to_ns

FIELDS: Final = 14
_LEAPS: Final = {"Normal": 0, "Insert second": 1, "Delete second": 2, "Not synchronised": 3}
_NUMBER: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")
_REFERENCE: Final = re.compile(r"[0-9A-F]{8}")
# 127.127.1.1: chronyd serves the system clock itself (`local`), and that is no knowledge.
_LOCAL: Final = bytes([127, 127, 1, 1])
# RFC 5905's PHI: how far a chronyd that says nothing of its skew may drift, s/s.
_LEAST_SKEW: Final = 1e-6


class Tracking(msgspec.Struct, frozen=True, kw_only=True):
    """One answer.

    Attributes:
        reference_id: four bytes. reference: its name or address, "" where there is none.
        stratum: chronyd's own, 0 to 16.
        reference_ns: UTC of chronyd's last update from its sources; 0 for none yet.
        correction_s: to be added to the system clock, s.
        last_offset_s, rms_offset_s: of the updates, s.
        frequency_ppm: how fast the system clock gains. residual_ppm, skew_ppm: what is not known of that.
        root_delay_s, root_dispersion_s: to the primary server; the dispersion as it is now.
        interval_s: between the last two updates.
        leap: 0 to 3.
    """

    reference_id: bytes
    reference: str
    stratum: int
    reference_ns: int
    correction_s: float
    last_offset_s: float
    rms_offset_s: float
    frequency_ppm: float
    residual_ppm: float
    skew_ppm: float
    root_delay_s: float
    root_dispersion_s: float
    interval_s: float
    leap: int


def parse_tracking(text: str) -> Tracking:
    """Read one answer, strictly.

    Raises:
        ValueError: it is not what chronyc 4 prints; says which field is wrong.
    """
    lines = text.splitlines()
    if len(lines) != 1:
        raise ValueError(f"{len(lines)} lines, expected 1")
    fields = lines[0].split(",")
    if len(fields) != FIELDS:
        raise ValueError(f"{len(fields)} fields, expected {FIELDS}")
    if not _REFERENCE.fullmatch(fields[0]):
        raise ValueError(f"reference id {fields[0][:32]!r}")
    if fields[13] not in _LEAPS:
        raise ValueError(f"leap status {fields[13][:32]!r}")
    if not fields[2].isascii() or not fields[2].isdigit() or int(fields[2]) > 16:
        raise ValueError(f"stratum {fields[2][:32]!r}")
    numbers = [_number(name, fields[at]) for at, name in enumerate(_NUMBERS, 4)]
    for name, value in zip(_NUMBERS, numbers, strict=True):
        if value < 0 and name in _NOT_NEGATIVE:
            raise ValueError(f"{name} is negative: {value}")
    return Tracking(
        reference_id=bytes.fromhex(fields[0]),
        reference=fields[1],
        stratum=int(fields[2]),
        reference_ns=_instant_ns(fields[3]),
        **dict(zip(_NUMBERS, numbers, strict=True)),
        leap=_LEAPS[fields[13]],
    )


_NUMBERS: Final = (
    "correction_s",
    "last_offset_s",
    "rms_offset_s",
    "frequency_ppm",
    "residual_ppm",
    "skew_ppm",
    "root_delay_s",
    "root_dispersion_s",
    "interval_s",
)
_NOT_NEGATIVE: Final = frozenset({"rms_offset_s", "skew_ppm", "root_delay_s", "root_dispersion_s", "interval_s"})


class Around(msgspec.Struct, frozen=True):
    """The clocks just before and just after the question.

    Attributes:
        before_raw_ns, before_realtime_ns: the first pair; after_raw_ns, after_realtime_ns: the second one.
        window_ns: the wider of the two pairs' windows.
    """

    before_raw_ns: int
    before_realtime_ns: int
    after_raw_ns: int
    after_realtime_ns: int
    window_ns: int


def sample_of(tracking: Tracking, around: Around, config: NtpConfig) -> Sample | Refusal:
    """The sample that an answer makes, or why it makes none.

    True UTC = CLOCK_REALTIME + correction, so theta = (CLOCK_REALTIME - raw) + correction, at the middle of the
    question. The root distance is

        root delay / 2 + root dispersion + skew * age + what the question itself leaves open

    with the age of chronyd's last update. chronyd's dispersion has grown with its skew already; counting it again is
    for the frequency that nobody has checked since. The whole root delay counts as this exchange's round trip: where
    chronyd sits in the way to the primary server changes nothing in what may be wrong.
    """
    if tracking.leap == 3 or tracking.reference_ns == 0 or tracking.reference_id in (_LOCAL, bytes(4)):
        return Refusal.UNSYNCHRONISED
    if not 1 <= tracking.stratum <= 15:
        return Refusal.BAD_STRATUM
    if not config.min_stratum <= tracking.stratum <= config.max_stratum:
        return Refusal.STRATUM_LIMIT
    if tracking.root_delay_s > config.max_delay_s:
        return Refusal.LONG_DELAY
    span_ns = around.after_raw_ns - around.before_raw_ns
    before_ns = around.before_realtime_ns - around.before_raw_ns
    after_ns = around.after_realtime_ns - around.after_raw_ns
    theta_system_ns = (before_ns + after_ns) // 2
    realtime_ns = (around.before_realtime_ns + around.after_realtime_ns) // 2
    age_s = max(ns_to_s(realtime_ns + s_to_ns(tracking.correction_s) - tracking.reference_ns), 0.0)
    # The instant of the answer lies somewhere between the pairs, while the system clock is steered or drifts.
    rate = (abs(tracking.frequency_ppm) + abs(tracking.residual_ppm)) * PPM
    open_s = (ns_to_s(abs(after_ns - before_ns) + around.window_ns) + ns_to_s(span_ns) * rate) / 2
    skew = max(tracking.skew_ppm * PPM, _LEAST_SKEW)
    sample = Sample(
        raw_ns=(around.before_raw_ns + around.after_raw_ns) // 2,
        theta_ns=theta_system_ns + s_to_ns(tracking.correction_s),
        delay_ns=s_to_ns(tracking.root_delay_s),
        span_ns=span_ns,
        precision_s=open_s + skew * age_s,
        root_delay_s=0.0,
        root_dispersion_s=tracking.root_dispersion_s,
        stratum=tracking.stratum,
        leap=tracking.leap,
        reference_id=tracking.reference_id,
        transmit=tracking.reference_ns,
        realtime_theta_ns=theta_system_ns,
    )
    if sample.root_distance_s > config.max_root_distance_s:
        return Refusal.ROOT_DISTANCE
    return sample


def _number(name: str, text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{name} is {text[:32]!r}, not a number")
    value = float(text)
    assert math.isfinite(value)
    return value


def _instant_ns(text: str) -> int:
    """Seconds since 1970 in digits, as whole nanoseconds: a double would round them."""
    if not _NUMBER.fullmatch(text) or text.startswith("-"):
        raise ValueError(f"reference time is {text[:32]!r}, not an instant")
    seconds, _, fraction = text.partition(".")
    return int(seconds) * 10**9 + int(fraction.ljust(9, "0")[:9])

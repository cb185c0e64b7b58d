"""The status of the clock as of the moment in which it is asked for. Pure."""

from typing import Any

from chronotick.wire.snapshot import Record, Status

# What is said of a clock whatever its status.
ALWAYS = ("status", "sentence", "epoch", "warm_up")


def as_of_now(clock: dict[str, Any], record: Record, raw_ns: int, realtime_ns: int) -> dict[str, Any]:
    """The section `clock`, made up to a second ago, with what readers of the snapshot see at this instant.

    So `status` and `now` never contradict each other: not while a host that has measured nothing yet goes on with the
    time of the one before, nor in the second after a bound has run out.

    Args:
        clock: as `chronotick.ops.report.clock_section` made it.
        record: what is published now.
        raw_ns, realtime_ns: the raw and the system clock at one instant.
    """
    status = record.status_at(raw_ns)
    sentence = clock["sentence"]
    if status is Status.UNKNOWN:
        if clock["status"] != status:
            sentence = f"What was known is void. {sentence}"
        return {name: clock[name] for name in ALWAYS} | {"status": str(status), "sentence": sentence}
    if clock["status"] == Status.UNKNOWN:
        sentence = f"The time of this host's last run goes on, with growing bounds. {sentence}"
    utc_ns = record.utc_ns(raw_ns)
    before: dict[str, Any] = {"rate_ppm": record.rate * 1e6, "fixes": 0, "restarts": 0}
    return (
        before
        | clock
        | {
            "status": str(status),
            "sentence": sentence,
            "epoch": record.epoch,
            "utc_ns": str(utc_ns),
            "half_width_95_us": record.half_width_95_ns(raw_ns) / 1e3,
            "sigma_us": record.sigma_ns(raw_ns) / 1e3,
            "hard_width_us": (record.latest_ns(raw_ns) - record.earliest_ns(raw_ns)) / 1e3,
            "system_offset_us": (utc_ns - realtime_ns) / 1e3,
            "age_s": (raw_ns - record.fix_raw_ns) / 1e9,
            "source": list(record.source),
        }
    )

"""What the view has seen so far, as series ready for sparklines."""

from typing import Any

from chronotick.cli.live.gather import Frame
from chronotick.cli.live.series import Series


class Past:
    """Series of everything that is drawn over time.

    Attributes:
        begun_s: of the first frame, monotonic s.
        offset_s, half_95_s, hard_s, rate_ppm: of the clock.
        weights: by model. skills: by candidate, the mean over the horizons that were scored.
    """

    def __init__(self, span_s: float, interval_s: float) -> None:
        """Args: how far back is shown, s; time between two looks, s."""
        self.span_s = span_s
        # Looks come a little late; a value missing for longer than this is a gap.
        self._hold_s = 2.5 * interval_s
        self.begun_s: float | None = None
        self.offset_s: Series = self._series()
        self.half_95_s: Series = self._series()
        self.hard_s: Series = self._series()
        self.rate_ppm: Series = self._series()
        self.weights: dict[str, Series] = {}
        self.skills: dict[str, Series] = {}

    def take(self, frame: Frame) -> None:
        """Remember one look."""
        if self.begun_s is None:
            self.begun_s = frame.at_s
        clock = frame.sections["clock"] if frame.sections else {}
        known = frame.reading is not None and frame.reading.status != "UNKNOWN"
        for series, value in (
            (self.offset_s, _scaled(clock.get("system_offset_us"), 1e-6)),
            (self.rate_ppm, clock.get("rate_ppm")),
            (self.half_95_s, frame.reading.half_width_95_ns / 1e9 if known and frame.reading else None),
            (
                self.hard_s,
                (frame.reading.latest_ns - frame.reading.earliest_ns) / 1e9 if known and frame.reading else None,
            ),
        ):
            series.add(frame.at_s, value)
        if frame.sections:
            for row in frame.sections["plugins"]:
                self.weights.setdefault(row["name"], self._series()).add(frame.at_s, row["weight"])
            for name, rungs in by_candidate(frame.sections["forecasts"]["candidates"]).items():
                self.skills.setdefault(name, self._series()).add(frame.at_s, mean_skill(rungs))

    def _series(self) -> Series:
        return Series(self.span_s, self._hold_s)

    def shown_s(self, now_s: float) -> float:
        """How much time the sparklines show."""
        return 0.0 if self.begun_s is None else min(now_s - self.begun_s, self.span_s)


def by_candidate(candidates: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The gate's rows by candidate, shortest horizon first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in sorted(candidates, key=lambda one: float(one["horizon_s"])):
        found.setdefault(one["candidate"], []).append(one)
    return found


def mean_skill(rungs: list[dict[str, Any]]) -> float | None:
    """Share of the floor's loss that a candidate saves, over the horizons at which it was scored."""
    gains = [one["gain"] for one in rungs if one["n_eff"] > 0]
    return sum(gains) / len(gains) if gains else None


def _scaled(value: float | None, by: float) -> float | None:
    return None if value is None else value * by

"""What a replay found: snapshots compared, those that differ, and how a what-if would have answered."""

from array import array
from collections import Counter
from typing import Any, Final

import numpy as np

from chronotick.core import Core
from chronotick.store.entries import Published
from chronotick.store.replay import Moment
from chronotick.units import NS_PER_S
from chronotick.wire.levels import AT_95
from chronotick.wire.snapshot import Status

# Differing snapshots that are shown one by one.
SHOWN: Final = 10
# What is compared field by field where a digest differs.
FIELDS: Final = (
    "status",
    "epoch",
    "theta_ns",
    "rate",
    "sigma_s",
    "half_width_95_s",
    "earliest_theta_ns",
    "latest_theta_ns",
)


class Tally:
    """Counts what it is shown."""

    def __init__(self) -> None:
        self.compared: int = 0
        self.differing: int = 0
        self.first_utc_ns: int = 0
        self.last_utc_ns: int = 0
        self._shown: list[dict[str, Any]] = []
        self._what_if = _WhatIf()

    def take(self, moment: Moment) -> None:
        """One replayed publication."""
        if not self.compared:
            self.first_utc_ns = moment.utc_ns
        self.last_utc_ns = moment.utc_ns
        self.compared += 1
        if not moment.same:
            self.differing += 1
            if len(self._shown) < SHOWN:
                self._shown.append({"utc_ns": str(moment.utc_ns), "fields": _apart(moment.logged, moment.replayed)})
        if moment.other is not None:
            self._what_if.take(moment.core, moment.other, moment.logged.raw_ns)

    def document(self) -> dict[str, Any]:
        """The counts as plain maps."""
        return {
            "compared": self.compared,
            "differing": self.differing,
            "differences": self._shown,
            "from_utc_ns": str(self.first_utc_ns),
            "to_utc_ns": str(self.last_utc_ns),
            "span_s": (self.last_utc_ns - self.first_utc_ns) / NS_PER_S,
        }

    def what_if(self) -> dict[str, Any]:
        """The what-if as plain maps."""
        return self._what_if.document()


class _WhatIf:
    def __init__(self) -> None:
        self._apart_ns = array("q")
        self._widths = {name: array("d") for name in ("log half", "log hard", "other half", "other hard")}
        self._statuses = {"log": Counter[str](), "other": Counter[str]()}
        self._weights = {"log": Counter[str](), "other": Counter[str]()}

    def take(self, core: Core, other: Core, raw_ns: int) -> None:
        for name, one in (("log", core), ("other", other)):
            self._statuses[name][one.status.value] += 1
            self._weights[name].update(one.weights)
        records = core.issuer.record, other.issuer.record
        if any(record.status is Status.UNKNOWN for record in records):
            return
        self._apart_ns.append(records[1].utc_ns(raw_ns) - records[0].utc_ns(raw_ns))
        for name, record in zip(("log", "other"), records, strict=True):
            self._widths[f"{name} half"].append(record.half_widths_s[AT_95] * 1e6)
            self._widths[f"{name} hard"].append((record.latest_ns(raw_ns) - record.earliest_ns(raw_ns)) / 1e3)

    def document(self) -> dict[str, Any]:
        apart_us = np.abs(np.array(self._apart_ns, np.float64)) / 1e3
        known = len(apart_us) > 0
        return {
            "answers": len(apart_us),
            "apart_us": {
                "median": float(np.median(apart_us)) if known else None,
                "p95": float(np.percentile(apart_us, 95)) if known else None,
                "max": float(apart_us.max()) if known else None,
            },
            "log": self._side("log"),
            "changed": self._side("other"),
        }

    def _side(self, name: str) -> dict[str, Any]:
        said = sum(self._statuses[name].values())
        half, hard = self._widths[f"{name} half"], self._widths[f"{name} hard"]
        return {
            "half_width_95_us": float(np.median(half)) if half else None,
            "hard_width_us": float(np.median(hard)) if hard else None,
            "statuses": dict(self._statuses[name]),
            "weights": {one: weight / said for one, weight in self._weights[name].items()},
        }


def _apart(logged: Published, replayed: Published) -> dict[str, list[Any]]:
    """The fields that differ, as logged and as replayed; none where only others do."""
    pairs = {name: [getattr(logged, name), getattr(replayed, name)] for name in FIELDS}
    return {name: [str(one) for one in pair] for name, pair in pairs.items() if pair[0] != pair[1]}

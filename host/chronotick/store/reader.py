"""An event log as measurements, for programs that want no replay: the exchanges, and the fixes that came of them."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from chronotick.clock.tuning import Tuning
from chronotick.config.schema import Config
from chronotick.inputs import Disrupted, Heard
from chronotick.ntp.associations import Associations
from chronotick.ntp.fix import Fix
from chronotick.ntp.outcome import Outcome
from chronotick.store.segments import Segment, segments


def config_of(segment: Segment) -> Config:
    """The configuration that a segment was written under. Keys that this version does not know are left out.

    Raises:
        StoreError: a value has become impossible.
    """
    return msgspec.convert(segment.header.config, Config)


def outcomes(place: Path) -> Iterator[tuple[int, Outcome]]:
    """Each exchange of a log, and the raw clock when it was taken up, ns; oldest first.

    Args:
        place: a folder of segments, or one segment.

    Raises:
        StoreError: there is no event log, or it is damaged.
    """
    for segment in segments(place):
        for entry in segment.entries():
            if isinstance(entry, Heard):
                yield entry.raw_ns, entry.outcome


def fixes(place: Path) -> Iterator[Fix]:
    """The fixes that the vote made of the exchanges of a log, oldest first.

    Where a log has segments of several runs of the host, the vote begins anew with each; the raw clocks of two boots
    have nothing to do with each other.

    Raises:
        StoreError: as `outcomes`.
    """
    run: int | None = None
    table: Associations | None = None
    void_before_ns = 0
    for segment in segments(place):
        if table is None or segment.header.instance != run:
            config = config_of(segment)
            table = Associations.of(config.ntp, Tuning.of(config.clock).rate_bound, config.interop.sources)
            run, void_before_ns = segment.header.instance, 0
        for entry in segment.entries():
            if isinstance(entry, Disrupted):
                table, void_before_ns = table.restarted(), entry.raw_ns
            elif isinstance(entry, Heard):
                sample = entry.outcome.sample
                if sample is not None and sample.raw_ns - sample.span_ns // 2 < void_before_ns:
                    continue
                step = table.step(entry.outcome, entry.raw_ns)
                table = step.associations
                if step.fix is not None:
                    yield step.fix

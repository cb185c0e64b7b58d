"""What was published, and what the system clock showed beside it: for stamps that were taken in the past. Pure.

A stamp of the raw clock is answered from the two lines that were published around it: the time from between their
anchors, the bound from where both hold. A stamp of the system clock is first brought to the raw clock. The system clock
is steered all the time and sometimes stepped, so the range of its distance from the raw clock is kept between any two
moments, and a stamp gives a range of raw instants: next to a step a wide one, and none for a time that it skipped.
"""

from collections import deque
from itertools import pairwise
from math import ceil
from typing import Final, NamedTuple

from chronotick.clock.discontinuity import LEAST_STEP_NS, MOST_STEERING, Reading
from chronotick.errors import ProtocolError
from chronotick.units import NS_PER_S
from chronotick.wire import messages
from chronotick.wire.codes import Code
from chronotick.wire.snapshot import Record, Status

# A moment is kept this often: six hours of them.
EVERY_NS: Final = 10 * NS_PER_S
MOMENTS: Final = 2160


class Moment(NamedTuple):
    """What held at a raw instant.

    Attributes:
        raw_ns: the instant.
        apart_ns: CLOCK_REALTIME minus the raw clock.
        low_ns, high_ns: range of `apart_ns` since the moment before.
        record: what was published.
        stepped: the system clock was set since the moment before, which is kept: `apart_ns` was near one or the other.
    """

    raw_ns: int
    apart_ns: int
    low_ns: int
    high_ns: int
    record: Record
    stepped: bool = False


class Past:
    """The last hours. Fed by the host's loop; may be asked by any thread."""

    def __init__(self) -> None:
        self._kept: deque[Moment] = deque(maxlen=MOMENTS)
        self._tip: Moment | None = None

    def feed(self, record: Record, reading: Reading) -> None:
        """Take what is published, and all clocks, at one instant. To be called about once a second."""
        tip = self._tip
        if tip is not None and reading.raw_ns < tip.raw_ns:
            # The raw clock went back (another machine under this one): nothing of before can be placed any more.
            self._kept.clear()
            tip = None
        if tip is None:
            apart = reading.realtime_ns - reading.raw_ns
            self._tip = Moment(reading.raw_ns, apart, apart - reading.window_ns, apart + reading.window_ns, record)
            self._kept.append(self._tip)
            return
        made = _after(tip, reading, record)
        if made.stepped or record.epoch != tip.record.epoch:
            if tip is not self._kept[-1]:
                self._kept.append(tip)
            self._kept.append(made)
        else:
            if tip is not self._kept[-1]:
                made = made._replace(low_ns=min(made.low_ns, tip.low_ns), high_ns=max(made.high_ns, tip.high_ns))
            if made.raw_ns - self._kept[-1].raw_ns >= EVERY_NS:
                self._kept.append(made)
        self._tip = made

    def reading_at(self, question: messages.Convert, record: Record, now: Reading) -> messages.Reading:
        """The answer to a question about a past stamp.

        Args:
            record: what is published now; now: all clocks.

        Raises:
            ProtocolError: `out_of_range` for a stamp of the future, of before this boot, of before the host began to
                watch, or that the system clock never showed; `no_time` when nothing is known of that time;
                `bad_message` for no stamp or two.
        """
        moments = self._moments(record, now)
        if (question.raw_ns is None) == (question.realtime_ns is None):
            raise ProtocolError(Code.BAD_MESSAGE, "A stamp to convert is either raw_ns or realtime_ns.")
        if question.raw_ns is not None:
            low = high = question.raw_ns
        else:
            assert question.realtime_ns is not None
            low, high = _placed(question.realtime_ns, moments)
        if high > now.raw_ns:
            raise _refused(f"The stamp lies {high - now.raw_ns} ns in the future: only past stamps can be converted.")
        if low < 0:
            raise _refused("The stamp lies before this boot: its raw clock is not this one's.")
        return _reading(low, high, moments, question.id)

    def _moments(self, record: Record, now: Reading) -> tuple[Moment, ...]:
        kept, tip = tuple(self._kept), self._tip
        if tip is None or now.raw_ns < tip.raw_ns:
            apart = now.realtime_ns - now.raw_ns
            return (Moment(now.raw_ns, apart, apart - now.window_ns, apart + now.window_ns, record),)
        ends = (tip, _after(tip, now, record))
        return (*kept, *ends) if kept and kept[-1] is not tip else (*kept[:-1], *ends)


def _after(before: Moment, now: Reading, record: Record) -> Moment:
    apart = now.realtime_ns - now.raw_ns
    steered = ceil(MOST_STEERING * (now.raw_ns - before.raw_ns))
    # Between two looks it may have been steered away and back.
    slack = now.window_ns + steered // 2
    low, high = min(apart, before.apart_ns) - slack, max(apart, before.apart_ns) + slack
    stepped = abs(apart - before.apart_ns) > LEAST_STEP_NS + now.window_ns + steered
    return Moment(now.raw_ns, apart, low, high, record, stepped)


def _ranges(begin: Moment, end: Moment) -> tuple[tuple[int, int], ...]:
    """Where the system clock was against the raw clock between two moments."""
    if not end.stepped:
        return ((end.low_ns, end.high_ns),)
    near = LEAST_STEP_NS + ceil(MOST_STEERING * (end.raw_ns - begin.raw_ns))
    return tuple((apart - near, apart + near) for apart in (begin.apart_ns, end.apart_ns))


def _placed(realtime_ns: int, moments: tuple[Moment, ...]) -> tuple[int, int]:
    """The raw instants at which the system clock can have shown this."""
    found = []
    for begin, end in pairwise(moments):
        for low, high in _ranges(begin, end):
            first, last = max(begin.raw_ns, realtime_ns - high), min(end.raw_ns, realtime_ns - low)
            if first <= last:
                found.append((first, last))
    if found:
        return min(first for first, _ in found), max(last for _, last in found)
    if realtime_ns > moments[-1].raw_ns + moments[-1].apart_ns:
        raise _refused("The stamp lies in the future of the system clock: only past stamps can be converted.")
    if realtime_ns < min(moment.raw_ns + moment.apart_ns for moment in moments):
        watched_s = (moments[-1].raw_ns - moments[0].raw_ns) / NS_PER_S
        raise _refused(
            f"The host has watched the system clock for {watched_s:.0f} s only; what it showed before is not known."
        )
    raise _refused("The system clock never showed this time: it was stepped over it.")


def _reading(low: int, high: int, moments: tuple[Moment, ...], number: int) -> messages.Reading:
    """The answer for an instant between two raw instants (inclusive), from the lines published around it."""
    middle = (low + high) // 2
    known = [moment.record for moment in moments if moment.record.status_at(moment.raw_ns) is not Status.UNKNOWN]
    before = next((one for one in reversed(known) if one.raw_ns <= low and one.void_raw_ns > high), None)
    after = next((one for one in known if one.raw_ns >= high), None)
    line = before or after
    if line is None:
        raise ProtocolError(Code.NO_TIME, "Nothing is known of the time of that stamp.")
    earliest, latest = _bounds(low, high, before, after)
    if before is not None and after is not None and before.epoch == after.epoch:
        # Between two anchors the readers were told about what lies on the straight line between the two.
        share = (middle - before.raw_ns) / max(after.raw_ns - before.raw_ns, 1)
        utc = middle + before.theta_ns + round(share * (after.theta_ns - before.theta_ns))
        sigma, half = (max(one) for one in zip(_spread(before), _spread(after), strict=True))
    else:
        # A line speaks for the second after it; further off its spread is not known: it grows like the hard interval.
        far = abs(middle - line.raw_ns)
        utc = middle + line.theta_ns + int(line.rate * (middle - line.raw_ns))
        sigma, half = (spread + ceil(line.bound_growth * far) for spread in _spread(line))
    utc = min(max(utc, earliest), latest)
    sigma, half = sigma + (high - low + 1) // 2, half + (high - low + 1) // 2
    return messages.Reading(
        id=number,
        utc_ns=utc,
        earliest_ns=earliest,
        latest_ns=latest,
        low_95_ns=max(utc - half, earliest),
        high_95_ns=min(utc + half, latest),
        sigma_ns=sigma,
        status=(line.status_at(middle) if before else line.status).value,
        raw_ns=middle,
        as_of_utc_ns=utc + line.fix_raw_ns - middle if line.fix_raw_ns else 0,
        age_ns=abs(middle - line.fix_raw_ns),
        source=line.source,
        epoch=line.epoch,
        sequence=line.sequence,
        host_instance=line.host_instance,
    )


def _spread(line: Record) -> tuple[int, int]:
    return line.sigma_ns(line.raw_ns), line.half_width_95_ns(line.raw_ns)


def _bounds(low: int, high: int, before: Record | None, after: Record | None) -> tuple[int, int]:
    """The hard interval: both lines hold in one epoch; across a discontinuity either may be the one that does."""
    each = [(line.earliest_ns(low), line.latest_ns(high)) for line in (before, after) if line is not None]
    if before is None and after is not None:
        # Older than all that was published: what the machine slept since, the raw clock has not counted.
        each = [(earliest - after.suspended_ns, latest) for earliest, latest in each]
    one_epoch = before is not None and after is not None and before.epoch == after.epoch
    inner = max(earliest for earliest, _ in each), min(latest for _, latest in each)
    if one_epoch and inner[0] <= inner[1]:
        return inner
    return min(earliest for earliest, _ in each), max(latest for _, latest in each)


def _refused(sentence: str) -> ProtocolError:
    return ProtocolError(Code.OUT_OF_RANGE, sentence)

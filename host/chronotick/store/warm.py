"""What is saved for the next start: the core's parts, and when and on which boot they stood."""

from typing import Any, Final

import msgspec

from chronotick.clock.discontinuity import Kind
from chronotick.core import Core
from chronotick.errors import StoreError
from chronotick.inputs import Disrupted
from chronotick.store import state
from chronotick.units import NS_PER_S
from chronotick.wire.boot import SUSPENDED_TOLERANCE_NS

VERSION: Final = 1
# Parts that a start makes anew: who answers and who is asked is found out again within seconds.
_ANEW: Final = frozenset({"pipeline.associations", "pipeline.schedule", "pipeline.not_ready"})


class Saved(msgspec.Struct, frozen=True, array_like=True):
    """A core at one instant.

    Attributes:
        version: of this struct.
        boot: `chronotick.wire.boot.boot_hash()`: raw clocks are common where it is equal.
        raw_ns, realtime_ns, suspended_ns: clocks when it was saved.
        prints, parts: of `store.state`.
    """

    version: int
    boot: int
    raw_ns: int
    realtime_ns: int
    suspended_ns: int
    prints: dict[str, bytes]
    parts: bytes


class Now(msgspec.Struct, frozen=True):
    """This boot, and its clocks at this instant; as in `Saved`."""

    boot: int
    raw_ns: int
    realtime_ns: int
    suspended_ns: int


def save(core: Core, prints: dict[str, bytes], now: Now) -> bytes:
    """What `resume` takes.

    Raises:
        StoreError: the core holds what is no decision state.
    """
    saved = Saved(VERSION, now.boot, now.raw_ns, now.realtime_ns, now.suspended_ns, prints, state.export(core))
    return msgspec.msgpack.encode(saved)


def load(content: bytes) -> Saved:
    """What was saved.

    Raises:
        StoreError: it is damaged or of another version.
    """
    try:
        saved = msgspec.msgpack.decode(content, type=Saved)
    except (msgspec.MsgspecError, ValueError) as error:
        raise StoreError(f"The saved state is damaged: {error}.") from error
    if saved.version != VERSION:
        raise StoreError(f"The saved state has version {saved.version}, this program reads {VERSION}.")
    return saved


def resume(core: Core, saved: Saved, prints: dict[str, bytes], now: Now) -> str:
    """Go on in a new core from what was saved in this boot. Returns what was done, as a sentence.

    Nothing is taken over where the raw clock is another's, where other servers are asked (theirs may be another time,
    as a lab's is), and where the last fix is too old to be served. Where the machine slept since, the core is told so
    afterwards: what is known of the oscillator stays.

    Raises:
        StoreError: the parts are damaged or of another version; the core is as new.
    """
    if saved.boot != now.boot or saved.raw_ns > now.raw_ns:
        return "the machine was started anew since the last run"
    if saved.prints.get("pipeline.associations") != prints.get("pipeline.associations"):
        return "other servers are asked than in the last run"
    fresh: dict[str, Any] = state.parts(core)
    wanted = {name for name in fresh if name.startswith("pipeline.") and name not in _ANEW} | {"condition"}
    left = state.restore(core, saved.parts, saved.prints, only=wanted)
    if "pipeline.floor" in left or "condition" in left or core.condition.void_raw_ns <= now.raw_ns:
        for name in wanted - set(left):
            owner = core.pipeline if name.startswith("pipeline.") else core
            setattr(owner, name.removeprefix("pipeline."), fresh[name])
        return "the last run's fixes are too old, or its clock was configured otherwise"
    age_s = (now.raw_ns - saved.raw_ns) / NS_PER_S
    slept_ns = now.suspended_ns - saved.suspended_ns
    if abs(slept_ns) > SUSPENDED_TOLERANCE_NS:
        core.disrupt(Disrupted(now.raw_ns, Kind.SUSPEND))
        slept_s = slept_ns / NS_PER_S
        return f"going on from the last run's state of {age_s:.0f} s ago; the machine slept for {slept_s:.0f} s"
    anew = f", without its {', '.join(left)}" if left else ""
    return f"going on from the last run's state of {age_s:.0f} s ago{anew}"

"""What is saved for the next start, and what the next start makes of it.

In the same boot the core goes on as if it had only waited. After a reboot, and where the last fix is too old to be
served, what describes the oscillator and the paths is kept, never an offset: the rate with a wide sigma, the noise and
wander that the bank has learned, delays and asymmetries, who has earned a say at which horizon, and how wide intervals
have to be. That is what a suspension of the machine leaves too, and so it is done: the parts are restored, their
instants are moved to the new raw clock, and the pipeline is told of a suspension.
"""

from collections.abc import Collection
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
# Parts that a start makes anew in any case: who answers and who is asked is found out again within seconds.
_ANEW: Final = frozenset({"pipeline.associations", "pipeline.schedule", "pipeline.not_ready"})
# Parts that say something of the oscillator and the paths.
_LEARNED: Final = ("pipeline.floor", "pipeline.alignment", "pipeline.fusion")
# A machine that was off for longer than this has a wrong system clock, ns.
_MOST_OFF_NS: Final = 366 * 86_400 * NS_PER_S


class Now(msgspec.Struct, frozen=True, array_like=True):
    """The clocks at one instant.

    Attributes:
        boot: `chronotick.wire.boot.boot_hash()`: raw clocks are common where it is equal.
        raw_ns, realtime_ns: raw and system clock.
        suspended_ns: what the machine has slept since it booted.
    """

    boot: int
    raw_ns: int
    realtime_ns: int
    suspended_ns: int


class Saved(msgspec.Struct, frozen=True, array_like=True):
    """A core at one instant.

    Attributes:
        version: of this struct.
        at: when.
        servers: who was asked.
        prints, parts: of `store.state`.
    """

    version: int
    at: Now
    servers: tuple[str, ...]
    prints: dict[str, bytes]
    parts: bytes


def save(core: Core, prints: dict[str, bytes], now: Now) -> bytes:
    """What `begin` takes, as bytes.

    Raises:
        StoreError: the core holds what is no decision state.
    """
    return msgspec.msgpack.encode(Saved(VERSION, now, _servers(core), prints, state.export(core)))


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


def begin(core: Core, saved: Saved, now: Now) -> str:
    """Give a new core what the last run left. Returns what was done, as a sentence.

    Raises:
        StoreError: the parts are damaged or of another version; the core is as new.
    """
    if not set(saved.servers) & set(_servers(core)):
        # Theirs may be another time, as a lab's is.
        return "starting cold: no server of the last run is asked any more"
    same_boot = saved.at.boot == now.boot and saved.at.raw_ns <= now.raw_ns
    if same_boot and saved.servers == _servers(core) and _resume(core, saved, now):
        age_s = (now.raw_ns - saved.at.raw_ns) / NS_PER_S
        slept_ns = now.suspended_ns - saved.at.suspended_ns
        said = f"going on from the last run's state of {age_s:.0f} s ago"
        if abs(slept_ns) <= SUSPENDED_TOLERANCE_NS:
            return said
        core.disrupt(Disrupted(now.raw_ns, Kind.SUSPEND))
        return f"{said}; the machine slept for {slept_ns / NS_PER_S:.0f} s since"
    if _learned(core, saved, now, same_boot=same_boot):
        why = "its fixes are too old or from other servers" if same_boot else "the machine was started anew"
        return f"keeping what the last run learned of oscillator and paths, but no time: {why}"
    return "starting cold: the last run's clock was configured otherwise"


def _resume(core: Core, saved: Saved, now: Now) -> bool:
    fresh = state.parts(core)
    wanted = {name for name in fresh if name.startswith("pipeline.") and name not in _ANEW} | {"condition"}
    left = state.restore(core, saved.parts, saved.prints, only=wanted)
    if not {"pipeline.floor", "condition"} & set(left) and now.raw_ns < core.condition.void_raw_ns:
        return True
    _put_back(core, fresh, wanted)
    return False


def _learned(core: Core, saved: Saved, now: Now, *, same_boot: bool) -> bool:
    left = state.restore(core, saved.parts, saved.prints, only=_LEARNED)
    if "pipeline.floor" in left:
        fresh = type(core)(core.config, core.issuer)
        _put_back(core, state.parts(fresh), _LEARNED)
        return False
    if not same_boot:
        off_ns = now.realtime_ns - saved.at.realtime_ns
        off_ns = off_ns if 0 <= off_ns <= _MOST_OFF_NS else 0
        core.pipeline.fusion.rebase(now.raw_ns - saved.at.raw_ns - off_ns)
    core.pipeline.disrupt(now.raw_ns, Kind.SUSPEND)
    return True


def _put_back(core: Core, fresh: dict[str, Any], names: Collection[str]) -> None:
    for name in names:
        owner = core.pipeline if name.startswith("pipeline.") else core
        setattr(owner, name.removeprefix("pipeline."), fresh[name])


def _servers(core: Core) -> tuple[str, ...]:
    return tuple(one.name for one in core.pipeline.associations.servers)

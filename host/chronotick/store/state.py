"""The core's whole state to bytes, and back into a fresh core.

Every attribute of the core and of its pipeline is a part. Beside each part stands a digest of what it was in the core
when that was new: a part goes back only into a core whose new part has the same digest, that is, one with the same
configuration and constants behind it. So another configuration, or another version's constants, costs those parts
that rest on them and no others.
"""

from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Any, Final

from chronotick.core import Core
from chronotick.errors import StoreError
from chronotick.store import codec

_PIPELINE: Final = "pipeline."
# What is published goes on from where it was, whatever the configuration.
_ALWAYS: Final = frozenset({"issuer"})
# What is not state: the configuration, and the pipeline itself, whose attributes are parts of their own.
_NOT_PARTS: Final = frozenset({"config", "pipeline"})


def parts(core: Core) -> dict[str, Any]:
    """The parts by name: `pipeline.floor`, ..., `condition`, `issuer`, ..."""
    found = {_PIPELINE + name: value for name, value in vars(core.pipeline).items()}
    return found | {name: value for name, value in vars(core).items() if name not in _NOT_PARTS}


def prints(core: Core) -> dict[str, bytes]:
    """The digest of each part of a core that has not met any input yet."""
    known = _externals(core)
    return {
        name: blake2b(codec.encode(one, known), digest_size=16).digest()
        for name, one in parts(core).items()
        if name not in _ALWAYS
    }


def export(core: Core) -> bytes:
    """All parts, as they stand.

    Raises:
        StoreError: one holds what is no decision state.
    """
    return codec.encode(parts(core), _externals(core))


def restore(
    core: Core, state: bytes, written: Mapping[str, bytes], *, only: Collection[str] | None = None
) -> tuple[str, ...]:
    """Put exported parts back into a fresh core.

    Args:
        written: `prints` of the core that `state` was exported from, when it was new.
        only: names of the parts that are wanted; None for all.

    Returns:
        Names of the wanted parts that do not fit this core and were left new.

    Raises:
        StoreError: the state is damaged or of another version; the core is as new.
    """
    fresh = prints(core)
    read = codec.decode(state, _externals(core))
    if not isinstance(read, dict):
        raise StoreError("A stored state is damaged: it has no parts.")
    wanted = [name for name in parts(core) if only is None or name in only]
    left = tuple(name for name in wanted if name not in read or written.get(name) != fresh.get(name))
    for name in wanted:
        if name not in left:
            owner = core.pipeline if name.startswith(_PIPELINE) else core
            setattr(owner, name.removeprefix(_PIPELINE), read[name])
    return left


def _externals(core: Core) -> dict[str, Any]:
    """What every core has by itself. The tuning is one only as long as the physics run at the same pace."""
    config = core.config
    return {
        "ntp": config.ntp,
        "clock": config.clock,
        "fusion": config.fusion,
        "publish": config.publish,
        f"tuning x{config.clock.time_compression:g}": core.pipeline.tuning,
    }

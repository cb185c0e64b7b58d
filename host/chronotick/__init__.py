"""ChronoTick: a user-space clock for distributed agents. Now, and the interval that holds true time.

    from chronotick import Clock

    reading = Clock().now()

What is named here is loaded when it is first used, so that importing the package costs nothing.
"""

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from chronotick.client.aio import AsyncClock
    from chronotick.client.clock import Clock
    from chronotick.client.compare import Comparison, Order, compare
    from chronotick.client.elapsed import Elapsed
    from chronotick.client.hlc import Hlc, HlcStamp
    from chronotick.client.instant import Bounded, Instant
    from chronotick.client.reading import Reading
    from chronotick.client.seed import ChronoTickClient, CorrectedTime, get_current_time
    from chronotick.client.stamped import Stamped, verify_offline
    from chronotick.client.watch import Change
    from chronotick.errors import (
        ChronoTickError,
        ClockError,
        ClockUnknown,
        ConfigError,
        HostAbsent,
        OutOfRange,
        RemoteRefused,
        RuntimeDirError,
        SnapshotInvalid,
        TokenRefused,
        WaitTimeout,
        WidthExceeded,
    )
    from chronotick.wire.snapshot import Status

__all__ = [
    "AsyncClock",
    "Bounded",
    "Change",
    "ChronoTickClient",
    "ChronoTickError",
    "Clock",
    "ClockError",
    "ClockUnknown",
    "Comparison",
    "ConfigError",
    "CorrectedTime",
    "Elapsed",
    "Hlc",
    "HlcStamp",
    "HostAbsent",
    "Instant",
    "Order",
    "OutOfRange",
    "Reading",
    "RemoteRefused",
    "RuntimeDirError",
    "SnapshotInvalid",
    "Stamped",
    "Status",
    "TokenRefused",
    "WaitTimeout",
    "WidthExceeded",
    "compare",
    "get_current_time",
    "verify_offline",
]

_HOMES = {
    "AsyncClock": "client.aio",
    "Bounded": "client.instant",
    "Change": "client.watch",
    "ChronoTickClient": "client.seed",
    "Clock": "client.clock",
    "Comparison": "client.compare",
    "CorrectedTime": "client.seed",
    "Elapsed": "client.elapsed",
    "Hlc": "client.hlc",
    "HlcStamp": "client.hlc",
    "Instant": "client.instant",
    "Order": "client.compare",
    "Reading": "client.reading",
    "Stamped": "client.stamped",
    "Status": "wire.snapshot",
    "compare": "client.compare",
    "get_current_time": "client.seed",
    "verify_offline": "client.stamped",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'chronotick' has no attribute {name!r}")
    value: object = getattr(import_module(f"chronotick.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

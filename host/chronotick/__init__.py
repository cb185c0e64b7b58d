"""ChronoTick: a user-space clock for distributed agents. Now, and the interval that holds true time.

    from chronotick import Clock

    reading = Clock().now()

What is named here is loaded when it is first used, so that importing the package costs nothing.
"""

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from chronotick.client.clock import Clock
    from chronotick.client.reading import Reading
    from chronotick.errors import (
        ChronoTickError,
        ClockError,
        ClockUnknown,
        ConfigError,
        HostAbsent,
        SnapshotInvalid,
        WidthExceeded,
    )
    from chronotick.wire.snapshot import Status

__all__ = [
    "ChronoTickError",
    "Clock",
    "ClockError",
    "ClockUnknown",
    "ConfigError",
    "HostAbsent",
    "Reading",
    "SnapshotInvalid",
    "Status",
    "WidthExceeded",
]

_HOMES = {"Clock": "client.clock", "Reading": "client.reading", "Status": "wire.snapshot"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'chronotick' has no attribute {name!r}")
    value: object = getattr(import_module(f"chronotick.{_HOMES.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

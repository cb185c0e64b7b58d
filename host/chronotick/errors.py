"""Every error a user of ChronoTick can meet.

    ChronoTickError
    ├── ConfigError           a configuration file, key or value is wrong
    ├── ClockError            the client library can not answer
    │   ├── HostAbsent        no host runs, or none that this user can reach
    │   ├── SnapshotInvalid   the snapshot is damaged, foreign, or of another boot
    │   ├── ClockUnknown      the host runs but has no time it can stand for
    │   ├── WidthExceeded     the interval is wider than the caller allows
    │   ├── OutOfRange        an argument that no clock can answer for; also a ValueError
    │   ├── WaitTimeout       a wait took longer than its caller allows; also a TimeoutError
    │   ├── TokenRefused      a stamp that this host did not make, or that was altered
    │   └── RemoteRefused     a hybrid stamp too far ahead of this clock to be believed
    ├── PluginError           a model plugin, its manifest or its environment is wrong
    │   ├── EnvironmentBroken the plugin's environment is missing or not what its lock says
    │   └── ProtocolError     a message breaks the wire protocol; carries its error code
    ├── RuntimeDirError       the runtime directory or a socket in it can not be used
    ├── StoreError            a stored state or an event log is damaged, foreign or of another version
    └── LabError              a scenario of the simulated servers is wrong

Each carries one sentence that says what is wrong and, in `mend`, what to do about it.
"""


class ChronoTickError(Exception):
    """Base of all errors raised on purpose. `str()` gives the sentence and the mend."""

    def __init__(self, message: str, *, mend: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.mend = mend

    def __str__(self) -> str:
        if not self.mend:
            return self.message
        return self.message + ("" if self.mend[0].isspace() else " ") + self.mend


class ConfigError(ChronoTickError):
    """A configuration file, key or value is wrong."""


class ClockError(ChronoTickError):
    """The client library can not answer."""


class HostAbsent(ClockError):
    """No host runs, or none that this user can reach."""


class SnapshotInvalid(ClockError):
    """The snapshot is damaged, of a foreign layout, or of another boot."""


class ClockUnknown(ClockError):
    """The host has no time that it can stand for."""


class WidthExceeded(ClockError):
    """The interval is wider than the caller allows."""


class OutOfRange(ClockError, ValueError):
    """An argument outside what a clock can answer for: a level, a horizon, a target or a stamp."""


class WaitTimeout(ClockError, TimeoutError):
    """A wait took longer than its caller allows."""


class TokenRefused(ClockError):
    """A stamp that was not made by this host, was altered, or was made for another payload."""


class RemoteRefused(ClockError):
    """A hybrid logical stamp of another node that is too far ahead of this clock to be believed."""


class PluginError(ChronoTickError):
    """A model plugin, its manifest or its environment is wrong."""


class EnvironmentBroken(PluginError):
    """A plugin's environment is missing or is not what its lock says."""


class ProtocolError(PluginError):
    """A message breaks the wire protocol. `code` is one of `chronotick.wire.codes`.

    `request_id` is the id of the request at fault, where it could be read: what the error answer must carry.
    """

    def __init__(self, code: str, message: str, *, mend: str | None = None, request_id: int | None = None) -> None:
        super().__init__(message, mend=mend)
        self.code = code
        self.request_id = request_id


class RuntimeDirError(ChronoTickError):
    """The runtime directory, or a socket or file in it, can not be used."""


class StoreError(ChronoTickError):
    """A stored state or an event log is damaged, foreign, or of another version."""


class LabError(ChronoTickError):
    """A scenario of the simulated servers is wrong."""

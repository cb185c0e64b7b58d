"""What a plugin raises, and how any exception becomes an error message of the wire."""

import traceback
from typing import ClassVar

from chronotick.errors import PluginError, ProtocolError
from chronotick.wire.codes import Code, rule_for
from chronotick.wire.limits import TRACEBACK_BYTES
from chronotick.wire.messages import Error


class PluginFault(PluginError):
    """Base of what a plugin raises on purpose: one sentence, and in `mend` what to do about it."""

    code: ClassVar[Code] = Code.INTERNAL
    retryable: ClassVar[bool] = True


class WeightsMissing(PluginFault):
    """The weights are not on this machine and can not be fetched."""

    code = Code.WEIGHTS_MISSING
    retryable = False


class WeightsMismatch(PluginFault):
    """The weights are there but are not those asked for: another revision, architecture or checksum."""

    code = Code.WEIGHTS_MISMATCH
    retryable = False


class DeviceMissing(PluginFault):
    """The device asked for is not on this machine."""

    code = Code.DEVICE_MISSING
    retryable = False


class LoadFailed(PluginFault):
    """Loading failed in a way that may pass by itself."""

    code = Code.LOAD_FAILED


class BadParams(PluginFault):
    """A parameter has a value that this plugin does not know. Starting again would not help."""

    code = Code.LOAD_FAILED
    retryable = False


class OutOfMemory(PluginFault):
    """Memory ran out. MemoryError and torch's own error count as this one."""

    code = Code.OUT_OF_MEMORY


class BadWindow(PluginFault):
    """This window can not be forecast, and no window like it."""

    code = Code.BAD_WINDOW
    retryable = False


class BadOutput(PluginFault):
    """The model gave something that is no forecast."""

    code = Code.BAD_OUTPUT
    retryable = False


class Cancelled(PluginFault):
    """The model stopped because `Batch.cancelled()` said so."""

    code = Code.CANCELLED


def to_error(error: BaseException, *, request_id: int | None = None, loading: bool = False) -> Error:
    """The wire's form of an exception; traceback only for those that nobody raised on purpose."""
    if isinstance(error, PluginFault):
        return Error(id=request_id, code=error.code, message=error.message, retryable=error.retryable, mend=error.mend)
    if isinstance(error, ProtocolError):
        rule = rule_for(error.code)
        return Error(id=request_id, code=error.code, message=error.message, retryable=rule.retryable, mend=error.mend)
    code = Code.OUT_OF_MEMORY if is_out_of_memory(error) else Code.LOAD_FAILED if loading else Code.INTERNAL
    text = "".join(traceback.format_exception(error)).encode(errors="replace")
    return Error(
        id=request_id,
        code=code,
        message=f"{type(error).__name__}: {error}"[:2000],
        retryable=rule_for(code).retryable,
        exc_type=type(error).__name__,
        traceback=text[-TRACEBACK_BYTES:].decode(errors="replace"),
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, also by torch's types and texts, without importing torch."""
    if isinstance(error, MemoryError | OutOfMemory):
        return True
    if any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)

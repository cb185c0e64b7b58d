"""How exceptions become error messages."""

import pytest

from chronotick.errors import ProtocolError
from chronotick.sdk import BadParams, LoadFailed, OutOfMemory, PluginFault, WeightsMissing
from chronotick.sdk.errors import to_error
from chronotick.wire import codec
from chronotick.wire.codes import Code, rule_for


class OutOfMemoryError(RuntimeError):
    """Named like torch's."""


def all_faults() -> list[type[PluginFault]]:
    return PluginFault.__subclasses__()


def test_what_a_plugin_raises_keeps_its_code_sentence_and_mend() -> None:
    error = to_error(WeightsMissing("No weights.", mend="Fetch them."), request_id=3, loading=True)
    assert (error.id, error.code, error.message, error.mend) == (3, "weights_missing", "No weights.", "Fetch them.")
    assert not error.retryable
    assert error.traceback is None


@pytest.mark.parametrize("fault", [kind for kind in all_faults() if kind is not BadParams])
def test_each_fault_is_as_retryable_as_its_code(fault: type[PluginFault]) -> None:
    assert fault.retryable == rule_for(fault.code).retryable


def test_a_wrong_parameter_fails_the_load_for_good() -> None:
    error = to_error(BadParams("size is huge."), loading=True)
    assert (error.code, error.retryable) == (Code.LOAD_FAILED, False)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemory("Full."),
        OutOfMemoryError("CUDA out of memory."),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes."),
    ],
)
def test_lack_of_memory_is_known_in_all_its_forms(error: Exception) -> None:
    assert to_error(error).code == Code.OUT_OF_MEMORY


def test_other_exceptions_are_load_failed_or_internal() -> None:
    assert to_error(ValueError("x"), loading=True).code == Code.LOAD_FAILED
    assert to_error(ValueError("x")).code == Code.INTERNAL
    assert to_error(ProtocolError(Code.BAD_OUTPUT, "x"), request_id=1).code == Code.BAD_OUTPUT
    assert to_error(LoadFailed("x")).retryable


def test_a_traceback_is_cut_to_its_last_8_kib_and_can_be_sent() -> None:
    def deep(n: int) -> None:
        if n == 0:
            raise KeyError("\udcff" + "ä" * 20_000)
        deep(n - 1)

    with pytest.raises(KeyError) as caught:
        deep(50)
    error = to_error(caught.value)
    assert error.traceback is not None
    assert len(error.traceback.encode()) <= 8 * 1024
    assert len(error.message) <= 2000
    codec.decode(codec.encode(error))

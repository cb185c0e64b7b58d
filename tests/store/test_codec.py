"""The codec: what comes back is what went in, to the bit; what is no decision state goes neither in nor out."""

import contextlib
import math
import struct
from collections import deque
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chronotick.clock.discontinuity import Kind
from chronotick.clock.noise import NoiseScale
from chronotick.errors import StoreError
from chronotick.fusion.evidence import Evidence
from chronotick.store import codec
from chronotick.window.history import History
from chronotick.wire.snapshot import Status

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.integers() | st.tuples(st.text(max_size=2)), inner, max_size=4)
        | st.lists(inner, max_size=4).map(lambda items: deque(items, maxlen=7))
    ),
    max_leaves=20,
)


def alike(a: Any, b: Any) -> bool:
    """Equal in type and to the bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("<d", a) == struct.pack("<d", b) or (math.isnan(a) and math.isnan(b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple | deque):
        return len(a) == len(b) and all(map(alike, a, b)) and getattr(a, "maxlen", 0) == getattr(b, "maxlen", 0)
    return bool(a == b)


@given(plain)
def test_plain_values_come_back(value: Any) -> None:
    """Types, order, bits and bounds of containers are kept."""
    assert alike(codec.decode(codec.encode(value)), value)


@pytest.mark.parametrize("dtype", ["<f8", "<f4", "<i8", "|b1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_back_in_their_order_of_memory(dtype: str, order: Any) -> None:
    """Values, dtype, shape and layout: sums over an array depend on the last in their last bit."""
    array = np.asarray(np.arange(12).reshape(3, 4) % 5, dtype=dtype, order=order)
    again = codec.decode(codec.encode(array))
    assert again.dtype == array.dtype
    assert again.flags.f_contiguous == array.flags.f_contiguous
    assert (again == array).all()
    assert again.flags.writeable


def test_numpy_scalars_and_enumerations_keep_their_type() -> None:
    """A float64 is no float, and a status is no text."""
    again = codec.decode(codec.encode([np.float64(0.1), np.int64(3), Kind.SUSPEND, Status.HOLDOVER, frozenset({1, 2})]))
    assert [type(one) for one in again] == [np.float64, np.int64, Kind, Status, frozenset]
    assert again == [0.1, 3, Kind.SUSPEND, Status.HOLDOVER, {1, 2}]


def test_what_was_one_stays_one() -> None:
    """An object that two refer to is stored once, and so is one that refers to itself."""
    shared = [1]
    ring: dict[str, Any] = {}
    ring["self"] = ring
    first, second, loop = codec.decode(codec.encode([shared, shared, ring]))
    assert first is second
    assert loop["self"] is loop


def test_externals_are_stored_as_names() -> None:
    """A constant that both sides have is not copied: the reader's own takes its place."""
    big, mine = ["constants"] * 1000, ["others"]
    data = codec.encode({"a": big}, {"big": big})
    assert len(data) < 100
    assert codec.decode(data, {"big": mine})["a"] is mine
    with pytest.raises(StoreError, match="needs big"):
        codec.decode(data)


def test_a_history_is_stored_without_its_empty_room() -> None:
    """A few fixes take a few bytes, and it goes on as if never stopped."""
    history = History(span_s=3600.0)
    for i in range(10):
        history.append(i * 10**9, i, 1e-12, 0)
    data = codec.encode(history)
    again = codec.decode(data)
    assert len(data) < 1000
    for one in (history, again):
        one.append(4_500_000_000, 7, 1e-12, 0)
    assert history.between(-1, 10**12).theta_ns.tolist() == again.between(-1, 10**12).theta_ns.tolist()


class Foreign:
    """Not of the decision code."""


@pytest.mark.parametrize("value", [Foreign(), lambda: 0, open, np.array([None]), object(), 1j, math], ids=repr)
def test_what_is_no_decision_state_is_not_stored(value: object) -> None:
    """Foreign classes, functions, files and modules are refused, by name."""
    with pytest.raises(StoreError, match=r"not decision state|not stored"):
        codec.encode([value])


def test_an_attribute_that_no_method_sets_is_found_when_it_is_written() -> None:
    """Such an object could not be told from one of another version."""
    odd = NoiseScale()
    odd.extra = 1  # type: ignore[attr-defined]
    with pytest.raises(StoreError, match="extra"):
        codec.encode(odd)


def test_an_attribute_that_is_not_there_yet_stays_away() -> None:
    """A slot that was never filled, and what methods store on other objects."""
    bare = object.__new__(Evidence)
    bare.open = True
    again = codec.decode(codec.encode(bare))
    assert again.open is True
    assert not hasattr(again, "shut_until_raw_ns")


def test_a_class_that_has_changed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """State of a version whose class keeps other attributes does not come back half."""
    data = codec.encode(Evidence(60.0))
    assert isinstance(codec.decode(data), Evidence)
    with pytest.raises(StoreError, match="another version"):
        codec.decode(data.replace(b"_half_life_s", b"_half_lyfe_s"))
    with pytest.raises(StoreError, match="another version"):
        codec.decode(data.replace(b"fusion.evidence.Evidence", b"fusion.evidence.Nothing_"))


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "subprocess.Popen", "fusion.evidence.NS_PER_S"])
def test_no_name_in_the_data_is_ever_called(name: str) -> None:
    """A class that is not in the list is an error, whatever it is called."""
    hostile = msgspec.msgpack.encode([codec.VERSION, [[name, []]], [9, 0]])
    with pytest.raises(StoreError, match="another version"):
        codec.decode(hostile)
    with pytest.raises(StoreError, match="damaged"):
        codec.decode(msgspec.msgpack.encode([codec.VERSION, [], [8, name, "true"]]))


@given(st.binary(max_size=200))
def test_noise_is_refused_with_one_kind_of_error(noise: bytes) -> None:
    """Whatever the bytes, it is StoreError or a value, never a crash."""
    for data in (noise, msgspec.msgpack.encode([codec.VERSION, [], msgspec.Raw(noise)]) if noise else b""):
        with contextlib.suppress(StoreError):
            codec.decode(data)


@given(st.data())
def test_damaged_state_is_refused_or_read_but_never_crashes(data: st.DataObject) -> None:
    """One wrong byte anywhere."""
    good = bytearray(codec.encode([Evidence(60.0), NoiseScale(), np.ones(3), {"a": (1, 2.5)}, Status.UNKNOWN]))
    good[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(StoreError):
        codec.decode(bytes(good))


def test_depth_is_bounded_both_ways() -> None:
    """Neither writing nor reading recurses without end."""
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    with pytest.raises(StoreError, match="deep"):
        codec.encode(deep)
    body: Any = [0]
    for _ in range(200):
        body = [0, body]
    with pytest.raises(StoreError, match="deep"):
        codec.decode(msgspec.msgpack.encode([codec.VERSION, [], body]))

"""The codec: whatever goes in comes out, and whatever bytes come in, only ProtocolError comes out."""

import math
from typing import Any

import msgpack
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from chronotick.errors import ProtocolError
from chronotick.wire import arrays, codec
from chronotick.wire.codes import Code
from chronotick.wire.limits import INLINE_BYTES, MAX_MESSAGE_BYTES
from chronotick.wire.messages import Cancel, Event, ForecastOk, ForecastRequest, Ping, Series, StatusOk
from chronotick.wire.version import MAGIC

ARRAYS = st.sampled_from(["<f8", "<f4", "<i8", "|b1"]).flatmap(
    lambda dtype: nps.arrays(np.dtype(dtype), nps.array_shapes(max_dims=4, max_side=6, min_side=0))
)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=4)
PLAIN = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.text(max_size=4), SCALARS, max_size=2)


# Fuzzing on a machine that others use: no time limit per example.
FUZZ = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def code_of(frames: list[bytes]) -> str | None:
    """The code that these frames are refused with; None where they are a message."""
    try:
        codec.decode(frames)
    except ProtocolError as error:
        return error.code
    return None


def refused(frames: list[bytes]) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        codec.decode(frames)
    return caught.value


@given(ARRAYS)
def test_an_array_comes_back_bit_for_bit(array: np.ndarray[Any, Any]) -> None:
    buffers: list[bytes] = []
    back = arrays.unpack(arrays.pack(array, buffers), buffers)
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert back.tobytes() == array.tobytes()


def test_an_array_from_the_wire_is_an_own_aligned_writable_copy() -> None:
    frames = codec.encode(ForecastOk(id=1, quantiles=np.zeros((1, 1, 3))))
    one, other = codec.decode(frames), codec.decode(frames)
    assert isinstance(one, ForecastOk)
    assert isinstance(other, ForecastOk)
    assert one.quantiles.flags.aligned
    one.quantiles[:] = 1.0
    assert not other.quantiles.any()


def test_arrays_in_other_memory_orders_mean_the_same_on_the_wire() -> None:
    plain = np.arange(12.0).reshape(3, 4)
    for other in (np.asfortranarray(plain), plain.astype(">f8"), np.repeat(plain, 2, axis=0)[::2]):
        assert arrays.pack(other, []) == arrays.pack(plain, [])


@pytest.mark.parametrize(
    "array", [np.zeros(2, "<U4"), np.array([object()]), np.zeros(2, "<u8"), np.float64(1) + np.zeros(())]
)
def test_an_array_that_the_wire_has_not_is_refused_when_written(array: np.ndarray[Any, Any]) -> None:
    with pytest.raises(ProtocolError) as caught:
        arrays.pack(array, [])
    assert caught.value.code == Code.BAD_MESSAGE


@pytest.mark.parametrize(("size", "frames"), [(INLINE_BYTES // 8, 2), (INLINE_BYTES // 8 + 1, 3)])
def test_only_arrays_above_64_kib_travel_in_frames_of_their_own(size: int, frames: int) -> None:
    message = ForecastOk(id=1, quantiles=np.arange(float(size)).reshape(1, 1, size))
    sent = codec.encode(message)
    assert len(sent) == frames
    back = codec.decode(sent)
    assert isinstance(back, ForecastOk)
    assert np.array_equal(back.quantiles, message.quantiles)


@pytest.mark.parametrize(
    "payload",
    [
        ["<f8", [1], b"1234567"],
        ["<f8", [], b"12345678"],
        ["<f8", [-1, -1], b"12345678"],
        ["<f8", [1, 1, 1, 1, 1], b"12345678"],
        ["<f8", [0, 2**40, 2**40], b""],
        ["<f8", [2**62], b""],
        ["<f8", [2**64 - 1], b""],
        ["<f8", [1], 0],
        ["<f8", [1], -1],
        ["|b1", [2], b"\x00\x02"],
        [">f8", [1], b"12345678"],
        ["|O", [1], b"12345678"],
        ["<f8", [1]],
        ["<f8", [1.0], b"12345678"],
        "<f8",
        None,
    ],
)
def test_a_faulty_array_is_a_bad_message_that_names_its_request(payload: Any) -> None:
    body = msgpack.packb({"type": "forecast_ok", "id": 5, "quantiles": msgpack.ExtType(1, msgpack.packb(payload))})
    error = refused([MAGIC, body])
    assert (error.code, error.request_id) == (Code.BAD_MESSAGE, 5)


@FUZZ
@given(st.lists(st.binary(max_size=64), max_size=5))
@example([])
@example([b"CTK1"])
def test_random_frames_raise_nothing_but_protocol_errors(frames: list[bytes]) -> None:
    refused(frames)


@FUZZ
@given(st.binary(max_size=200), st.lists(st.binary(max_size=20), max_size=3))
@example(b"\x82\xa4type\xa4ping\xa3seq" + b"\x91" * 60_000, [])
@example(b"\x82\xa4type\xa9status_ok\xa8sections" + b"\x81\xa1a" * 60_000, [])
@example(b"\x82\xa4type\xa4ping\xa3seq\xdd\xff\xff\xff\xff", [])
@example(b"\x82\xa4type\xa5hello\xa9protocols\xdd\x3f\xff\xff\xff", [])
@example(b"\x82\xa4type\xa3\xff\xff\xff\xa3seq\x01", [])
@example(b"\x83\xa4type\xa9status_ok\xa2id\x01\xa8sections\x81\xa1a\xd6\xff\xff\xff\xff\xff", [])
@example(b"\x83\xa4type\xa9status_ok\xa2id\x01\xa8sections\x81\xa1a\x81\x80\x01", [])
@example(b"\x83\xa4type\xa9status_ok\xa2id\x01\xa8sections\x81\xa1a\xd4\x05\x00", [])
def test_random_bodies_raise_nothing_but_protocol_errors(body: bytes, buffers: list[bytes]) -> None:
    assert code_of([MAGIC, body, *buffers]) in (None, Code.BAD_MESSAGE, Code.UNKNOWN_TYPE)


@FUZZ
@given(
    st.sampled_from(sorted(codec.TYPES)),
    st.dictionaries(
        st.sampled_from(sorted({field for kind in codec.TYPES.values() for field in kind.__struct_fields__})),
        PLAIN,
        max_size=4,
    ),
)
def test_known_types_with_random_fields_raise_nothing_but_protocol_errors(kind: str, fields: dict[str, Any]) -> None:
    assert code_of([MAGIC, msgspec.msgpack.encode({"type": kind, **fields})]) in (None, Code.BAD_MESSAGE)


@FUZZ
@given(st.data())
def test_damaged_messages_raise_nothing_but_protocol_errors(data: st.DataObject) -> None:
    request = ForecastRequest(
        id=3,
        deadline_ns=1,
        series=Series(t0_ns=0, step_ns=1, values=np.arange(6.0).reshape(2, 3), mask=np.ones((2, 3), bool)),
        horizon=4,
        levels=(0.1, 0.9),
    )
    body = bytearray(codec.encode(request)[1])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    assert code_of([MAGIC, bytes(body[: data.draw(st.integers(0, len(body)))])]) in (
        None,
        Code.BAD_MESSAGE,
        Code.UNKNOWN_TYPE,
    )


@given(st.integers(0, 2**63 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(0, 2**64 - 1))
def test_integers_come_back_exactly(seq: int, sent_ns: int, host_instance: int) -> None:
    back = codec.decode(codec.encode(Ping(seq=seq, sent_ns=sent_ns, host_instance=host_instance)))
    assert isinstance(back, Ping)
    assert (back.seq, back.sent_ns, back.host_instance) == (seq, sent_ns, host_instance)


@pytest.mark.parametrize("request_id", [-1, 2**63, 2**64 - 1, 1.0, "1", None])
def test_an_id_that_does_not_fit_int64_is_refused_and_not_repeated(request_id: Any) -> None:
    error = refused([MAGIC, msgpack.packb({"type": "cancel", "id": request_id})])
    assert (error.code, error.request_id) == (Code.BAD_MESSAGE, None)


def test_a_refused_request_keeps_its_id_for_the_answer() -> None:
    assert refused([MAGIC, msgpack.packb({"type": "forecast", "id": 12})]).request_id == 12


def test_what_is_above_8_mib_is_too_large_in_both_directions() -> None:
    assert refused([MAGIC, b"\x80", bytes(MAX_MESSAGE_BYTES)]).code == Code.TOO_LARGE
    with pytest.raises(ProtocolError) as caught:
        codec.encode(ForecastOk(id=1, quantiles=np.zeros((1, 1, MAX_MESSAGE_BYTES // 8))))
    assert caught.value.code == Code.TOO_LARGE


def test_too_many_frames_are_a_bad_message() -> None:
    assert refused([MAGIC, b"\x80", *[b""] * 17]).code == Code.BAD_MESSAGE


def test_numpy_numbers_are_written_as_plain_ones() -> None:
    answer = ForecastOk(id=1, quantiles=np.zeros((1, 1, 1)), infer_ms=np.float64(2.5))
    back = codec.decode(codec.encode(answer))
    assert isinstance(back, ForecastOk)
    assert back.infer_ms == 2.5


def test_nan_survives_in_windows() -> None:
    request = ForecastRequest(
        id=1, deadline_ns=0, series=Series(t0_ns=0, step_ns=1, values=np.array([[math.nan]])), horizon=1, levels=(0.5,)
    )
    back = codec.decode(codec.encode(request))
    assert isinstance(back, ForecastRequest)
    assert np.isnan(back.series.values).all()


def test_an_event_has_its_topic_in_front_and_must_agree_with_it() -> None:
    frames = codec.encode_event(Event(topic="alarm", sequence=1, utc_ns=2))
    assert frames[0] == b"alarm"
    assert codec.decode_event(frames).sequence == 1
    for wrong in ([b"ntp", *frames[1:]], [b"alarm", *codec.encode(Cancel(id=1))]):
        with pytest.raises(ProtocolError):
            codec.decode_event(wrong)


def test_nothing_is_pickled_or_turned_into_foreign_objects() -> None:
    """An extension other than ours is refused, wherever it hides."""
    body = msgpack.packb({"type": "status_ok", "id": 1, "sections": {"a": msgpack.ExtType(2, b"cos\nsystem\n")}})
    assert refused([MAGIC, body]).code == Code.BAD_MESSAGE
    ours = codec.decode(codec.encode(StatusOk(id=1, sections={"a": [1, "b", None, 2.5, True]})))
    assert isinstance(ours, StatusOk)
    assert ours.sections == {"a": [1, "b", None, 2.5, True]}

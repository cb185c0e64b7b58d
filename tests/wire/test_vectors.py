"""The golden vectors: bytes that every implementation of protocol version 1 must write and read."""

import json
import math
import runpy
import struct
from pathlib import Path
from typing import Any

import msgpack
import pytest

from chronotick.errors import ProtocolError
from chronotick.wire import codec
from chronotick.wire.messages import AnyMessage

HERE = Path(__file__).parent
maker = runpy.run_path(str(HERE / "make_vectors.py"))
VECTORS: dict[str, tuple[bytes, Any]] = maker["vectors"]()
GOOD = sorted([*maker["MESSAGES"], *maker["TOLERATED"]])


def stored(name: str) -> tuple[list[bytes], Any]:
    data = (maker["FOLDER"] / f"{name}.bin").read_bytes()
    return maker["split"](data), json.loads((maker["FOLDER"] / f"{name}.json").read_text())


def by_msgpack(frames: list[bytes]) -> Any:
    """A message as a reader with nothing but msgpack and struct sees it."""

    def array(code: int, data: bytes) -> Any:
        assert code == 1
        dtype, shape, raw = msgpack.unpackb(data)
        raw = frames[2 + raw] if isinstance(raw, int) else raw
        letter = {"<f8": "d", "<f4": "f", "<i8": "q", "|b1": "?"}[dtype]
        values = struct.unpack(f"<{math.prod(shape)}{letter}", raw)
        return {"dtype": dtype, "shape": shape, "values": [None if one != one else one for one in values]}

    return msgpack.unpackb(frames[1], ext_hook=array)


def test_every_message_type_has_a_vector() -> None:
    assert {json.loads(path.read_text()).get("type") for path in maker["FOLDER"].glob("*.json")} >= set(codec.TYPES)


def test_the_files_are_exactly_the_vectors_that_the_script_knows() -> None:
    assert {path.stem for path in maker["FOLDER"].glob("*.bin")} == set(VECTORS)


@pytest.mark.parametrize("name", sorted(VECTORS))
def test_what_is_written_today_is_what_was_written_then(name: str) -> None:
    data, meaning = VECTORS[name]
    assert data == (maker["FOLDER"] / f"{name}.bin").read_bytes()
    assert meaning == stored(name)[1]


@pytest.mark.parametrize("name", GOOD)
def test_msgspec_reads_what_the_vector_means(name: str) -> None:
    frames, meaning = stored(name)
    message: AnyMessage = codec.decode(frames)
    assert json.loads(json.dumps(maker["plain"](message))) == meaning


@pytest.mark.parametrize("name", GOOD)
def test_plain_msgpack_reads_what_the_vector_means(name: str) -> None:
    frames, meaning = stored(name)
    assert frames[0] == b"CTK1"
    read = by_msgpack(frames)
    newer = {"urgency"}
    assert {key: value for key, value in read.items() if key not in newer} == {
        key: value for key, value in meaning.items() if key in read
    }
    # What a writer may leave out is what the format calls absent.
    assert all(meaning[key] in (None, 0, 0.0, "", False) for key in set(meaning) - set(read))


@pytest.mark.parametrize("name", sorted(maker["REFUSED"]))
def test_a_faulty_message_is_refused_with_its_code(name: str) -> None:
    frames, meaning = stored(name)
    with pytest.raises(ProtocolError) as caught:
        codec.decode(frames)
    assert caught.value.code == meaning["error"]

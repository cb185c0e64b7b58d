"""The golden vectors: `python tests/wire/make_vectors.py` writes those that are missing and never changes one.

A .bin file holds the frames of one message, each after its length as 4 bytes, little-endian. The .json file beside it
says what they mean: the message as a map, arrays as {dtype, shape, values} with null for NaN; or {"error": code}.
"""

import json
import struct
from pathlib import Path
from typing import Any

import msgpack
import msgspec
import numpy as np

from chronotick.wire import codec
from chronotick.wire.messages import (
    Bye,
    Cancel,
    Capabilities,
    Command,
    CommandOk,
    Convert,
    Error,
    Event,
    Explain,
    ExplainOk,
    ForecastAt,
    ForecastOk,
    ForecastRequest,
    Hello,
    History,
    HistoryOk,
    Message,
    Now,
    Ping,
    Pong,
    Reading,
    Series,
    Shutdown,
    Stamp,
    Stamped,
    Status,
    StatusOk,
    StatusQuery,
    Verified,
    Verify,
    Welcome,
)
from chronotick.wire.version import MAGIC

FOLDER = Path(__file__).parent / "vectors" / "1"

HOST = 0xFEDCBA9876543210
WINDOW = np.array([[0.0, -1.5e-9, np.nan, 2.25e-6], [1.0, 2.0, 3.0, 4.0]])
ERROR = Error(
    id=7, code="out_of_memory", message="Memory ran out.", retryable=True, exc_type="MemoryError", traceback="...\n"
)

MESSAGES: dict[str, Message] = {
    "hello": Hello(
        name="chronos",
        version="0.1.0",
        instance="0123456789abcdef",
        pid=4242,
        token="s3cret",
        protocols=((1, 0),),
        python="3.11.7",
        packages={"torch": "2.13.0"},
    ),
    "welcome": Welcome(
        protocol=(1, 0),
        host_instance=HOST,
        heartbeat_ms=1000,
        max_message_bytes=8 * 1024 * 1024,
        params={"size": "tiny", "int8": False, "temperature": 0.5, "samples": 10},
        seed=-1,
        threads=2,
        sent_ns=123456789012345678,
    ),
    "status_loading": Status(state="loading", progress=0.25, detail="weights: 25 %"),
    "status_ready": Status(
        state="ready",
        progress=1.0,
        capabilities=Capabilities(
            context_min=8,
            context_max=2048,
            horizon_max=64,
            levels=(0.1, 0.5, 0.9),
            covariates=True,
            batch_max=32,
            device="cuda:0",
            dtype="float32",
            deterministic=True,
            model_id="amazon/chronos-bolt-tiny",
            revision="0" * 40,
            weights_sha256="ab" * 32,
            parameters=8_650_000,
            warm_ms=10.5,
            rss_bytes=449_000_000,
        ),
    ),
    "status_failed": Status(
        state="failed",
        error=Error(code="weights_missing", message="No weights.", mend="Run: chronotick plugins sync chronos"),
    ),
    "ping": Ping(seq=1, sent_ns=2**62, host_instance=HOST),
    "pong": Pong(seq=1, sent_ns=2**62, state="ready", busy_id=9, busy_ms=12.5, rss_bytes=52_527_104, served=17),
    "forecast": ForecastRequest(
        id=9,
        deadline_ns=987654321,
        series=Series(t0_ns=-1, step_ns=64_000_000_000, values=WINDOW, mask=~np.isnan(WINDOW)),
        horizon=2,
        levels=(0.1, 0.5),
        covariates=np.arange(8.0).reshape(2, 1, 4),
        future=np.arange(4.0).reshape(2, 1, 2),
    ),
    "forecast_plain": ForecastRequest(
        id=10, deadline_ns=1, series=Series(t0_ns=0, step_ns=1, values=WINDOW[1:]), horizon=1, levels=(0.5,)
    ),
    "forecast_ok": ForecastOk(
        id=9,
        quantiles=np.arange(8.0).reshape(2, 2, 2),
        mean=np.zeros((2, 2)),
        model_id="m",
        revision="r",
        queue_ms=0.25,
        infer_ms=10.0,
    ),
    # Above 64 KiB: its data travel in a frame of their own.
    "forecast_ok_large": ForecastOk(id=11, quantiles=np.arange(8199.0).reshape(1, 9, 911), mean=np.ones((1, 911))),
    "cancel": Cancel(id=9),
    "shutdown": Shutdown(grace_ms=1500, reason="stop"),
    "bye": Bye(reason="drained", exit_code=0),
    "error": ERROR,
    "error_plain": Error(code="bad_message", message="What?"),
    "now": Now(id=1),
    "forecast_at": ForecastAt(id=2, ahead_ns=3_600_000_000_000),
    "reading": Reading(
        id=1,
        utc_ns=1_800_000_000_000_000_000,
        earliest_ns=1_799_999_999_990_000_000,
        latest_ns=1_800_000_000_010_000_000,
        low_95_ns=1_799_999_999_999_900_000,
        high_95_ns=1_800_000_000_000_100_000,
        sigma_ns=50_000,
        status="SYNCHRONISED",
        raw_ns=55_000_000_000,
        as_of_utc_ns=1_799_999_990_000_000_000,
        age_ns=10_000_000_000,
        source=("floor", "chronos"),
        epoch=1,
        sequence=77,
        host_instance=HOST,
    ),
    "convert": Convert(id=8, realtime_ns=1_800_000_000_000_000_000),
    "stamp": Stamp(id=9, payload_sha256=bytes(range(32)).hex()),
    "stamped": Stamped(id=9, token="ctk1.AAAA.BBBB"),
    "verify": Verify(id=10, token="ctk1.AAAA.BBBB"),
    "verified": Verified(
        id=10,
        payload_sha256=bytes(range(32)).hex(),
        host="00112233445566778899aabbccddeeff",
        utc_ns=1_800_000_000_000_000_000,
        earliest_ns=1_799_999_999_999_000_000,
        latest_ns=1_800_000_000_001_000_000,
        sigma_ns=20_000,
        half_width_95_ns=45_000,
        age_ns=1_500_000_000,
        status="SYNCHRONISED",
        epoch=1,
        sequence=99,
        host_instance=HOST,
    ),
    "status_query": StatusQuery(id=3, sections=("ntp", "plugins")),
    "status_ok": StatusOk(id=3, sections={"ntp": {"servers": [{"name": "a", "offset_s": -1e-3, "selected": True}]}}),
    "history": History(id=4, series="fixes", since_utc_ns=0, limit=10),
    "history_ok": HistoryOk(id=4, columns=("utc_ns", "offset_s"), rows=[[1, 0.5], [2, None]], truncated=True),
    "explain": Explain(id=5),
    "explain_ok": ExplainOk(id=5, sentences=("Three of four servers agree.",), facts={"survivors": 3}),
    "command": Command(id=6, verb="restart_plugin", arguments={"name": "chronos"}),
    "command_ok": CommandOk(id=6, result={"state": "STARTING"}),
    "event": Event(topic="plugin", sequence=12, utc_ns=1_800_000_000_000_000_000, body={"name": "echo", "to": "READY"}),
}


def _packed(**fields: Any) -> bytes:
    return bytes(msgpack.packb(fields))


def _answer_with(*array: Any) -> bytes:
    """A forecast_ok whose quantiles are this extension payload."""
    return _packed(type="forecast_ok", id=1, quantiles=msgpack.ExtType(1, msgpack.packb(array)))


# What a peer of another age may send, and what it is read as.
TOLERATED: dict[str, tuple[list[bytes], Message]] = {
    "cancel_from_a_newer_minor": ([MAGIC, _packed(type="cancel", id=9, urgency=[1, {"a": None}])], Cancel(id=9)),
    "ping_with_wide_integers": (
        [
            MAGIC,
            b"\x83\xa4type\xa4ping\xa3seq\xcf" + (1).to_bytes(8, "big") + b"\xa7sent_ns\xd3" + (2).to_bytes(8, "big"),
        ],
        Ping(seq=1, sent_ns=2),
    ),
}
# What a faulty peer may send, and the code that it is refused with.
REFUSED: dict[str, tuple[list[bytes], str]] = {
    "bad_magic": ([b"HTTP", _packed(type="cancel", id=1)], "bad_magic"),
    "other_major": ([b"CTK2", _packed(type="cancel", id=1)], "version_mismatch"),
    "unknown_type": ([MAGIC, _packed(type="gossip", id=1)], "unknown_type"),
    "missing_field": ([MAGIC, _packed(type="cancel")], "bad_message"),
    "wrong_field_type": ([MAGIC, _packed(type="cancel", id="one")], "bad_message"),
    "truncated": ([MAGIC, _packed(type="cancel", id=1)[:-1]], "bad_message"),
    "array_of_strings": ([MAGIC, _answer_with("<U4", [1, 1, 1], b"abcdabcdabcdabcd")], "bad_message"),
    "array_too_short": ([MAGIC, _answer_with("<f8", [1, 1, 2], b"8 bytes.")], "bad_message"),
    "array_in_absent_frame": ([MAGIC, _answer_with("<f8", [1, 1, 1], 0)], "bad_message"),
}


def join(frames: list[bytes]) -> bytes:
    """Frames as one file."""
    return b"".join(struct.pack("<I", len(frame)) + frame for frame in frames)


def split(data: bytes) -> list[bytes]:
    """The frames of a file."""
    frames = []
    while data:
        (length,) = struct.unpack_from("<I", data)
        frames.append(data[4 : 4 + length])
        data = data[4 + length :]
    return frames


def plain(value: Any) -> Any:
    """A message as JSON can hold it."""
    if isinstance(value, np.ndarray):
        values = [None if isinstance(one, float) and one != one else one for one in value.ravel().tolist()]
        return {"dtype": value.dtype.str, "shape": list(value.shape), "values": values}
    if isinstance(value, msgspec.Struct):
        tag = value.__struct_config__.tag
        fields = {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        return {"type": tag, **fields} if tag else fields
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def vectors() -> dict[str, tuple[bytes, Any]]:
    """Every vector: its file's bytes, and what they mean."""
    made = {name: (join(codec.encode(message)), plain(message)) for name, message in MESSAGES.items()}
    made |= {name: (join(frames), plain(message)) for name, (frames, message) in TOLERATED.items()}
    made |= {name: (join(frames), {"error": code}) for name, (frames, code) in REFUSED.items()}
    return made


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, (data, meaning) in vectors().items():
        if not (FOLDER / f"{name}.bin").exists():
            (FOLDER / f"{name}.bin").write_bytes(data)
            (FOLDER / f"{name}.json").write_text(json.dumps(meaning) + "\n")

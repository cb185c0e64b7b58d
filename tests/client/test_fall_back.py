"""Without a snapshot the clock asks the host, and takes only the answer to its own question."""

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import zmq

from chronotick import Clock, ClockError, ClockUnknown, HostAbsent, Status
from chronotick.client.connection import Connection
from chronotick.wire import runtime_dir
from chronotick.wire.sockets import bind_router
from chronotick.wire.version import MAGIC

S = 1_000_000_000
Frames = list[bytes]


def test_without_a_snapshot_the_host_is_asked(host: Any, clock: Clock) -> None:
    """The answer over ZeroMQ is the host's, with what travelled added to the bounds, and in order."""
    host.publish()
    host.serve()
    with Clock(host.directory.path) as other:
        mapped = other.now()
    host.directory.snapshot.unlink()
    readings = [clock.now() for _ in range(50)]
    for reading in readings:
        apart = reading.utc_ns - mapped.utc_ns - (reading.raw_ns - mapped.raw_ns)
        assert abs(apart) <= reading.half_width_95_ns
        assert reading.earliest_ns <= reading.utc_ns <= reading.latest_ns
        assert reading.half_width_95_ns > mapped.half_width_95_ns
        assert (reading.status, reading.source, reading.epoch) == (Status.SYNCHRONISED, ("floor", "chronos"), 1)
    assert readings == sorted(readings, key=lambda reading: reading.utc_ns)


def test_the_clock_returns_to_the_snapshot(host: Any, clock: Clock) -> None:
    """As soon as there is a snapshot again it is read, without a step back."""
    host.serve()
    host.publish()
    hidden = host.directory.path / "hidden"
    host.directory.snapshot.rename(hidden)
    asked = clock.now()
    hidden.rename(host.directory.snapshot)
    assert clock.now().utc_ns >= asked.utc_ns
    assert clock._mapping is not None


def test_an_endpoint_is_asked_instead_of_the_snapshot(host: Any) -> None:
    """With an endpoint given no snapshot is looked for."""
    host.serve()
    host.publish()
    with Clock(endpoint=f"ipc://{host.directory.client}") as clock:
        assert clock.now().status is Status.SYNCHRONISED
        assert clock._mapping is None


def test_an_unknown_host_is_unknown_over_zeromq_too(host: Any) -> None:
    """UNKNOWN crosses the wire as such."""
    host.serve()
    with Clock(endpoint=f"ipc://{host.directory.client}") as clock:
        with pytest.raises(ClockUnknown, match="no majority"):
            clock.now()
        reading = clock.now(allow_unknown=True)
        assert (reading.status, reading.utc_ns) == (Status.UNKNOWN, 0)


def test_tcp_without_keys_is_refused(tmp_path: Path) -> None:
    """A tcp endpoint without CURVE keys is an error that says so, not a clear-text connection."""
    with Clock(endpoint="tcp://127.0.0.1:1") as clock, pytest.raises(HostAbsent, match="CURVE"):
        clock.now()


def test_a_child_asks_on_a_connection_of_its_own(host: Any) -> None:
    """After a fork both parent and child can ask, although the parent was connected before."""
    host.serve()
    host.publish()
    with Clock(endpoint=f"ipc://{host.directory.client}", timeout_s=5) as clock:
        before = clock.now().utc_ns
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if clock.now().utc_ns > before else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert clock.now().utc_ns > before


@pytest.fixture
def router(tmp_path: Path) -> Iterator[Callable[[Callable[[int], list[Frames]]], str]]:
    """A host that answers question n with the frames that it is told to."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    threads: list[threading.Thread] = []
    with runtime_dir.create(tmp_path).lock() as lock:
        endpoint = f"ipc://{tmp_path / 'client.sock'}"
        socket = bind_router(context, endpoint, lock=lock)

        def start(answers: Callable[[int], list[Frames]]) -> str:
            def run() -> None:
                try:
                    while True:
                        identity, _, body = socket.recv_multipart()
                        for frames in answers(msgpack.unpackb(body)["id"]):
                            socket.send_multipart([identity, *frames])
                except zmq.ContextTerminated:
                    socket.close(linger=0)

            threads.append(threading.Thread(target=run))
            threads[-1].start()
            return endpoint

        yield start
        context.term()
        for thread in threads:
            thread.join()


def pack(**fields: object) -> Frames:
    return [MAGIC, msgpack.packb(fields)]


def test_an_answer_that_comes_late_is_not_taken_for_the_next_one(router: Any) -> None:
    """The answer to question 1 comes with that to question 2; question 2 gets its own."""
    late: list[Frames] = []

    def answers(number: int) -> list[Frames]:
        late.append(pack(type="status_ok", id=number, sections={"number": number}))
        return late if number > 1 else []

    connection = Connection(router(answers), timeout_s=0.2)
    with pytest.raises(HostAbsent, match=r"No host answers at ipc://.* within 0\.2 s"):
        connection.request("status_query")
    assert connection.request("status_query")["sections"] == {"number": 2}
    connection.close()


def test_what_is_no_answer_is_passed_over(router: Any) -> None:
    """Frames of another protocol, or too few of them, are dropped."""
    connection = Connection(
        router(lambda number: [[b"CTK9", b"\x80"], [MAGIC], pack(id=number, type="status_ok", sections={})]), 5
    )
    assert connection.request("status_query")["type"] == "status_ok"
    connection.close()


def test_an_error_of_the_host_is_an_error_here(router: Any) -> None:
    """What the host refuses is raised with its sentence and mend."""
    endpoint = router(lambda number: [pack(type="error", id=number, code="internal", message="No.", mend="Rest.")])
    with Clock(endpoint=endpoint) as clock, pytest.raises(ClockError, match=r"The host refuses: No\. Rest\."):
        clock.now()


@pytest.mark.parametrize("body", [{}, {"utc_ns": "late"}, {"utc_ns": 1, "low_95_ns": None}])
def test_an_answer_without_sense_is_an_error(router: Any, body: dict[str, object]) -> None:
    """A reading with fields missing or of another type is refused, not half used."""
    endpoint = router(lambda number: [pack(type="reading", id=number, **body)])
    with Clock(endpoint=endpoint) as clock, pytest.raises(ClockError, match="makes no sense"):
        clock.now()


def modules_after(code: str, directory: Path) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after this code."""
    program = textwrap.dedent(code) + "\nimport sys\nprint(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", program, str(directory)], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_package_alone_loads_nothing(tmp_path: Path) -> None:
    """`import chronotick` is free: not even the standard library's larger parts."""
    assert not {"typing", "enum", "zmq", "msgpack", "numpy", "msgspec"} & modules_after("import chronotick", tmp_path)


def test_the_clock_needs_the_standard_library_only(host: Any) -> None:
    """Importing and reading loads neither numpy nor msgspec, nor even zmq and msgpack, and no slow standard module."""
    host.publish()
    code = "import sys\nfrom chronotick import Clock\nclock = Clock"
    heavy = {
        "numpy",
        "msgspec",
        "zmq",
        "msgpack",
        "dataclasses",
        "inspect",
        "asyncio",
        "pathlib",
        "statistics",
        "hashlib",
    }
    assert not heavy & modules_after(code, host.directory.path)
    code = "import sys\nfrom chronotick import Clock\nprint(Clock(sys.argv[1]).now())"
    assert not (heavy - {"pathlib"}) & modules_after(code, host.directory.path)


def test_falling_back_needs_pyzmq_and_msgpack_only(host: Any) -> None:
    """Asking over ZeroMQ loads neither numpy nor msgspec: an agent does not have them."""
    host.serve()
    host.publish()
    host.directory.snapshot.unlink()
    code = """
        import sys
        sys.modules["numpy"] = sys.modules["msgspec"] = None
        from chronotick import Clock
        with Clock(sys.argv[1], timeout_s=10) as clock:
            assert clock.now().status == "SYNCHRONISED"
        del sys.modules["numpy"], sys.modules["msgspec"]
    """
    loaded = modules_after(code, host.directory.path)
    assert {"zmq", "msgpack"} <= loaded
    assert not {"numpy", "msgspec"} & loaded


def test_every_public_name_needs_pyzmq_and_msgpack_only(host: Any) -> None:
    """All that the package exports loads, stamps and verifies where numpy and msgspec are not installed."""
    host.serve()
    host.publish()
    code = """
        import sys
        sys.modules["numpy"] = sys.modules["msgspec"] = None
        import asyncio
        import chronotick
        assert all(getattr(chronotick, name) for name in chronotick.__all__)
        async def work():
            async with chronotick.AsyncClock(sys.argv[1], timeout_s=10) as clock:
                await clock.verify(await clock.stamp("x"), "x")
                await clock.future(1)
                await anext(clock.watch())
        asyncio.run(work())
        del sys.modules["numpy"], sys.modules["msgspec"]
    """
    assert not {"numpy", "msgspec"} & modules_after(code, host.directory.path)

"""Packets leave when they say so, also from a processor that idled, and after a stall."""

import contextlib
import random
import socket
from collections.abc import Iterator

import pytest

from chronotick.lab import departure, stamps
from chronotick.lab.departure import Departure

TO = ("127.0.0.1", 9)


class Machine:
    """A processor whose raw clock is simulated, and a socket on it.

    The first send after idling takes 15 to 50 us until the packet leaves, the next one 4 us.
    """

    def __init__(self) -> None:
        self.now_ns = 10**15
        self.awake = False
        self.left: list[tuple[bytes, int]] = []
        self._stamp: int | None = None
        self._rng = random.Random(1)

    def raw_ns(self) -> int:
        self.now_ns += 60
        return self.now_ns

    def idle(self) -> None:
        self.now_ns += 10**7
        self.awake = False

    def sendto(self, packet: bytes, to: tuple[str, int]) -> None:
        self.now_ns += 4_000 if self.awake else round(self._rng.uniform(15_000, 50_000))
        self.awake = True
        self._stamp = self.now_ns
        self.now_ns += 3_000
        if to == TO:
            self.left.append((packet, self._stamp))

    def sent_raw_ns(self, _: object) -> int | None:
        stamp, self._stamp = self._stamp, None
        return stamp


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(departure, "raw_ns", made.raw_ns)
    monkeypatch.setattr(stamps, "sent_raw_ns", made.sent_raw_ns)
    return made


@pytest.fixture
def out(machine: Machine) -> Iterator[Departure]:
    made = Departure(machine, "127.0.0.1")  # type: ignore[arg-type]
    made.calibrate(48)
    yield made
    made.close()


def test_a_packet_says_when_it_left_though_the_processor_idled(machine: Machine, out: Departure) -> None:
    """Within 0.2 us, however long the first send after idling takes."""
    for _ in range(200):
        machine.idle()
        late_ns = out.send(lambda leaves_ns: str(leaves_ns).encode(), TO)
        packet, left_ns = machine.left[-1]
        assert late_ns == left_ns - int(packet)
        assert abs(late_ns) < 200
    assert len(machine.left) == 200


def test_a_packet_whose_moment_was_missed_is_written_anew(machine: Machine, out: Departure) -> None:
    """The processor is taken away for a millisecond while a packet is written: it says the later instant."""
    stalls = [10**6, 10**6]

    def write(leaves_ns: int) -> bytes:
        machine.now_ns += stalls.pop() if stalls else 0
        return str(leaves_ns).encode()

    late_ns = out.send(write, TO)
    assert not stalls
    assert late_ns is not None
    assert abs(late_ns) < 200
    assert [left_ns - int(packet) for packet, left_ns in machine.left] == [late_ns]


def test_copies_and_other_sockets_teach_nothing(machine: Machine, out: Departure) -> None:
    """Both say None, and each copy is the same packet."""
    other = Machine()
    assert out.send(lambda leaves_ns: b"a", TO, copies=2) is None
    assert out.send(lambda leaves_ns: b"b", TO, via=other) is None  # type: ignore[arg-type]
    assert [packet for packet, _ in machine.left] == [b"a", b"a"]
    assert [packet for packet, _ in other.left] == [b"b"]


def test_nobody_reads_and_nothing_piles_up() -> None:
    """A socket that is only sent to keeps a few packets, whatever is sent, and the sender is not held up."""
    with stamps.udp_socket("127.0.0.1", 0) as sock, stamps.unread_socket("127.0.0.1") as unread:
        for _ in range(500):
            sock.sendto(bytes(48), unread.getsockname())
        kept = 0
        with contextlib.suppress(BlockingIOError):
            while unread.recv(48, socket.MSG_DONTWAIT):
                kept += 1
        assert kept < 50

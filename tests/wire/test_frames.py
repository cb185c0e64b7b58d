"""Frames through a socket without waiting: as pyzmq's own multipart calls, only leaner."""

from collections.abc import Iterator

import pytest
import zmq

from chronotick.wire import frames

Pair = tuple["zmq.Socket[bytes]", "zmq.Socket[bytes]"]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends of one connection, room for two messages each."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    ends = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    for end in ends:
        end.setsockopt(zmq.SNDHWM, 1)
        end.setsockopt(zmq.RCVHWM, 1)
    ends[0].bind("inproc://frames")
    ends[1].connect("inproc://frames")
    yield ends
    context.destroy(linger=0)


@pytest.mark.parametrize("sent", [[b"one"], [b"", b"two"], [b"CTK1", b"body", b"x" * 100_000]])
def test_a_message_arrives_frame_by_frame(pair: Pair, sent: list[bytes]) -> None:
    frames.send(pair[0], sent)
    assert frames.receive(pair[1]) == sent


def test_frames_of_two_messages_are_kept_apart(pair: Pair) -> None:
    frames.send(pair[0], [b"a", b"b"])
    frames.send(pair[0], [b"c"])
    assert [frames.receive(pair[1]), frames.receive(pair[1])] == [[b"a", b"b"], [b"c"]]


def test_nothing_there_and_no_room_are_said_and_not_waited_for(pair: Pair) -> None:
    """An empty socket and a full one raise Again, and events say so before."""
    assert frames.events(pair[1]) == frames.POLLOUT
    with pytest.raises(zmq.Again):
        frames.receive(pair[1])
    sent = 0
    while frames.events(pair[0]) & frames.POLLOUT:
        frames.send(pair[0], [b"head", b"body"])
        sent += 1
    with pytest.raises(zmq.Again):
        frames.send(pair[0], [b"head", b"body"])
    assert sent
    assert frames.events(pair[1]) & frames.POLLIN
    assert [frames.receive(pair[1]) for _ in range(sent)] == [[b"head", b"body"]] * sent

"""Events reach those who subscribed to their topic, and hold nobody up."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from chronotick.fusion.types import FusedForecast, Status
from chronotick.publish import EventPublisher, HardBound, next_publication, snapshot_body
from chronotick.wire import runtime_dir
from chronotick.wire.codec import decode_event
from chronotick.wire.messages import Event
from chronotick.wire.sockets import connect_subscriber

S = 1_000_000_000


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path / 'events.sock'}"


@pytest.fixture
def events(tmp_path: Path, endpoint: str) -> Iterator[EventPublisher]:
    with runtime_dir.create(tmp_path).lock() as lock:
        publisher = EventPublisher(endpoint, lock=lock)
        yield publisher
        publisher.close()


@pytest.fixture
def subscribe(events: EventPublisher, endpoint: str) -> Iterator[Callable[..., "zmq.Socket[bytes]"]]:
    """Subscribes, and returns once the publisher has heard of it."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sockets: list[zmq.Socket[bytes]] = []

    def run(topic: str) -> "zmq.Socket[bytes]":
        sockets.append(connect_subscriber(context, endpoint, (topic,)))
        assert events._socket.poll(5000)
        return sockets[-1]

    yield run
    for socket in sockets:
        socket.close(linger=0)
    context.term()


def receive(socket: "zmq.Socket[bytes]") -> Event:
    assert socket.poll(5000)
    return decode_event(socket.recv_multipart())


def test_a_subscriber_gets_its_topic_and_no_other(
    events: EventPublisher, subscribe: Callable[[str], "zmq.Socket[bytes]"]
) -> None:
    """Of three events the one of the topic subscribed to arrives, with its place in the sequence of all."""
    socket = subscribe("ntp")
    events.publish("plugin", 1, {"name": "chronos"})
    events.publish("ntp", 2, {"survivors": 3})
    events.publish("alarm", 3, {})
    event = receive(socket)
    assert (event.topic, event.sequence, event.utc_ns, event.body) == ("ntp", 2, 2, {"survivors": 3})
    assert not socket.poll(0)


def test_without_a_subscriber_nothing_is_encoded(events: EventPublisher) -> None:
    """An event that nobody wants costs nothing, not even the conversion of its body."""
    events.publish("ntp", 0, {"not encodable": object()})
    assert events._sequence == 1


def test_a_subscription_can_end(events: EventPublisher, subscribe: Callable[[str], "zmq.Socket[bytes]"]) -> None:
    """After the only subscriber has gone, events are no longer encoded."""
    socket = subscribe("ntp")
    events.publish("ntp", 0, {})
    receive(socket)
    socket.setsockopt(zmq.UNSUBSCRIBE, b"ntp")
    assert events._socket.poll(5000)
    events.publish("ntp", 0, {"not encodable": object()})


def test_a_subscriber_that_does_not_read_holds_nobody_up(
    events: EventPublisher, subscribe: Callable[[str], "zmq.Socket[bytes]"]
) -> None:
    """Far more events than any queue holds are published without waiting, and the gap shows in the sequence."""
    socket = subscribe("")
    for number in range(5000):
        events.publish("snapshot", number, {"filler": "x" * 2000})
    assert receive(socket).sequence == 1


def test_a_publication_is_a_body(fuse: Callable[..., FusedForecast]) -> None:
    """A snapshot event carries the publication's fields by name, as plain values."""
    bound = HardBound(S, 5, 7, 5e-5)
    made = next_publication(
        None,
        fuse(S, 6),
        bound,
        raw_ns=S,
        status=Status.HOLDOVER,
        fix_raw_ns=S,
        void_raw_ns=2 * S,
        stale_raw_ns=2 * S,
        slew_ppm=500,
        step=False,
        host_instance=1,
        sequence=1,
    )
    body = snapshot_body(made)
    assert (body["theta_ns"], body["status"], body["source"]) == (6, "HOLDOVER", ("floor",))

"""Events to whoever listens: an XPUB socket with the topics snapshot, plugin, ntp and alarm."""

from typing import Any, Final, get_args

import msgspec
import zmq

from chronotick.publish.types import Publication
from chronotick.wire.codec import encode_event
from chronotick.wire.messages import Event, Topic
from chronotick.wire.runtime_dir import RuntimeLock
from chronotick.wire.sockets import bind_publisher

TOPICS: Final = get_args(Topic)
# Subscriptions taken in at one event.
MOST_NOTICES: Final = 64


class EventPublisher:
    """Publishes events. Never waits: a subscriber that is too slow misses some, and sees it by `sequence`.

    Use from one thread.
    """

    def __init__(self, endpoint: str, *, lock: RuntimeLock | None = None) -> None:
        """Bind `ipc://PATH`, in a runtime directory whose `lock` the caller holds.

        Raises:
            RuntimeDirError: the endpoint can not be bound.
        """
        self._sequence = 0
        self._topics: set[str] = set()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._socket = bind_publisher(self._context, endpoint, lock=lock)
        except BaseException:
            self._context.term()
            raise

    def publish(self, topic: Topic, utc_ns: int, body: dict[str, Any]) -> None:
        """Send one event. Where nobody has subscribed to it, it is counted and not even encoded.

        Args:
            utc_ns: UTC of the event as published; 0 while it is unknown.
            body: plain maps, lists, numbers and strings.
        """
        self._hear_subscriptions()
        self._sequence += 1
        if any(topic.startswith(wanted) for wanted in self._topics):
            event = Event(topic=topic, sequence=self._sequence, utc_ns=utc_ns, body=body)
            self._socket.send_multipart(encode_event(event), zmq.DONTWAIT)

    def close(self) -> None:
        """Give the endpoint back."""
        self._socket.close(linger=0)
        self._context.term()

    def _hear_subscriptions(self) -> None:
        # Bounded in work and in memory: a subscriber who subscribes without end must not hold up the host.
        for _ in range(MOST_NOTICES):
            if not self._socket.poll(0):
                return
            notice = self._socket.recv()
            topic = notice[1:65].decode("utf-8", "replace")
            if notice[:1] == b"\1" and any(known.startswith(topic) for known in TOPICS):
                self._topics.add(topic)
            elif notice[:1] == b"\0":
                self._topics.discard(topic)


def snapshot_body(publication: Publication) -> dict[str, Any]:
    """A publication as the body of a `snapshot` event: its fields by name."""
    body: dict[str, Any] = msgspec.to_builtins(publication)
    return body

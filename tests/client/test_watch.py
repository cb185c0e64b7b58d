"""watch: every change of condition, and nothing else."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chronotick import Clock, Status
from chronotick.client.watch import TOPICS
from chronotick.publish import EventPublisher

S = 1_000_000_000
Later = Callable[[float], None]


def test_the_present_condition_comes_first_and_changes_follow(host: Any, clock: Clock) -> None:
    """UNKNOWN with its reason, then SYNCHRONISED with a reading, then another epoch; publications alone are no news."""
    changes = clock.watch(0.05)
    first = next(changes)
    assert (first.status, first.reading) == (Status.UNKNOWN, None)
    assert "no majority" in first.reason
    for _ in range(3):
        host.publish()
    second = next(changes)
    assert (second.status, second.epoch, second.host_instance, second.reason) == (Status.SYNCHRONISED, 1, 1, "")
    assert second.reading is not None
    host.publish()
    threading.Timer(0.3, lambda: host.publish(epoch=1)).start()
    third = next(changes)
    assert (third.status, third.epoch) == (Status.SYNCHRONISED, 2)
    changes.close()


def test_a_host_that_falls_silent_is_told(host: Any, clock: Clock, later: Later) -> None:
    """Nobody sends an event when the host is killed; HOLDOVER and then UNKNOWN come all the same."""
    host.publish(void_s=100)
    changes = clock.watch(0.02)
    assert next(changes).status is Status.SYNCHRONISED
    later(10)
    assert next(changes).status is Status.HOLDOVER
    later(101)
    gone = next(changes)
    assert gone.status is Status.UNKNOWN
    assert "fell silent" in gone.reason
    changes.close()


def test_without_any_host_it_waits_for_one(tmp_path: Path, make_fake_host: Callable[[Path], Any]) -> None:
    """The absence is told, then the host that comes."""
    place = tmp_path / "run"
    with Clock(place, timeout_s=0.1) as clock:
        changes = clock.watch(0.02)
        absent = next(changes)
        assert (absent.status, absent.host_instance) == (Status.UNKNOWN, 0)
        assert "runtime directory" in absent.reason
        host = make_fake_host(place)
        host.publish()
        assert next(changes).status is Status.SYNCHRONISED
        changes.close()


def test_an_event_wakes_the_watcher_at_once(host: Any, clock: Clock) -> None:
    """With the host's events a change is told long before the next look would be due."""
    host.publish()
    with host.directory.lock() as lock:
        events = EventPublisher(f"ipc://{host.directory.events}", lock=lock)
        changes = clock.watch(60)
        assert next(changes).status is Status.SYNCHRONISED
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(next(changes)))
        thread.start()
        host.publish(status=Status.HOLDOVER)
        ends = time.monotonic() + 20
        while thread.is_alive() and time.monotonic() < ends:
            # The watcher's subscription may still be on its way.
            events.publish(TOPICS[0], 0, {})
            thread.join(0.05)
        assert found
        assert found[0].status is Status.HOLDOVER
        changes.close()
        events.close()

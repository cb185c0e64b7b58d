"""What the host says of itself as it goes."""

import logging
from types import SimpleNamespace

import pytest

from chronotick.ops.voice import Voice


def test_a_steered_time_base_is_said_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    """A warning and an alarm when the rule begins to hold, and again one when it ends; nothing in between."""
    candidates = SimpleNamespace(steered=False)
    events: list[tuple[str, dict]] = []
    core = SimpleNamespace(pipeline=SimpleNamespace(candidates=candidates))
    voice = Voice(core, None, lambda topic, body: events.append((topic, body)), str)  # type: ignore[arg-type]
    with caplog.at_level(logging.INFO):
        for steered in (False, True, True, False, False):
            candidates.steered = steered
            voice._follow_steering()
    assert events == [("alarm", {"kind": "steered", "steered": True}), ("alarm", {"kind": "steered", "steered": False})]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]

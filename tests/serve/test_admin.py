"""The admin socket: commands, and for the host's own user only."""

import logging
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chronotick.errors import ConfigError
from chronotick.serve import AdminVerbs, Server

Connect = Callable[..., Any]


@pytest.fixture
def called() -> list[dict[str, Any]]:
    """The arguments that `shutdown` was called with."""
    return []


@pytest.fixture
def admin(serve: Callable[..., Server], asker: Connect, called: list[dict[str, Any]]) -> Any:
    """A client of an admin socket with the verbs shutdown and reload; reload fails."""

    def shutdown(arguments: dict[str, Any]) -> dict[str, Any]:
        called.append(arguments)
        return {"stopping": True}

    def reload(arguments: dict[str, Any]) -> dict[str, Any]:
        raise ConfigError("config.yaml, line 3: unknown key.", mend="Remove it.")

    serve(AdminVerbs({"shutdown": shutdown, "reload": reload}), "admin.sock")
    return asker("admin.sock")


@pytest.fixture
def level() -> Iterator[logging.Logger]:
    """ChronoTick's logger, whose level comes back."""
    logger = logging.getLogger("chronotick")
    before = logger.level
    yield logger
    logger.setLevel(before)


def test_a_command_is_carried_out(admin: Any, called: list[dict[str, Any]]) -> None:
    """The verb gets its arguments, and its result comes back under the id."""
    answer = admin.ask(type="command", id=3, verb="shutdown", arguments={"grace_ms": 10})
    assert answer == {"type": "command_ok", "id": 3, "result": {"stopping": True}}
    assert called == [{"grace_ms": 10}]


def test_a_command_that_fails_says_why(admin: Any) -> None:
    """The sentence and the mend of a failed reload reach whoever asked for it."""
    answer = admin.ask(type="command", id=4, verb="reload")
    assert (answer["type"], answer["id"], answer["mend"]) == ("error", 4, "Remove it.")
    assert "line 3" in answer["message"]


def test_an_unknown_command_is_told_the_known_ones(admin: Any, called: list[dict[str, Any]]) -> None:
    """A mistyped verb does nothing and names what there is."""
    answer = admin.ask(type="command", id=5, verb="shutdwon")
    assert (answer["code"], answer["id"]) == ("bad_message", 5)
    assert "log_level, reload, shutdown" in answer["message"]
    assert called == []


def test_the_log_level_can_be_changed(admin: Any, level: logging.Logger) -> None:
    """A level takes effect at once, and the one before is told; a wrong one changes nothing."""
    level.setLevel(logging.WARNING)
    answer = admin.ask(type="command", id=6, verb="log_level", arguments={"level": "debug"})
    assert answer["result"] == {"level": "debug", "before": "warning"}
    assert level.level == logging.DEBUG
    for wrong in ({"level": "loud"}, {"level": 7}, {"level": []}, {}):
        assert admin.ask(type="command", id=7, verb="log_level", arguments=wrong)["code"] == "bad_message"
    assert level.level == logging.DEBUG


def test_questions_belong_on_the_client_socket(admin: Any) -> None:
    """The admin socket answers commands only."""
    assert admin.ask(type="now", id=8)["code"] == "unknown_type"


def test_only_the_hosts_user_reaches_the_socket(admin: Any, tmp_path: Path) -> None:
    """admin.sock has mode 0600."""
    assert stat.S_IMODE((tmp_path / "admin.sock").stat().st_mode) == 0o600

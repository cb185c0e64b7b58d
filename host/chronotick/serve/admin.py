"""What the admin socket answers: commands that change the host."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from chronotick.errors import ProtocolError
from chronotick.wire.codes import Code
from chronotick.wire.messages import Command, CommandOk, Message

# Carries a command out, given its arguments, and returns what is worth knowing about it. Called in the server's thread.
Act = Callable[[dict[str, Any]], dict[str, Any]]

LEVELS = ("debug", "info", "warning", "error")


class AdminVerbs:
    """Answers `command` messages from a table of verbs. `log_level` is always among them."""

    def __init__(self, verbs: Mapping[str, Act]) -> None:
        """Args: verbs that the host offers, e.g. `shutdown` and `reload`, each handing over to the host's loop."""
        self._verbs = {"log_level": set_log_level} | dict(verbs)

    def __call__(self, message: Message) -> Message:
        """Carry it out.

        Raises:
            ProtocolError: `unknown_type` for another message, `bad_message` for an unknown verb or wrong arguments.
        """
        if not isinstance(message, Command):
            kind = type(message).__struct_config__.tag
            raise ProtocolError(Code.UNKNOWN_TYPE, f"A message of type {kind!r} is not answered on the admin socket.")
        act = self._verbs.get(message.verb)
        if act is None:
            known = ", ".join(sorted(self._verbs))
            raise ProtocolError(Code.BAD_MESSAGE, f"There is no command {message.verb[:64]!r}, only {known}.")
        return CommandOk(id=message.id, result=act(message.arguments))


def set_log_level(arguments: dict[str, Any]) -> dict[str, Any]:
    """Set the level of all of ChronoTick's log records; `level` is one of debug, info, warning, error.

    Raises:
        ProtocolError: `bad_message` for another level.
    """
    level = arguments.get("level")
    if level not in LEVELS:
        raise ProtocolError(Code.BAD_MESSAGE, f"The log level is {level!r}, expected one of {', '.join(LEVELS)}.")
    logger = logging.getLogger("chronotick")
    before = logging.getLevelName(logger.getEffectiveLevel()).lower()
    logger.setLevel(level.upper())
    return {"level": level, "before": before}

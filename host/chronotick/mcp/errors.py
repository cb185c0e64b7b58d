"""What a tool says when it can not answer: one shape for every tool and every cause."""

import json
import time
from collections.abc import Mapping
from typing import Any

from mcp_types import CallToolResult, TextContent
from pydantic import ValidationError

from chronotick.errors import ChronoTickError

# Arguments are given back to say what was refused, not to fill the agent's memory.
ECHO_CHARACTERS = 200


def failure(tool: str, arguments: Mapping[str, Any], error: ChronoTickError | ValidationError) -> CallToolResult:
    """The result of a call that failed: `{error, tool, arguments, timestamp}` with what mends it, as JSON text.

    There is no structured content: the output schema describes answers, and clients check whatever they are given
    against it. The timestamp is the system clock's, for logs: an error never carries ChronoTick's time.
    """
    body: dict[str, Any] = {
        "error": sentence(error),
        "tool": tool,
        "arguments": {name: _echo(value) for name, value in arguments.items()},
        "timestamp": time.time(),
        "timestamp_source": "system clock, uncorrected: for logs, not a time to use",
        "kind": type(error).__name__ if isinstance(error, ChronoTickError) else "InvalidArguments",
        "mend": getattr(error, "mend", None) or "See the input schema of the tool.",
    }
    return CallToolResult(content=[TextContent(type="text", text=json.dumps(body, indent=2))], is_error=True)


def sentence(error: ChronoTickError | ValidationError) -> str:
    """What is wrong, in one line."""
    if isinstance(error, ValidationError):
        return "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'arguments'}: {fault['msg']}" for fault in error.errors()
        )
    return error.message


def _echo(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return value if len(text) <= ECHO_CHARACTERS else f"{text[:ECHO_CHARACTERS]}... ({len(text)} characters)"

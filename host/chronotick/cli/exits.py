"""Exit codes of the command line, the same for every command."""

from typing import Final

OK: Final = 0
NEGATIVE: Final = 1
"""The command ran, and its answer is no: nothing accepted, a check failed, time is not known."""
USAGE: Final = 2
"""The command line is wrong."""
UNAVAILABLE: Final = 69
"""The host can not be reached."""
INTERNAL: Final = 70
"""A fault of ChronoTick's own."""
CONFIG: Final = 78
"""The configuration is wrong."""
INTERRUPTED: Final = 130
"""Ctrl-C."""

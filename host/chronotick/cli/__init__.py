"""The command line."""

from chronotick.cli.main import main

__all__ = ["main"]

"""Stage 3: what a model sees. Measurements only, smoothed, on a role's grid, with gaps marked."""

from chronotick.window.build import build
from chronotick.window.history import Fixes, History
from chronotick.window.types import NotReady, Window

__all__ = ["Fixes", "History", "NotReady", "Window", "build"]

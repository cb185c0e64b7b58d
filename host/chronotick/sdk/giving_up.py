"""End a model's computation between two of its layers, once nobody waits for its answer any more.

One pass of a large model over a long window can take half a minute on a CPU; between forecasts is too late to ask.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from chronotick.sdk.errors import Cancelled


class GivingUp:
    """Asks `Batch.cancelled` before each of a model's layers."""

    def __init__(self, layers: Iterable[Any]) -> None:
        """Watch these layers (torch modules), which run one after the other."""
        self._cancelled: Callable[[], bool] | None = None
        for layer in layers:
            layer.register_forward_pre_hook(self._before_layer)

    @contextmanager
    def once(self, cancelled: Callable[[], bool]) -> Iterator[None]:
        """Within this, a layer that is about to run raises `Cancelled` when `cancelled` says so."""
        self._cancelled = cancelled
        try:
            yield
        finally:
            self._cancelled = None

    def _before_layer(self, *_: Any) -> None:
        if self._cancelled is not None and self._cancelled():
            raise Cancelled("Nobody waits for this forecast any more.")

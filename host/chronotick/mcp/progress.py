"""How a call that takes long tells how far it is."""

from collections.abc import Awaitable, Callable

# progress, total, one sentence. Does nothing where the caller has not asked for progress.
Report = Callable[[float, float | None, str | None], Awaitable[None]]

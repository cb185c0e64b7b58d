"""What an agent imports: a clock that answers with an interval. Needs pyzmq and msgpack, and these only at need."""

from chronotick.client.clock import Clock
from chronotick.client.reading import Reading
from chronotick.wire.snapshot import Status

__all__ = ["Clock", "Reading", "Status"]

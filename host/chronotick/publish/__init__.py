"""From the fused estimate to what readers see: slewed publications, the snapshot file, events."""

from chronotick.publish.events import EventPublisher, snapshot_body
from chronotick.publish.publisher import Publisher
from chronotick.publish.record import to_publication, to_record
from chronotick.publish.slew import next_publication, unknown_publication
from chronotick.publish.types import HardBound, Publication

__all__ = [
    "EventPublisher",
    "HardBound",
    "Publication",
    "Publisher",
    "next_publication",
    "snapshot_body",
    "to_publication",
    "to_record",
    "unknown_publication",
]

"""Publications as records of the snapshot file, and back."""

from chronotick.publish.types import Publication
from chronotick.wire.snapshot import Record


def to_record(publication: Publication, *, suspended_ns: int = 0, host_pid: int = 0) -> Record:
    """The record of a publication; `suspended_ns` and `host_pid` as the writer finds them."""
    return Record(
        raw_ns=publication.raw_ns,
        theta_ns=publication.theta_ns,
        rate=publication.rate,
        slew_rate=publication.slew_rate,
        slew_until_raw_ns=publication.slew_until_raw_ns,
        sigma_s=publication.sigma_s,
        sigma_growth=publication.sigma_growth,
        half_widths_s=publication.half_widths_s,
        half_growths=publication.half_growths,
        earliest_theta_ns=publication.earliest_theta_ns,
        latest_theta_ns=publication.latest_theta_ns,
        bound_growth=publication.bound_growth,
        stale_raw_ns=publication.stale_raw_ns,
        void_raw_ns=publication.void_raw_ns,
        fix_raw_ns=publication.fix_raw_ns,
        suspended_ns=suspended_ns,
        epoch=publication.epoch,
        sequence=publication.sequence,
        host_instance=publication.host_instance,
        host_pid=host_pid,
        status=publication.status,
        source=publication.source,
    )


def to_publication(record: Record) -> Publication:
    """The publication that a record was made from."""
    return Publication(**{name: getattr(record, name) for name in Publication.__struct_fields__})

"""A verified stamp, and how to verify one without the host."""

import os
from typing import NamedTuple

from chronotick.client.instant import Instant
from chronotick.wire.token import Content


class Stamped(NamedTuple):
    """What a token says that has been verified.

    Attributes:
        instant: when the host made it, and the intervals of that reading.
        payload_sha256: hex digest of what was stamped.
        host: name of the host's key, 32 hex digits.
        token: the token itself.
    """

    instant: Instant
    payload_sha256: str
    host: str
    token: str


def stamped(content: Content, token: str) -> Stamped:
    """A token's content as its users see it."""
    instant = Instant(
        utc_ns=content.utc_ns,
        earliest_ns=content.earliest_ns,
        latest_ns=content.latest_ns,
        sigma_ns=content.sigma_ns,
        half_width_95_ns=content.half_width_95_ns,
        age_ns=content.age_ns,
        status=content.status,
        epoch=content.epoch,
        host_instance=content.host_instance,
    )
    return Stamped(instant, content.payload_sha256, content.host, token)


def verify_offline(token: str, key_file: str | os.PathLike[str], payload: bytes | str | None = None) -> Stamped:
    """Verify a stamp with a copy of the host's key file, also when the host is gone.

    Args:
        payload: refuse a stamp of anything else; None to leave that to `payload_sha256`.

    Raises:
        TokenRefused: invented, altered, made by another host, or of another payload.
        RuntimeDirError: the key file can not be used.
    """
    from chronotick.wire.host_key import load
    from chronotick.wire.token import check, check_payload

    content = check(token, load(key_file))
    if payload is not None:
        check_payload(content, payload)
    return stamped(content, token)

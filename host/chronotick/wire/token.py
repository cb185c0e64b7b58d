"""Signed stamps: when something was seen, by whose clock, and of which payload. Stdlib only.

    token = "ctk1." + base64url(body) + "." + base64url(mac)
    mac   = HMAC-SHA256(key, "chronotick stamp 1" NUL body)

The body has a fixed layout, so that one content has exactly one token: an altered character is another content or no
token at all. The key never leaves the host; its name in the token is a hash of it.
"""

import base64
import hashlib
import hmac
import struct
from typing import Final, NamedTuple

from chronotick.errors import TokenRefused
from chronotick.wire.snapshot import Status

PREFIX: Final = "ctk1"
KEY_BYTES: Final = 32

_BODY: Final = struct.Struct(">B16sQQQqqqqqq32s")
_CONTEXT: Final = b"chronotick stamp 1\0"
_STATUSES: Final = tuple(Status)
_MAC_BYTES: Final = hashlib.sha256().digest_size


class Content(NamedTuple):
    """What a token says. Instants and widths in ns, as of the reading that the host made for it.

    Attributes:
        host: 32 hex digits, the name of the host's key.
        payload_sha256: 64 hex digits.
    """

    host: str
    host_instance: int
    epoch: int
    sequence: int
    utc_ns: int
    earliest_ns: int
    latest_ns: int
    sigma_ns: int
    half_width_95_ns: int
    age_ns: int
    status: Status
    payload_sha256: str


def host_of(key: bytes) -> str:
    """The public name of a key."""
    return hashlib.sha256(b"chronotick host 1\0" + key).hexdigest()[:32]


def payload_hash(payload: bytes | str) -> str:
    """SHA-256 of a payload, hex; text counts as UTF-8."""
    return hashlib.sha256(payload.encode() if isinstance(payload, str) else payload).hexdigest()


def sign(content: Content, key: bytes) -> str:
    """The token of this content.

    Raises:
        ValueError: a number that is out of range.
    """
    try:
        body = _BODY.pack(
            _STATUSES.index(content.status), bytes.fromhex(content.host), *content[1:10], bytes.fromhex(content[11])
        )
    except struct.error as error:
        raise ValueError(f"A stamp can not hold these numbers ({error}): {content}.") from error
    return f"{PREFIX}.{_text(body)}.{_text(_mac(body, key))}"


def read(token: str) -> Content:
    """What a token claims. Nothing is known of its truth until `check` or the host has confirmed it.

    Raises:
        TokenRefused: it is no token.
    """
    return _parts(token)[0]


def check(token: str, key: bytes) -> Content:
    """What a token says, if it was made with this key.

    Raises:
        TokenRefused: it is no token, it was made by another host, or it was altered.
    """
    content, body, mac = _parts(token)
    if content.host != host_of(key):
        raise TokenRefused(f"The stamp was made by another host ({content.host}), not by this one ({host_of(key)}).")
    if not hmac.compare_digest(mac, _mac(body, key)):
        raise TokenRefused("The stamp was invented or altered: its signature is wrong.")
    return content


def check_payload(content: Content, payload: bytes | str) -> None:
    """Refuse a stamp of something else.

    Raises:
        TokenRefused: the payload is not the one that was stamped.
    """
    if not hmac.compare_digest(content.payload_sha256, payload_hash(payload)):
        raise TokenRefused("The stamp was made for another payload.")


def _parts(token: str) -> tuple[Content, bytes, bytes]:
    words = token.split(".") if isinstance(token, str) else []
    if len(words) != 3 or words[0] != PREFIX:
        raise TokenRefused("This is no stamp of ChronoTick: expected ctk1.BODY.SIGNATURE.")
    body, mac = (_bytes(word) for word in words[1:])
    if len(body) != _BODY.size or len(mac) != _MAC_BYTES:
        raise TokenRefused("The stamp is cut off or malformed.")
    status, host, *numbers, digest = _BODY.unpack(body)
    if status >= len(_STATUSES):
        raise TokenRefused("The stamp is malformed: it has no such status.")
    return Content._make((host.hex(), *numbers, _STATUSES[status], digest.hex())), body, mac


def _mac(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _CONTEXT + body, "sha256")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(word: str) -> bytes:
    try:
        data = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
    except ValueError:
        data = b""
    # Several texts decode to the same bytes; only the one that we would write is ours.
    return data if _text(data) == word else b""

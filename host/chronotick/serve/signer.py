"""The host's signature under what time it was."""

from chronotick.errors import ProtocolError, TokenRefused
from chronotick.wire.codes import Code
from chronotick.wire.messages import Reading
from chronotick.wire.snapshot import Status
from chronotick.wire.token import Content, check, host_of, sign


class Signer:
    """Makes and verifies stamps with one key. Holds no other state: a stamp is its own record."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.host: str = host_of(key)

    def stamp(self, reading: Reading, payload_sha256: str) -> str:
        """The token of a payload's hash at this reading.

        Raises:
            ProtocolError: `no_time` for a reading that is UNKNOWN: nothing is signed that nobody stands for.
        """
        if reading.status == "UNKNOWN":
            raise ProtocolError(
                Code.NO_TIME, "The host has no time that it could sign.", mend="See: chronotick status."
            )
        content = Content(
            host=self.host,
            host_instance=reading.host_instance,
            epoch=reading.epoch,
            sequence=reading.sequence,
            utc_ns=reading.utc_ns,
            earliest_ns=reading.earliest_ns,
            latest_ns=reading.latest_ns,
            sigma_ns=reading.sigma_ns,
            half_width_95_ns=max(reading.utc_ns - reading.low_95_ns, reading.high_95_ns - reading.utc_ns),
            age_ns=reading.age_ns,
            status=Status(reading.status),
            payload_sha256=payload_sha256,
        )
        return sign(content, self._key)

    def verify(self, token: str) -> Content:
        """What a token says that this key has signed.

        Raises:
            ProtocolError: `bad_stamp` for any other.
        """
        try:
            return check(token, self._key)
        except TokenRefused as error:
            raise ProtocolError(Code.BAD_STAMP, error.message) from error

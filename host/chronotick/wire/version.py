"""Protocol version: the major is in the magic frame, the minor is agreed on in hello and welcome. Stdlib only."""

from collections.abc import Iterable
from typing import Final

from chronotick.errors import ProtocolError

MAJOR: Final = 1
MINOR: Final = 0
MAGIC_PREFIX: Final = b"CTK"
MAGIC: Final = MAGIC_PREFIX + b"%d" % MAJOR

# Every (major, highest minor) that this package speaks, as hello offers them.
SUPPORTED: Final[tuple[tuple[int, int], ...]] = ((MAJOR, MINOR),)


def check_magic(frame: bytes) -> None:
    """Refuse a message whose first frame is not ours.

    Raises:
        ProtocolError: `version_mismatch` for another major of this protocol, `bad_magic` for anything else.
    """
    if frame == MAGIC:
        return
    digits = frame[len(MAGIC_PREFIX) :]
    if frame.startswith(MAGIC_PREFIX) and digits.isdigit() and len(digits) <= 3:
        raise ProtocolError(
            "version_mismatch",
            f"The peer speaks major version {int(digits)} of the protocol, this side speaks {MAJOR}.",
            mend="Install the same ChronoTick version on both sides.",
        )
    raise ProtocolError("bad_magic", f"The first frame is {frame[:8]!r}, expected {MAGIC!r}.")


def negotiate(offered: Iterable[tuple[int, int]]) -> tuple[int, int]:
    """Pick the version to speak with a peer that offers these (major, highest minor) pairs.

    The highest common major wins, with the lower of both sides' minors.

    Raises:
        ProtocolError: `version_mismatch` when no major is common.
    """
    theirs: dict[int, int] = {}
    for major, minor in offered:
        theirs[major] = max(minor, theirs.get(major, 0))
    common = [(major, min(minor, theirs[major])) for major, minor in SUPPORTED if major in theirs]
    if not common:
        spoken = ", ".join(str(major) for major in sorted(theirs)) or "none"
        raise ProtocolError(
            "version_mismatch",
            f"No common protocol major: the peer offers {spoken}, this side speaks {MAJOR}.",
            mend="Install the same ChronoTick version on both sides.",
        )
    return max(common)

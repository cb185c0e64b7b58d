"""What all plugins of one host share."""

import random
from collections.abc import Callable, Mapping

from msgspec import Struct

from chronotick.plugins.backoff import BackoffPolicy
from chronotick.plugins.link import Sent
from chronotick.plugins.turns import Turns
from chronotick.plugins.types import PluginEvent, Timing
from chronotick.wire.messages import Message


class Surroundings(Struct, frozen=True, kw_only=True):
    """The host, as one of its plugins' keepers sees it.

    Attributes:
        endpoint: where plugins connect to.
        host_instance: random 64-bit id of the host's run.
        sdk: version of the `chronotick` distribution.
        environ: the host's environment variables.
        log_level: that plugins log at.
        rng: for the jitter of the backoff, seeded.
        send: hands a message to the peer of that identity.
        next_id: makes request ids, unique over the host's run.
        on_event: told of every change of state.
    """

    endpoint: str
    host_instance: int
    sdk: str
    environ: Mapping[str, str]
    log_level: str
    timing: Timing
    backoff: BackoffPolicy
    turns: Turns
    rng: random.Random
    send: Callable[[bytes, Message], Sent]
    next_id: Callable[[], int]
    on_event: Callable[[PluginEvent], None]

"""How often a server is asked. Pure; the only randomness is a number that the caller draws.

Four rules, the later ones stronger:

- Warm-up: the first `warm_up_polls` accepted exchanges come every `warm_up_poll_s`. Then the interval starts at
  `min_poll_s` and moves in factors of two up to `max_poll_s`: longer while the network's noise exceeds what the
  oscillator adds between polls (asking more often would only average noise), shorter when the oscillator shows.
- Loss: each exchange lost in a row after the first doubles the wait, up to `max_poll_s`; where nothing
  left this machine (no address, no route), up to `min_poll_s` only, since nobody is bothered.
- First reply: a server not heard yet in this warm-up is asked again after half of `warm_up_poll_s`, three times, before
  the losses count: a start whose first packets are lost need not wait for a time. A reply is waited for no longer than
  one that would be used may take. That is four requests a second apart at the defaults, where the iburst of chrony and
  of RFC 5905 is eight, 2 s apart.
- RATE (RFC 5905 section 7.4): the interval at least doubles, ends the warm-up, and never falls below that again.

There is no lower limit but the configured one: the defaults are what public pools ask for, a lab may go faster.
"""

from typing import Final

import msgspec

from chronotick.config.schema import NtpConfig
from chronotick.ntp.outcome import Refusal

# Quiet or restless exchanges, net, before the interval moves: as many as the filter holds take half of it.
_LIMIT: Final = 4
_RESTLESS_STEP: Final = 2
# RFC 5905's largest poll, 2^17 s: RATE may push past the configured maximum, but not beyond this.
_LONGEST_S: Final = 131_072.0
_REGULAR_SPREAD: Final = 0.05
_BACKOFF_SPREAD: Final = 0.25
# Losses that are asked again early while a server was never heard in this warm-up.
_EARLY: Final = 3
_EARLY_SHARE: Final = 0.5
_LOCAL: Final = frozenset({Refusal.NO_ADDRESS, Refusal.NO_ROUTE})


class PollState(msgspec.Struct, frozen=True):
    """A server's poll interval.

    Attributes:
        interval_s: interval after warm-up, before backoff and `floor_s`.
        score: quiet exchanges minus twice the restless ones since the interval moved.
        floor_s: lowest interval that the server allows, learned from RATE; 0 for none.
        warm_up_left: accepted exchanges until the warm-up ends.
        lost: exchanges without a sample in a row.
        local: the last loss never left this machine.
    """

    interval_s: float
    score: int = 0
    floor_s: float = 0.0
    warm_up_left: int = 0
    lost: int = 0
    local: bool = False


def first_poll(config: NtpConfig) -> PollState:
    """The state before the first exchange."""
    return PollState(interval_s=config.min_poll_s, warm_up_left=config.warm_up_polls)


def after_accepted(poll: PollState, noise_s: float | None, wander_s: float | None, config: NtpConfig) -> PollState:
    """The state after an accepted exchange.

    Args:
        noise_s: what the network adds to one sample, s; None while unknown.
        wander_s: what the oscillator adds to the scatter around a straight line, s; None while unknown.
    """
    poll = msgspec.structs.replace(poll, lost=0, local=False, warm_up_left=max(poll.warm_up_left - 1, 0))
    if poll.warm_up_left or noise_s is None or wander_s is None:
        return poll
    score = poll.score + (1 if wander_s <= noise_s else -_RESTLESS_STEP)
    interval_s = poll.interval_s
    if score >= _LIMIT:
        interval_s, score = min(interval_s * 2, max(config.max_poll_s, config.min_poll_s)), 0
    elif score <= -_LIMIT:
        interval_s, score = max(interval_s / 2, config.min_poll_s), 0
    return msgspec.structs.replace(poll, interval_s=interval_s, score=score)


def after_lost(poll: PollState, reason: Refusal, config: NtpConfig) -> PollState:
    """The state after an exchange without a sample."""
    lost = msgspec.structs.replace(poll, lost=poll.lost + 1, local=reason in _LOCAL)
    if reason is not Refusal.KISS_RATE:
        return lost
    floor_s = min(max(2 * _base_s(poll, config), config.min_poll_s), _LONGEST_S)
    return msgspec.structs.replace(lost, floor_s=floor_s, warm_up_left=0)


def early(poll: PollState, config: NtpConfig) -> bool:
    """Whether a time is still wanted of a server, so that a loss is asked again early."""
    return poll.lost <= _EARLY and _unheard(poll, config)


def patience_s(poll: PollState, config: NtpConfig) -> float:
    """Seconds that the next reply is waited for; while a time is wanted, none that its delay would make useless."""
    return min(config.timeout_s, config.max_delay_s) if early(poll, config) else config.timeout_s


def wait_s(poll: PollState, config: NtpConfig, draw: float) -> float:
    """Seconds from one request to the next. `draw` in [0, 1) spreads it upwards, never below what was decided."""
    wait, lost = _base_s(poll, config), poll.lost
    if lost and _unheard(poll, config):
        if lost <= _EARLY:
            return max(wait * _EARLY_SHARE, poll.floor_s) * (1 + _REGULAR_SPREAD * draw)
        lost -= _EARLY
    if lost > 1:
        most = config.min_poll_s if poll.local else config.max_poll_s
        wait = min(wait * 2.0 ** min(lost - 1, 40), max(most, wait))
        return wait * (1 + _BACKOFF_SPREAD * draw)
    return wait * (1 + _REGULAR_SPREAD * draw)


def _unheard(poll: PollState, config: NtpConfig) -> bool:
    """Nothing was accepted yet in this warm-up."""
    return 0 < poll.warm_up_left == config.warm_up_polls


def _base_s(poll: PollState, config: NtpConfig) -> float:
    base = config.warm_up_poll_s if poll.warm_up_left else poll.interval_s
    return max(base, poll.floor_s)

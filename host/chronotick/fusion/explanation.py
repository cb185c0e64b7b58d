"""What the gate says about one candidate at one horizon, for people."""

from typing import Final

import msgspec

# A say of which more than this is left needs no explanation.
_PLAIN: Final = 0.9


class Explanation(msgspec.Struct, frozen=True):
    """Why a candidate has the weight it has at one horizon.

    Attributes:
        candidate: its name in the gate; `horizon_s`: the rung.
        n_eff: independent scores so far.
        gain: share of the floor's loss saved; negative when worse.
        t: how sure that saving is, in standard errors; negative when the floor is better.
        open: whether it may speak.
        weight: its share now, 0..1.
        reason: one sentence.
    """

    candidate: str
    horizon_s: float
    n_eff: float
    gain: float
    t: float
    open: bool
    weight: float
    reason: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a reason is made of; `gain`, `t`, `n_eff` and `weight` as in `Explanation`.

    Attributes:
        needed_t, asked: the t and the gain that open a candidate here.
        left: share of its say that the quick judges leave, 0..1.
        scored: whether it has any score; `enough`: as many as opening takes.
        open, on_credit: as in `Evidence`; `ahead_of_scores`: credited where no score has a say yet.
        shut: by a quick judge, until its forecasts of then are scored.
        trusted: a rule has decided for it; `distrusted`: the floor has proved better than that.
    """

    gain: float
    t: float
    n_eff: float
    needed_t: float
    asked: float
    weight: float
    left: float
    scored: bool
    enough: bool
    open: bool
    on_credit: bool
    ahead_of_scores: bool
    shut: bool
    trusted: bool
    distrusted: bool


def reason(facts: Facts) -> str:
    """Why a candidate has its weight, in a sentence or two."""
    said = _weighed(facts) if facts.weight > 0 else _silent(facts)
    if facts.weight > 0 and not facts.trusted and facts.left < _PLAIN:
        said += f" Its last answer or the latest fixes leave {facts.left:.0%} of its say."
    return said


def _weighed(facts: Facts) -> str:
    weight, saved = f"{facts.weight:.0%} of the weight", f"saves {facts.gain:.0%} of the floor's loss"
    if facts.trusted:
        record = f"{saved} so far" if facts.scored else "has no score yet"
        return f"A rule has decided for it, in the floor's place: {weight}. It {record}."
    if facts.ahead_of_scores:
        return f"The fixes speak for its shape, so it has {weight} before it is scored here."
    if facts.on_credit:
        return f"The fixes speak for its shape, and it {saved} (t = {facts.t:.1f}), so it has {weight}."
    return f"It {saved} (t = {facts.t:.1f}), so it has {weight}."


def _silent(facts: Facts) -> str:
    saves = f"It saves {facts.gain:.0%} of the floor's loss"
    if facts.open:
        return f"{saves}, but no forecast of it reaches this far now."
    if facts.shut:
        return "It was shut for bad answers or for missing the latest fixes, until those are scored."
    if facts.trusted and facts.distrusted:
        saved = f"it saves {facts.gain:.0%} (t = {facts.t:.1f})"
        return f"A rule has decided for it, but the floor's loss is smaller: {saved}."
    if not facts.enough:
        return f"Too few forecasts have been scored: {facts.n_eff:.1f} independent ones."
    if facts.gain <= facts.asked:
        return f"It saves {facts.gain:.1%} of the floor's loss, and {facts.asked:.0%} is asked for."
    return f"{saves}, but t = {facts.t:.1f} and {facts.needed_t:.1f} is asked for."

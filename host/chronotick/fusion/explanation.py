"""What the gate says about one candidate at one horizon, for people."""

import msgspec


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

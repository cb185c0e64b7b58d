"""The gate's and the intervals' constants, in one place."""

import msgspec

from chronotick.fusion.candidate import CREDIT_LOG_ODDS


class GateRules(msgspec.Struct, frozen=True):
    """Constants of the gate. How much gain and how much certainty it asks for is configuration (`FusionConfig`).

    Where they come from: loss, half-life, power, long_share, noisy_t, hold_over_share, min_scores and min_spans from a
    prototype study on simulated and recorded clocks. absurd_sigma, strikes and the watch's constants
    were set on the simulated clocks of the tests, some of them of the same seeds; no recorded trace was used for them.
    What follows and credit ask for was chosen with simulated and recorded clocks in sight (ADR 13).

    Attributes:
        close_share: an open candidate closes below this share of the gain that opened it.
        noisy_t: certainty asked for at long horizons while one fix is noisier than the floor's error there.
        long_share: a horizon of this share of `Tuning.half_life_s` or more is long (1 h of 2 h).
        half_lives: the evidence's half-life is at least this many horizons.
        looks: how much the boundary of t rises with the logarithm of the scores: it is looked at after each of them.
        most_t: however few the independent scores are, no larger t is asked for.
        power: a candidate's weight is its loss ratio to this power.
        min_scores: effective number of scores below which nothing opens.
        min_spans: effective number of independent horizons below which nothing opens.
        follow_spans, follow_t: what is asked for instead where the candidate has proved better at the rung below.
        few_scores: effective number of scores up to which a rung has no say about who is credited.
        credit_log_odds: mean decimal logarithm of the odds from which on a shape is credited.
        credit_ratio: loss ratio that it is taken to have before there are scores; `credit_sureness`: of the gain that
            it has shown at least so much is believed.
        credit_spans: a credited shape counts and speaks at any horizon from so many of it as history on;
            `sure_spans`: one whose log odds are `sure_log_odds` or more.
        refute_t: a t below this with a loss as large as the gain that opens speaks against it at the rung above.
        scale_gain: slowest gain of the running scale of the floor's error.
        scale_clip: squared errors beyond this many times the scale move it no further.
        max_ratio: loss ratios beyond this count as this: nothing is a billion times better.
        hold_over_share: at horizons above this share of `Tuning.long_context_s` only candidates with that much
            context count, and speak (5 h of 30 h).
        reach_share: a candidate stands at a horizon when its curve reaches over this share of it.
        strikes: bad answers in a row that close a candidate.
        absurd_sigma: a curve that leaves the floor by more than this many of its sigma, at any rung, is no answer: the
            floor's sigma was seen to be up to 5 times too wide, and an hour ahead of cycles several times too narrow.
        kept_share: what remains of the evidence of a candidate that was shut: it must prove itself anew.
        watch_limit: summed news of single fixes against an open candidate that closes it at once, in nats; until then
            what they said, s nats and no more than this, leaves exp(-s) of its share.
        watch_slack: taken off that sum at each fix, in nats: a candidate as good as the floor is not shut by chance.
        watch_clip: most that one fix can add to it, in nats: two fixes are always needed.
        doubt_slack: so much is forgiven of the nats against an unusual revision: up to 2.7 times the usual one, as
            99 of 100 are. 1 cost 2 % of the error ten minutes ahead of wandering cycles (gate bench, seeds 300, 301),
            2 costs 1 %.
        trusted_patience: for a rule's curve the limit is this many times as high.
    """

    close_share: float = 0.25
    noisy_t: float = 2.0
    long_share: float = 0.5
    half_lives: float = 8.0
    looks: float = 1.0
    most_t: float = 3.5
    power: float = 8.0
    min_scores: float = 5.0
    min_spans: float = 1.5
    follow_spans: float = 1.2
    follow_t: float = 0.5
    few_scores: float = 3.0
    credit_log_odds: float = CREDIT_LOG_ODDS
    credit_ratio: float = 1.5
    credit_sureness: float = 0.8
    credit_spans: float = 2.0
    sure_log_odds: float = 2.0
    sure_spans: float = 0.5
    refute_t: float = -0.5
    scale_gain: float = 0.02
    scale_clip: float = 9.0
    max_ratio: float = 10.0
    hold_over_share: float = 1 / 6
    reach_share: float = 0.75
    strikes: int = 3
    absurd_sigma: float = 10.0
    kept_share: float = 0.05
    watch_limit: float = 3.0
    watch_slack: float = 0.25
    watch_clip: float = 2.5
    doubt_slack: float = 2.0
    trusted_patience: float = 8.0


class IntervalRules(msgspec.Struct, frozen=True):
    """Constants of the calibrated interval (see `fusion.interval`), chosen on simulated clocks, without recorded ones.

    Attributes:
        gammas: step of a multiplier's logarithm at each of `LEVELS`, for a score that is all the forecast's.
        noise_share: share of a target's variance that is counted before it is known (`fusion.target_noise`).
        noise_doubt: relative standard deviation of that guess.
        recent_scores: half-life of the recent scale of the scores, in scores.
        recent_power: share of that scale, in logarithms, that the widths follow: 0 none, 1 all of it.
        fallen_shares: share of a fall of sigma, in logarithms, that is taken off what it is narrowed by, at `LEVELS`
            (`fusion.scale`).
        memory: scores over which the usual scale and what is known of the targets' noise are averaged.
        start_factors: multipliers at `LEVELS` before the first score, over the normal quantiles.
        start_degrees: degrees of freedom before the first score, > 1.
        window: scores over which realised errors are averaged, when they narrow sigma.
        prior_scores: weight of "sigma is the floor's" in independent scores, where small errors narrow it.
        least_shrink: sigma is never narrowed below this share of the floor's.
    """

    gammas: tuple[float, ...] = (0.025, 0.025, 0.025, 0.05, 0.15)
    noise_share: float = 0.6
    noise_doubt: float = 0.5
    recent_scores: float = 10.0
    recent_power: float = 0.5
    fallen_shares: tuple[float, ...] = (0.1, 0.1, 0.25, 0.5, 0.5)
    memory: int = 500
    start_factors: tuple[float, ...] = (0.9, 1.0, 1.03, 1.2, 1.45)
    start_degrees: float = 5.0
    window: int = 1000
    prior_scores: float = 1.0
    least_shrink: float = 0.15

"""All servers together: outcomes in, a vote and a fix out. Pure, so any run can be replayed from its outcomes."""

import math
from statistics import median
from typing import Final

import msgspec

from chronotick.config.schema import NtpConfig
from chronotick.ntp.address import parse_server
from chronotick.ntp.fix import Fix
from chronotick.ntp.outcome import Outcome, Sample
from chronotick.ntp.select import Candidate, Selection, Standing, Verdict, select
from chronotick.ntp.server import (
    DEFAULT_RATE_BOUND,
    ServerState,
    after_outcome,
    best_sample,
    forget_samples,
    new_server,
)
from chronotick.ntp.turnover import Claim, Turnover, after_vote, bound
from chronotick.units import NS_PER_S, ns_to_s

# A server that was never heard counts in the electorate until this many exchanges with it have failed: the first and
# the early ones after it (`poll.py`), 4 s in all.
PATIENCE: Final = 4
_VOTING: Final = frozenset({Standing.SURVIVOR, Standing.OUTLIER, Standing.FALSETICKER})


class Step(msgspec.Struct, frozen=True):
    """What one outcome led to: the new table, the vote, and the fix if the exchange is worth one."""

    associations: "Associations"
    selection: Selection
    fix: Fix | None


class Associations(msgspec.Struct, frozen=True):
    """The table of servers.

    Attributes:
        config: the NTP section.
        rate_bound: what the local oscillator may drift, s/s: intervals grow by it. `Tuning.rate_bound`.
        servers: one state per configured server, in the order of the configuration, then the other sources.
        patience: exchanges that have to fail before a server that was never heard is no longer waited for.
        turnover: the votes of the last round, for the bound while liars change hands.
    """

    config: NtpConfig
    rate_bound: float
    servers: tuple[ServerState, ...]
    patience: int = PATIENCE
    turnover: Turnover = Turnover()

    @classmethod
    def of(
        cls, config: NtpConfig, rate_bound: float = DEFAULT_RATE_BOUND, others: tuple[str, ...] = ()
    ) -> "Associations":
        """The table before anything was asked.

        Args:
            others: names of sources that are not asked by NTP, but vote like servers.

        Raises:
            ConfigError: an entry of `config.servers` can not be read.
        """
        names = (*dict.fromkeys(parse_server(text).text for text in config.servers), *others)
        return cls(config=config, rate_bound=rate_bound, servers=tuple(new_server(name, config) for name in names))

    def step(self, outcome: Outcome, raw_now_ns: int) -> Step:
        """Fold an outcome in, vote, and make a fix of its sample if its server survives.

        The vote is held at the middle of the exchange, or at `raw_now_ns` if it gave nothing. An outcome of a
        server that is not in the table changes nothing.
        """
        table = msgspec.structs.replace(
            self,
            servers=tuple(
                after_outcome(state, outcome, self.config) if state.name == outcome.server else state
                for state in self.servers
            ),
        )
        sample = outcome.sample
        raw_ns = raw_now_ns if sample is None else sample.raw_ns
        selection = table.select(raw_ns)
        table = table._judged(selection, raw_ns)
        return Step(table, selection, None if sample is None else table._fix(outcome.server, sample, selection))

    def select(self, raw_ns: int) -> Selection:
        """The vote at `raw_ns`."""
        barred = {state.name: why for state in self.servers if (why := self._barred(state, raw_ns)) is not None}
        voters = self._one_per_address([state for state in self.servers if state.name not in barred])
        slope = self._common_slope(voters)
        vote = select(
            tuple(self._candidate(state, raw_ns, slope) for state in voters),
            expected=sum(standing is Standing.UNHEARD for standing in barred.values()),
            min_agreeing=self.config.min_agreeing,
        )
        voting = {state.name for state in voters}
        absent = tuple(
            (state.identity, barred.get(state.name, Standing.SAME_ADDRESS))
            for state in self.servers
            if state.name not in voting
        )
        return msgspec.structs.replace(vote, standings=tuple(sorted((*vote.standings, *absent))))

    def restarted(self) -> "Associations":
        """The table after a discontinuity of the raw clock: no sample from before it is comparable."""
        return msgspec.structs.replace(
            self, servers=tuple(forget_samples(state, self.config) for state in self.servers), turnover=Turnover()
        )

    def _barred(self, state: ServerState, raw_ns: int) -> Standing | None:
        """Why a server has no vote; None if it has one (RFC 5905's fit())."""
        if state.denied:
            return Standing.DENIED
        if not state.samples and state.exchanges < self.patience:
            # One lost packet must not leave the vote to those who lie.
            return Standing.UNHEARD
        if not state.reach or state.last is None:
            return Standing.UNREACHABLE
        if state.last.root_distance_at_s(raw_ns, self.rate_bound) > self.config.max_root_distance_s:
            return Standing.TOO_DISTANT
        return None

    def _one_per_address(self, fit: list[ServerState]) -> list[ServerState]:
        """One vote per machine: of several names for one address, the one configured first."""
        seen: dict[tuple[str, int], ServerState] = {}
        for state in fit:
            seen.setdefault((state.address, state.port), state)
        return list(seen.values())

    def _common_slope(self, voters: list[ServerState]) -> float:
        """The oscillator's rate as most servers see it, s/s, to move samples of different ages to one instant."""
        slopes = [state.line.slope for state in voters if state.line]
        slope = median(slopes) if slopes else 0.0
        return min(max(slope, -self.rate_bound), self.rate_bound)

    def _candidate(self, state: ServerState, raw_ns: int, slope: float) -> Candidate:
        last, best = state.last, best_sample(state.samples, raw_ns, self.rate_bound)
        assert last is not None
        assert best is not None
        distance_s = last.root_distance_at_s(raw_ns, self.rate_bound)
        low_ns, high_ns = self._claim_ns(last, raw_ns)
        return Candidate(
            server=state.identity,
            low_ns=low_ns,
            high_ns=high_ns,
            midpoint_ns=_moved_ns(last, raw_ns, slope),
            offset_ns=_moved_ns(best, raw_ns, slope),
            # Unknown jitter: as large as the claim, so that cluster prunes nobody on no evidence.
            jitter_s=state.line.jitter_s if state.line else distance_s,
            distance_s=max(distance_s, 1e-9),
            stratum=last.stratum,
            refuted=state.refuted,
        )

    def _judged(self, selection: Selection, raw_ns: int) -> "Associations":
        """The table that remembers this vote, and in which the claims it contradicts count no more: see `select`."""
        turnover = after_vote(self.turnover, selection, raw_ns, self._oldest_ns(raw_ns), self.rate_bound)
        servers = tuple(
            msgspec.structs.replace(state, refuted=True)
            if state.last is not None and selection.refutes(*self._claim_ns(state.last, raw_ns))
            else state
            for state in self.servers
        )
        return msgspec.structs.replace(self, servers=servers, turnover=turnover)

    def _oldest_ns(self, raw_ns: int) -> int:
        """Raw clock of the oldest sample among those of servers that still answer."""
        return min((state.last.raw_ns for state in self.servers if state.last and state.reach & 1), default=raw_ns)

    def _claim_ns(self, sample: Sample, raw_ns: int) -> tuple[int, int]:
        """The interval of theta that a sample claims at `raw_ns`, outward rounded."""
        # theta is rounded down by up to half a nanosecond: one more on each side keeps the interval outward.
        radius_ns = math.ceil(sample.root_distance_at_s(raw_ns, self.rate_bound) * NS_PER_S) + 1
        return sample.theta_ns - radius_ns, sample.theta_ns + radius_ns

    def _fix(self, name: str, sample: Sample, selection: Selection) -> Fix | None:
        server = next((state.identity for state in self.servers if state.name == name), None)
        if selection.verdict is not Verdict.AGREED or server not in selection.survivors:
            return None
        raw_ns, absent = sample.raw_ns, {name for name, standing in selection.standings if standing not in _VOTING}
        claims = [
            Claim(state.last.raw_ns, *self._claim_ns(state.last, raw_ns))
            for state in self.servers
            if state.last is not None and state.identity not in absent
        ]
        earliest_ns, latest_ns = bound(
            self.turnover, selection, claims, raw_ns, self._oldest_ns(raw_ns), self.rate_bound
        )
        return Fix(
            raw_ns=sample.raw_ns,
            theta_ns=min(max(sample.theta_ns, selection.earliest_theta_ns), selection.latest_theta_ns),
            delay_s=sample.delay_s,
            root_distance_s=sample.root_distance_at_s(sample.raw_ns, self.rate_bound),
            server=server,
            survivors=selection.survivors,
            earliest_theta_ns=earliest_ns,
            latest_theta_ns=latest_ns,
        )


def _moved_ns(sample: Sample, raw_ns: int, slope: float) -> int:
    return sample.theta_ns + round(slope * ns_to_s(raw_ns - sample.raw_ns) * NS_PER_S)

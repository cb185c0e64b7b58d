"""True time, as the lab defines it. Any process that knows the scenario and the start knows it to the nanosecond."""

from chronotick.errors import LabError
from chronotick.lab.oscillator import Oscillator
from chronotick.lab.scenario import Scenario
from chronotick.units import ns_to_s, s_to_ns


class Truth:
    """True UTC as a function of this machine's raw clock.

    The raw clock plays the local oscillator; true UTC is defined as raw clock plus theta, where theta is the
    scenario's oscillator. The servers answer with these very numbers.

    Args:
        scenario: resolved, so with a start: `Lab.ready.scenario`, or any with `start_utc_ns` set.
        start_raw_ns: raw clock at the lab's start.

    Raises:
        LabError: the scenario has no start.
    """

    def __init__(self, scenario: Scenario, start_raw_ns: int) -> None:
        if scenario.start_utc_ns is None:
            raise LabError("The scenario has no start_utc_ns.", mend="Use the scenario that the running lab reports.")
        self.scenario = scenario
        self.start_raw_ns = start_raw_ns
        self._start_theta_ns = scenario.start_utc_ns - start_raw_ns
        self._oscillator = Oscillator(scenario.oscillator, scenario.seed)

    def t_s(self, raw_ns: int) -> float:
        """Seconds of the lab's run. The difference is taken in integers: a raw clock fills a double's 53 bits."""
        return ns_to_s(raw_ns - self.start_raw_ns)

    def theta_ns(self, raw_ns: int) -> int:
        """True UTC minus raw clock at `raw_ns`, whole nanoseconds."""
        return self._start_theta_ns + s_to_ns(self._oscillator.phase_s(self.t_s(raw_ns)))

    def utc_ns(self, raw_ns: int) -> int:
        """True UTC at `raw_ns`, nanoseconds since 1970."""
        return raw_ns + self.theta_ns(raw_ns)

    def rate(self, raw_ns: int) -> float:
        """Rate of theta at `raw_ns`, s/s."""
        return self._oscillator.rate(self.t_s(raw_ns))

    def outage(self, raw_ns: int) -> bool:
        """Whether no server at all can be reached at `raw_ns`."""
        t_s = self.t_s(raw_ns)
        return all(
            any(outage.active(server.name, t_s) for outage in self.scenario.outages) for server in self.scenario.servers
        )

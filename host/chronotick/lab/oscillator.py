"""A simulated oscillator whose phase is known exactly at every instant.

The rate of theta (UTC minus raw clock) is a sum of a constant, cycles, random-walk FM, a dying warm-up and steps.
Each part has its integral in closed form, segment by segment, so theta is a function of time and never the sum of
small numerical steps: asking in any order, any number of times, in any process gives the same nanosecond.

Time compression: with k = `time_compression`, theta_lab(t) = theta_real(k t). That alone makes rates k times larger,
durations k times shorter and a rate's random walk k^1.5 times stronger, with offsets unchanged.
"""

import math

import numpy as np

from chronotick.lab.nodes import CHUNK, refuse_beyond
from chronotick.lab.scenario import OscillatorConfig, SineConfig, StepConfig, WarmUpConfig
from chronotick.lab.thermal import Climate, Thermal
from chronotick.units import PPB, PPM

NODES_PER_CYCLE = 32


class Walk:
    """Random-walk FM: the rate walks from node to node and is a straight line in between.

    Args:
        sigma: standard deviation of the rate's change, s/s per sqrt(s).
        step_s: distance of the nodes, s.
        rng: draws the steps; owned by this object from here on.
    """

    def __init__(self, sigma: float, step_s: float, rng: np.random.Generator) -> None:
        self._sigma = sigma
        self._step_s = step_s
        self._rng = rng
        self._rate = [0.0]
        self._phase_s = [0.0]

    def _segment(self, tau_s: float) -> tuple[int, float]:
        """Index of the node at or before `tau_s`, and the seconds since."""
        i = int(tau_s / self._step_s)
        while i + 1 >= len(self._rate):
            self._extend()
        return i, tau_s - i * self._step_s

    def _extend(self) -> None:
        refuse_beyond(len(self._rate))
        steps = self._rng.normal(0.0, self._sigma * math.sqrt(self._step_s), CHUNK)
        rate = self._rate[-1] + np.cumsum(steps)
        mean = (np.concatenate(([self._rate[-1]], rate[:-1])) + rate) / 2
        self._phase_s += (self._phase_s[-1] + np.cumsum(mean * self._step_s)).tolist()
        self._rate += rate.tolist()

    def rate(self, tau_s: float) -> float:
        """Rate at `tau_s` >= 0, s/s."""
        i, since_s = self._segment(tau_s)
        return self._rate[i] + (self._rate[i + 1] - self._rate[i]) * since_s / self._step_s

    def phase_s(self, tau_s: float) -> float:
        """Integral of the rate from 0 to `tau_s` >= 0: a parabola in each segment."""
        i, since_s = self._segment(tau_s)
        slope = (self._rate[i + 1] - self._rate[i]) / self._step_s
        return self._phase_s[i] + since_s * (self._rate[i] + slope * since_s / 2)


class Cycle:
    """A sine of the rate with a second harmonic, whose angle advances in straight segments of varying speed."""

    def __init__(self, config: SineConfig, rng: np.random.Generator) -> None:
        self._amplitude = config.amplitude_ppm * PPM
        self._second = config.second_harmonic
        self._step_s = config.period_s / NODES_PER_CYCLE
        self._turn = math.tau / NODES_PER_CYCLE
        self._wander = config.wander_turns
        self._rng = rng
        self._angle = [math.tau * config.phase_turns]
        self._phase_s = [0.0]

    def _segment(self, tau_s: float) -> tuple[int, float, float]:
        """Index of the node at or before `tau_s`, the angle's speed there (rad/s), and the angle at `tau_s`."""
        if self._wander == 0:
            speed = self._turn / self._step_s
            return 0, speed, self._angle[0] + speed * tau_s
        i = int(tau_s / self._step_s)
        while i + 1 >= len(self._angle):
            self._extend()
        speed = (self._angle[i + 1] - self._angle[i]) / self._step_s
        return i, speed, self._angle[i] + speed * (tau_s - i * self._step_s)

    def _extend(self) -> None:
        refuse_beyond(len(self._angle))
        wander = self._rng.normal(0.0, math.tau * self._wander / math.sqrt(NODES_PER_CYCLE), CHUNK)
        # The cycle never stands still or turns back: the integral divides by its speed.
        turns = np.clip(self._turn + wander, self._turn / 4, self._turn * 7 / 4)
        for turn in turns.tolist():
            angle = self._angle[-1]
            self._phase_s.append(self._phase_s[-1] + self._integral(angle, angle + turn, turn / self._step_s))
            self._angle.append(angle + turn)

    def _integral(self, start: float, end: float, speed: float) -> float:
        """Integral of the rate while the angle goes from `start` to `end` at `speed`, s."""
        first = math.cos(start) - math.cos(end)
        second = (math.cos(2 * start) - math.cos(2 * end)) / 2
        return self._amplitude / speed * (first + self._second * second)

    def rate(self, tau_s: float) -> float:
        """Rate at `tau_s` >= 0, s/s."""
        angle = self._segment(tau_s)[2]
        return self._amplitude * (math.sin(angle) + self._second * math.sin(2 * angle))

    def phase_s(self, tau_s: float) -> float:
        """Integral of the rate from 0 to `tau_s` >= 0."""
        i, speed, angle = self._segment(tau_s)
        return self._phase_s[i] + self._integral(self._angle[i], angle, speed)


class WarmUp:
    """A rate that dies away exponentially."""

    def __init__(self, config: WarmUpConfig) -> None:
        self._amplitude = config.amplitude_ppm * PPM
        self._constant_s = config.time_constant_s

    def rate(self, tau_s: float) -> float:
        """Rate at `tau_s` >= 0, s/s."""
        return self._amplitude * math.exp(-tau_s / self._constant_s)

    def phase_s(self, tau_s: float) -> float:
        """Integral of the rate from 0 to `tau_s` >= 0."""
        return -self._amplitude * self._constant_s * math.expm1(-tau_s / self._constant_s)


class Step:
    """A jump of theta, of its rate, or of both. At the instant itself it has happened."""

    def __init__(self, config: StepConfig) -> None:
        self._at_s = config.at_s
        self._offset_s = config.offset_ms * 1e-3
        self._rate = config.rate_ppm * PPM

    def rate(self, tau_s: float) -> float:
        """Rate added at `tau_s`, s/s."""
        return self._rate if tau_s >= self._at_s else 0.0

    def phase_s(self, tau_s: float) -> float:
        """Theta added at `tau_s`."""
        return self._offset_s + self._rate * (tau_s - self._at_s) if tau_s >= self._at_s else 0.0


class Oscillator:
    """Theta since the start, and its rate, as functions of the seconds since the start.

    Before the start theta is the straight line that leads into it. Each part draws from its own stream of `seed`, so
    that changing one part leaves the others as they were.
    """

    def __init__(self, config: OscillatorConfig, seed: int) -> None:
        self._k = config.time_compression
        self._base = config.base_ppm * PPM
        streams = np.random.SeedSequence(seed).spawn(2 + len(config.sines))
        self._parts: list[Walk | Cycle | WarmUp | Step | Thermal] = [
            Cycle(sine, np.random.default_rng(stream)) for sine, stream in zip(config.sines, streams[1:], strict=False)
        ]
        if config.walk_ppb_per_sqrt_s:
            # Nodes 4 real seconds apart, but no closer than 50 ms of the lab's run: finer is not seen by any poll.
            step_s = max(4.0, 0.05 * self._k)
            self._parts.append(Walk(config.walk_ppb_per_sqrt_s * PPB, step_s, np.random.default_rng(streams[0])))
        if config.warm_up:
            self._parts.append(WarmUp(config.warm_up))
        self._parts += [Step(step) for step in config.steps]
        self._thermal = Thermal(config.thermal, np.random.default_rng(streams[-1])) if config.thermal else None
        if self._thermal is not None:
            self._parts.append(self._thermal)

    def climate(self, t_s: float) -> Climate | None:
        """What the machine's sensors show `t_s` seconds after the start; None without a thermal part."""
        return None if self._thermal is None else self._thermal.climate(max(t_s * self._k, 0.0))

    def rate(self, t_s: float) -> float:
        """Rate of theta `t_s` seconds after the start, s/s of the lab's run."""
        tau_s = max(t_s * self._k, 0.0)
        return self._k * (self._base + sum(part.rate(tau_s) for part in self._parts))

    def phase_s(self, t_s: float) -> float:
        """Theta at `t_s` seconds after the start minus theta at the start."""
        if t_s < 0:
            return self.rate(0.0) * t_s
        tau_s = t_s * self._k
        return self._base * tau_s + sum(part.phase_s(tau_s) for part in self._parts)

"""ChronoTick beside chronyd on the same simulated servers, live, with known truth.

    python tests/bench/versus_chrony.py [--scenario NAME ...] [--seconds 240] [--settle 60] [--seed 1 ...] [--json]

Each scenario starts a lab process, a real host (no models) and two `chronyd -x` in private folders: one with default
settings, one with `maxsamples 8`, which follows a restless clock faster. All three ask the same servers at the same
fixed interval. After `--settle` seconds all three are read every half second until `--seconds` have passed.

Truth is a function of CLOCK_MONOTONIC_RAW. ChronoTick's error is its answer minus the truth at the answer's own raw
instant. chronyd works on the system clock: its time is CLOCK_REALTIME plus the correction that it reports (positive:
the system clock is slow), asked over its command socket between two readings of both clocks, of which the tightest of
three attempts counts; its error is that time minus the truth at the middle. Whether anything steers the kernel's clock
meanwhile is printed: `-x` does not.

Where a scenario says so the oscillator's physics run 16 times faster, so that polls of 1 s stand for 16 s: chronyd is
told by `maxclockerror`, ChronoTick by `clock.time_compression`. Network delays are not compressed. Sub-second polls,
which would allow more, chronyd grants to LANs only.

The interval of the ratio of mean absolute errors comes from a bootstrap over blocks of ten seconds of all three at
once. A seed draws the queues, and what they leave in a clock that averages for minutes stays for minutes: with several
seeds each has a run, and all of them together come last, with blocks as long as a run.
"""

import argparse
import asyncio
import ctypes
import json
import os
import pwd
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from chronotick.client import Clock, Status
from chronotick.clock import timebase
from chronotick.config.schema import ClockConfig, Config, LogConfig, NtpConfig, PublishConfig
from chronotick.errors import ClockError
from chronotick.lab import presets
from chronotick.lab.demo.setting import write
from chronotick.lab.scenario import FaultConfig, OscillatorConfig, OutageConfig, Scenario
from chronotick.lab.spawn import spawned
from chronotick.lab.truth import Truth
from chronotick.wire import runtime_dir

CLIENTS = ("chronotick", "chronyd", "chronyd_tuned")
TUNED = "maxsamples 8"
PERIOD_S = 0.5
BLOCK_S = 10.0
RESAMPLES = 2000
COMPRESSION = 16.0
PROGRAMS = "/usr/sbin:/sbin:" + os.defpath


class Setting(NamedTuple):
    """One scenario: the lab for a run of (settle, seconds), its compression, the poll of all, and the goal."""

    lab: Callable[[float, float], Scenario]
    compression: float
    poll_s: float
    goal: float


def _compressed(scenario: Scenario, oscillator: OscillatorConfig | None = None) -> Scenario:
    faster = msgspec.structs.replace(oscillator or scenario.oscillator, time_compression=COMPRESSION)
    return msgspec.structs.replace(scenario, oscillator=faster)


def lan(settle_s: float, seconds: float) -> Scenario:
    """Four near servers, a quiet oscillator, nothing compressed."""
    return presets.lan()


def internet(settle_s: float, seconds: float) -> Scenario:
    """Five far servers, of which two fail in turn, and a sixth that lies by 40 ms throughout."""
    base = presets.internet()
    third = seconds / 3
    faults = {
        1: FaultConfig(kind="bad_origin", start_s=settle_s, end_s=settle_s + third),
        2: FaultConfig(kind="leap_3", start_s=settle_s + third, end_s=settle_s + 2 * third),
    }
    servers = [
        msgspec.structs.replace(one, faults=(faults[i],)) if i in faults else one for i, one in enumerate(base.servers)
    ]
    liar = msgspec.structs.replace(base.servers[0], clock_error_ms=presets.FALSE_MS)
    return _compressed(msgspec.structs.replace(base, servers=(*servers, liar)))


def thermal(settle_s: float, seconds: float) -> Scenario:
    """Half a millisecond of path and a strong cycle of twenty minutes."""
    return _compressed(presets.thermal())


def asymmetric(settle_s: float, seconds: float) -> Scenario:
    """Three of five paths take 10 ms out and 18 ms back."""
    return _compressed(presets.asymmetric(), presets.internet().oscillator)


def lossy(settle_s: float, seconds: float) -> Scenario:
    """A third of all packets lost, spikes, a server that asks for peace, and an outage of all for a twelfth."""
    middle = settle_s + seconds / 2
    angry = presets.lossy().servers[-1]
    kiss = FaultConfig(kind="kiss_rate", start_s=settle_s, end_s=settle_s + seconds / 8)
    servers = (*presets.lossy().servers[:-1], msgspec.structs.replace(angry, faults=(kiss,)))
    outages = (
        OutageConfig(start_s=settle_s, end_s=settle_s + seconds / 16, servers=("s1", "s2")),
        OutageConfig(start_s=middle, end_s=middle + seconds / 12),
    )
    return _compressed(
        msgspec.structs.replace(presets.lossy(), servers=servers, outages=outages), presets.internet().oscillator
    )


SCENARIOS = {
    "lan": Setting(lan, 1.0, 1.0, 1.1),
    "internet": Setting(internet, COMPRESSION, 1.0, 0.7),
    "thermal": Setting(thermal, COMPRESSION, 1.0, 0.7),
    "asymmetric": Setting(asymmetric, COMPRESSION, 1.0, 0.7),
    "lossy": Setting(lossy, COMPRESSION, 1.0, 0.7),
}


class Tracking(NamedTuple):
    """What chronyd says of itself: synchronised to something, and what to add to the system clock, s."""

    synchronised: bool
    correction_s: float


class Chronyd:
    """A `chronyd -x` of our own, and its command socket. Protocol 6 of chrony's candm.h, request TRACKING."""

    _REQUEST = struct.Struct(">BBBBHHIII")
    _REPLY_BYTES = 104

    def __init__(self, folder: Path, servers: tuple[str, ...], poll_s: float, *lines: str) -> None:
        self.folder = folder
        folder.mkdir()
        # chronyd refuses a folder that others may enter.
        (folder / "cmd").mkdir(mode=0o700)
        self.address = folder / "cmd" / "chronyd.sock"
        poll = round(np.log2(poll_s))
        places = (place.rpartition(":") for place in servers)
        conf = folder / "chrony.conf"
        own = ("port 0", "cmdport 0", f"bindcmdaddress {self.address}", f"pidfile {folder / 'pid'}")
        sources = (f"server {host} port {port} iburst minpoll {poll} maxpoll {poll}" for host, _, port in places)
        conf.write_text("\n".join([*sources, *lines, *own, ""]))
        program = shutil.which("chronyd", path=PROGRAMS)
        if program is None:
            raise SystemExit("There is no chronyd on this machine.")
        user = pwd.getpwuid(os.getuid()).pw_name
        # -x: the system clock is left alone; -U: no need to be root; -d: in the foreground.
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [program, "-x", "-U", "-d", "-u", user, "-f", str(conf)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "cmd" / "bench.sock"))
        self._socket.settimeout(0.2)
        self._sequence = 0

    def tracking(self) -> Tracking:
        """Ask once.

        Raises:
            OSError: no answer, or not one of the expected kind.
        """
        self._sequence += 1
        request = self._REQUEST.pack(6, 1, 0, 0, 33, 0, self._sequence, 0, 0)
        # As long as the reply: chronyd never answers with more than it was sent.
        self._socket.sendto(request.ljust(self._REPLY_BYTES, b"\0"), str(self.address))
        while True:
            reply = self._socket.recv(512)
            if len(reply) >= self._REPLY_BYTES and struct.unpack_from(">I", reply, 16)[0] == self._sequence:
                break
        version, kind, reply_kind, status = struct.unpack_from(">BB4xHH", reply)
        if (version, kind, reply_kind, status) != (6, 2, 5, 0):
            raise OSError(f"chronyd answered {(version, kind, reply_kind, status)}")
        (reference,) = struct.unpack_from(">I", reply, 28)
        leap, correction = struct.unpack_from(">H12xI", reply, 54)
        return Tracking(reference != 0 and leap != 3, _float(correction))

    def error_ns(self, truth: Truth) -> float | None:
        """Its time minus the truth; None while it has none."""
        best: tuple[int, float] | None = None
        for _ in range(3):
            before = timebase.pair()
            with suppress(OSError):
                said = self.tracking()
                after = timebase.pair()
                if not said.synchronised:
                    return None
                raw_ns = (before.raw_ns + after.raw_ns) // 2
                realtime_ns = (before.realtime_ns + after.realtime_ns) // 2
                error_ns = realtime_ns - truth.utc_ns(raw_ns) + said.correction_s * 1e9
                if best is None or after.raw_ns - before.raw_ns < best[0]:
                    best = (after.raw_ns - before.raw_ns, error_ns)
        return None if best is None else best[1]

    def stop(self) -> None:
        """End it."""
        self._socket.close()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10)


def _float(bits: int) -> float:
    """chrony's network float: 7 bits of exponent, 25 of coefficient, both two's complement."""
    exponent, coefficient = bits >> 25, bits % (1 << 25)
    exponent -= 128 if exponent >= 64 else 0
    coefficient -= 1 << 25 if coefficient >= 1 << 24 else 0
    return float(coefficient) * 2.0 ** (exponent - 25)


class Host:
    """A `chronotick run` without models, and a reader of it."""

    def __init__(self, folder: Path, servers: tuple[str, ...], poll_s: float, compression: float) -> None:
        directory = runtime_dir.create(folder / "run")
        config = Config(
            ntp=NtpConfig(
                servers=servers,
                timeout_s=0.9,
                min_poll_s=poll_s,
                max_poll_s=poll_s,
                warm_up_poll_s=poll_s / 4,
                min_agreeing=2,
            ),
            clock=ClockConfig(time_compression=compression, void_after_s=600.0),
            publish=PublishConfig(interval_s=0.1, slew_ppm=500.0 * compression, runtime_dir=str(directory.path)),
            log=LogConfig(file=str(folder / "host.log")),
        )
        write(config, folder / "host.yaml")
        with (folder / "host.err").open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "chronotick.cli", "run", "--config", str(folder / "host.yaml")],
                stdin=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        self.clock = Clock(directory.path, fall_back=False)

    def sample(self, truth: Truth) -> tuple[float, bool, bool] | None:
        """Its time minus the truth, ns; whether the truth is in the hard and in the 95 % interval. None: no time."""
        try:
            reading = self.clock.now(allow_unknown=True)
        except ClockError:
            return None
        if reading.status is Status.UNKNOWN:
            return None
        true_ns = truth.utc_ns(reading.raw_ns)
        low, high = reading.interval(0.95)
        hard = reading.earliest_ns <= true_ns <= reading.latest_ns
        return float(reading.utc_ns - true_ns), hard, low <= true_ns <= high

    def stop(self) -> None:
        """End it."""
        self.clock.close()
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(20)


class KernelClock(NamedTuple):
    """adjtimex(2): who steers the system clock. Status bit 0x40 says that nobody does."""

    frequency_ppm: float
    offset_ns: int
    status: int

    @classmethod
    def now(cls) -> Self:
        """Read it, changing nothing."""
        timex = ctypes.create_string_buffer(512)
        ctypes.CDLL(None).adjtimex(timex)
        offset, frequency = struct.unpack_from("@qq", timex.raw, 8)
        (status,) = struct.unpack_from("@i", timex.raw, 40)
        # Bit 0x2000: the offset is in ns, not us.
        return cls(frequency / 65536, offset * (1 if status & 0x2000 else 1000), status)


class Run(NamedTuple):
    """What one scenario gave. errors_us: shape (n, 3), us, columns as CLIENTS."""

    errors_us: NDArray[np.float64]
    hard_misses: int
    inside_95: int
    silent: dict[str, int]
    kernel: dict[str, Any]
    interrupted: bool


def bootstrap_ratio(errors_us: NDArray[np.float64], other: int, block: int, seed: int = 1) -> tuple[float, float]:
    """95 % interval of MAE(column 0) / MAE(column `other`), from resampled circular blocks of `block` rows."""
    size = np.abs(errors_us)
    n = len(size)
    block = max(min(block, n // 2), 1)
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, n, (RESAMPLES, -(-n // block)))
    wrapped = np.concatenate((size, size[:block]))
    sums = np.concatenate((np.zeros((1, size.shape[1])), np.cumsum(wrapped, axis=0)))
    totals = (sums[starts + block] - sums[starts]).sum(axis=1)
    low, high = np.quantile(totals[:, 0] / totals[:, other], (0.025, 0.975))
    return float(low), float(high)


async def run(name: str, settle_s: float, seconds: float, seed: int, progress: Callable[[str], None]) -> Run:
    """One scenario, start to end. Ctrl-C ends it with what there is by then."""
    setting = SCENARIOS[name]
    scenario = msgspec.structs.replace(setting.lab(settle_s, seconds), seed=seed)
    rng = np.random.default_rng(seed)
    rows: list[tuple[float, float, float]] = []
    silent = dict.fromkeys(CLIENTS, 0)
    hard_misses = inside = 0
    interrupted = False
    kernel = KernelClock.now()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ck-chrony-")))
        async with spawned(scenario) as lab:
            truth = lab.truth()
            host = Host(folder, lab.servers, setting.poll_s, setting.compression)
            stack.callback(host.stop)
            common = f"maxclockerror {setting.compression:g}"
            daemons = []
            for client, lines in (("chronyd", (common,)), ("chronyd_tuned", (common, TUNED))):
                daemons.append(Chronyd(folder / client, lab.servers, setting.poll_s, *lines))
                stack.callback(daemons[-1].stop)
            begun = timebase.pair()
            try:
                await asyncio.sleep(settle_s)
                end = time.monotonic() + seconds
                while time.monotonic() < end:
                    # Not in step with anybody's polls.
                    await asyncio.sleep(PERIOD_S * rng.uniform(0.8, 1.2))
                    ours = host.sample(truth)
                    theirs = [daemon.error_ns(truth) for daemon in daemons]
                    said = (None if ours is None else ours[0], *theirs)
                    for client, error in zip(CLIENTS, said, strict=True):
                        silent[client] += error is None
                    first, second, third = said
                    if ours is None or first is None or second is None or third is None:
                        continue
                    rows.append((first / 1e3, second / 1e3, third / 1e3))
                    hard_misses += not ours[1]
                    inside += ours[2]
                    means = "  ".join(
                        f"{client} {mae:.1f}"
                        for client, mae in zip(CLIENTS, np.abs(rows).mean(axis=0).tolist(), strict=True)
                    )
                    progress(f"{name}: {max(end - time.monotonic(), 0):4.0f} s left, MAE in us so far: {means}")
            except asyncio.CancelledError:
                interrupted = True
            ended = timebase.pair()
            # The lab serves until the others have gone, so that none of them complains.
            stack.pop_all().close()
    after = KernelClock.now()
    span_ns = ended.raw_ns - begun.raw_ns
    return Run(
        errors_us=np.array(rows).reshape(-1, 3),
        hard_misses=hard_misses,
        inside_95=inside,
        silent=silent,
        kernel={
            "steered": kernel != after or not after.status & 0x40 or after.frequency_ppm != 0 or after.offset_ns != 0,
            "status": hex(after.status),
            "frequency_ppm": after.frequency_ppm,
            "against_raw_ppm": (ended.realtime_ns - begun.realtime_ns - span_ns) / max(span_ns, 1) * 1e6,
        },
        interrupted=interrupted,
    )


def together(runs: list[Run]) -> Run:
    """Runs of one scenario, one after the other, as one."""
    kernels = [one.kernel for one in runs]
    against = [kernel["against_raw_ppm"] for kernel in kernels]
    return Run(
        errors_us=np.concatenate([one.errors_us for one in runs]),
        hard_misses=sum(one.hard_misses for one in runs),
        inside_95=sum(one.inside_95 for one in runs),
        silent={client: sum(one.silent[client] for one in runs) for client in CLIENTS},
        kernel=kernels[-1]
        | {"steered": any(kernel["steered"] for kernel in kernels), "against_raw_ppm": max(against, key=abs)},
        interrupted=any(one.interrupted for one in runs),
    )


def figures(name: str, done: Run, block: int = round(BLOCK_S / PERIOD_S)) -> dict[str, Any]:
    """All numbers of one scenario; the ratio's interval from blocks of `block` rows."""
    setting = SCENARIOS[name]
    errors = done.errors_us
    result: dict[str, Any] = {
        "samples": len(errors),
        "goal": setting.goal,
        "compression": setting.compression,
        "poll_s": setting.poll_s,
        "without_time": done.silent,
        "kernel_clock": done.kernel,
        "interrupted": done.interrupted,
    }
    if not len(errors):
        return result
    size = np.abs(errors)
    for column, client in enumerate(CLIENTS):
        result[client] = {
            "mae_us": float(size[:, column].mean()),
            "rmse_us": float(np.sqrt((errors[:, column] ** 2).mean())),
            "p95_us": float(np.quantile(size[:, column], 0.95)),
            "max_us": float(size[:, column].max()),
            "mean_us": float(errors[:, column].mean()),
        }
        if column:
            low, high = bootstrap_ratio(errors, column, block)
            result[f"ratio_to_{client}"] = {
                "mae": float(size[:, 0].mean() / size[:, column].mean()),
                "low_95": low,
                "high_95": high,
            }
    result["chronotick"] |= {"hard_misses": done.hard_misses, "coverage_95": done.inside_95 / len(errors)}
    result["reached"] = result["ratio_to_chronyd"]["mae"] <= setting.goal
    return result


def show(name: str, said: dict[str, Any]) -> None:
    """Print one scenario's table."""
    kernel = said["kernel_clock"]
    steered = "is STEERED by somebody" if kernel["steered"] else "is steered by nobody"
    print(
        f"\n{name}: {said['samples']} samples, polls of {said['poll_s']:g} s, physics x{said['compression']:g}"
        f"{', interrupted' if said['interrupted'] else ''}; the system clock {steered} "
        f"({kernel['against_raw_ppm']:+.3f} ppm against raw)"
    )
    if not said["samples"]:
        print(f"  nothing to compare; samples without time: {said['without_time']}")
        return
    print(f"  {'':<15}{'MAE':>9}{'RMSE':>9}{'p95':>9}{'max':>9}{'mean':>9} us   MAE of ChronoTick over it [95 %]")
    for client in CLIENTS:
        one, ratio = said[client], said.get(f"ratio_to_{client}")
        numbers = "".join(f"{one[key]:>9.1f}" for key in ("mae_us", "rmse_us", "p95_us", "max_us", "mean_us"))
        beside = f"   {ratio['mae']:.2f} [{ratio['low_95']:.2f}, {ratio['high_95']:.2f}]" if ratio else ""
        print(f"  {client:<15}{numbers}    {beside}")
    ours = said["chronotick"]
    print(
        f"  goal <= {said['goal']:g} of chronyd's MAE: {'reached' if said['reached'] else 'MISSED'}; "
        f"truth outside the hard interval {ours['hard_misses']} times, inside the 95 % one {ours['coverage_95']:.1%}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--seconds", type=float, default=240.0, help="measured, after settling")
    parser.add_argument("--settle", type=float, default=60.0, help="before the first sample")
    parser.add_argument("--seed", type=int, nargs="+", default=[1])
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    alive = sys.stderr.isatty()

    def progress(text: str) -> None:
        if alive:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    result: dict[str, Any] = {"scenarios": {}}
    for name in args.scenario:
        runs: list[Run] = []
        each: dict[str, Any] = {}
        for seed in args.seed:
            label = f"{name}, seed {seed}"
            if not alive:
                print(f"{label}: {args.settle + args.seconds:.0f} s", file=sys.stderr, flush=True)
            progress(f"{label}: settling for {args.settle:.0f} s")
            runs.append(asyncio.run(run(name, args.settle, args.seconds, seed, progress)))
            progress("")
            each[str(seed)] = figures(name, runs[-1])
            if not args.json:
                show(label, each[str(seed)])
            if runs[-1].interrupted:
                break
        result["scenarios"][name] = said = each[str(args.seed[0])]
        if len(runs) > 1:
            pooled = together(runs)
            said = figures(name, pooled, len(pooled.errors_us) // len(runs))
            result["scenarios"][name] = said | {"seeds": each}
            if not args.json:
                show(f"{name}, {len(runs)} seeds", said)
        if said["interrupted"]:
            break
    if args.json:
        print(json.dumps(result, indent=2))
    return 130 if any(said["interrupted"] for said in result["scenarios"].values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())

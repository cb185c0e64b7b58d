"""How well an NTP exchange measures the lab's known truth: ours beside ntplib's, on the same servers in one run.

    python tests/bench/lab_accuracy.py [--rounds N]

Five servers without queueing on symmetric paths, so that every error is the client's or the lab's. In each round each
server is asked once by each client, in turn. Prints one line per client: median, median of the absolute value, 95th
percentile of the absolute value, largest, all in microseconds.
"""

import argparse
import asyncio

import ntplib
import numpy as np

from chronotick.clock.timebase import pair
from chronotick.config.schema import NtpConfig
from chronotick.lab.scenario import PathConfig, Scenario, ServerConfig
from chronotick.lab.spawn import spawned
from chronotick.lab.truth import Truth
from chronotick.ntp.address import Endpoint
from chronotick.ntp.exchange import exchange
from chronotick.ntp.kernel_stamps import keep_enabled

ONE_WAY_MS = (0.2, 0.5, 1.0, 2.0, 4.0)
GAP_S = 0.01


async def ours_us(host: str, port: int, truth: Truth) -> float:
    """Error of one exchange of ChronoTick's, us; NaN if it was refused."""
    sample = (await exchange(host, Endpoint(address=host, port=port), NtpConfig())).sample
    return (sample.theta_ns - truth.theta_ns(sample.raw_ns)) / 1e3 if sample else float("nan")


def ntplib_us(host: str, port: int, truth: Truth) -> float:
    """Error of one of ntplib's, us: its offset is against the system clock, whose own error is known just after."""
    offset_s: float = ntplib.NTPClient().request(host, version=4, port=port).offset
    now = pair()
    return offset_s * 1e6 - (truth.utc_ns(now.raw_ns) - now.realtime_ns) / 1e3


async def measure(rounds: int) -> dict[str, list[float]]:
    """Errors in us by client."""
    still = (PathConfig(out_ms=ms, back_ms=ms, jitter_out_us=0, jitter_back_us=0) for ms in ONE_WAY_MS)
    errors: dict[str, list[float]] = {"chronotick": [], "ntplib": []}
    async with spawned(Scenario(servers=tuple(ServerConfig(path=path) for path in still))) as ready:
        truth = ready.truth()
        with keep_enabled():
            for _ in range(rounds):
                for place in ready.servers:
                    host, _, port = place.rpartition(":")
                    errors["chronotick"].append(await ours_us(host, int(port), truth))
                    await asyncio.sleep(GAP_S)
                    errors["ntplib"].append(await asyncio.to_thread(ntplib_us, host, int(port), truth))
                    await asyncio.sleep(GAP_S)
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description="Errors of NTP exchanges against the lab's truth.")
    parser.add_argument("--rounds", type=int, default=60, help="how often each of five servers is asked")
    rounds: int = parser.parse_args().rounds
    print(f"{'client':<12}{'n':>6}{'median':>10}{'median abs':>12}{'p95 abs':>10}{'max abs':>10}   us")
    for client, values in asyncio.run(measure(rounds)).items():
        good = np.array(values)[~np.isnan(values)]
        size = np.abs(good)
        print(
            f"{client:<12}{len(good):>6}{np.median(good):>10.1f}{np.median(size):>12.1f}"
            f"{np.percentile(size, 95):>10.1f}{size.max():>10.1f}"
        )


if __name__ == "__main__":
    main()

"""Against a real chronyd, started by the tests with a configuration of its own; it never touches the system clock."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chronotick.config.schema import NtpConfig
from chronotick.ntp.address import Endpoint
from chronotick.ntp.exchange import exchange
from chronotick.ntp.outcome import Refusal, StampSource
from chronotick.ntp.query import query
from chronotick.ntp.select import Verdict

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(shutil.which("chronyd", path="/usr/sbin:/sbin:" + os.defpath) is None, reason="no chronyd here"),
]


def start(folder: Path, *lines: str) -> tuple[subprocess.Popen[bytes], int]:
    """A chronyd on a free loopback port that answers everyone there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    conf = folder / "chrony.conf"
    conf.write_text(
        "\n".join(
            [
                *lines,
                f"port {port}",
                "bindaddress 127.0.0.1",
                "allow 127.0.0.0/8",
                "cmdport 0",
                "bindcmdaddress /",
                f"pidfile {folder / 'chronyd.pid'}",
            ]
        )
    )
    program = shutil.which("chronyd", path="/usr/sbin:/sbin:" + os.defpath)
    assert program is not None
    # -x: the system clock is left alone; -U: no need to be root; -d: in the foreground.
    user = pwd.getpwuid(os.getuid()).pw_name
    process = subprocess.Popen(
        [program, "-x", "-U", "-d", "-u", user, "-f", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return process, port


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(10)


@pytest.fixture
def chronyd(tmp_path: Path) -> Iterator[int]:
    """The port of a chronyd that serves the system clock as stratum 1."""
    process, port = start(tmp_path, "local stratum 1")
    yield port
    stop(process)


@pytest.fixture
def unsynchronised(tmp_path: Path) -> Iterator[int]:
    """The port of a chronyd that has no source of time and admits it."""
    process, port = start(tmp_path)
    yield port
    stop(process)


async def answered(port: int) -> Any:
    """The first exchange that is more than an ICMP error: chronyd needs a moment to open its port."""
    config = NtpConfig(timeout_s=0.3)
    for _ in range(60):
        got = await exchange("chronyd", Endpoint("127.0.0.1", port), config)
        if got.reason not in (Refusal.UNREACHABLE, Refusal.TIMEOUT):
            return got
    raise AssertionError("chronyd never answered")


@pytest.mark.usefixtures("stamping")
def test_chronyd_is_accepted(run: Any, chronyd: int) -> None:
    """A server on the system clock is within 5 ms of it, and its claim holds."""

    async def main() -> None:
        first = await answered(chronyd)
        assert first.sample is not None
        report = await query([f"127.0.0.1:{chronyd}"], NtpConfig(warm_up_poll_s=0.05, timeout_s=1.0))
        assert report.verdict is Verdict.AGREED
        row = report.servers[0]
        assert (row.accepted, row.stratum, row.samples) == (True, 1, 4)
        assert abs(row.offset_s) < 0.005
        assert abs(row.offset_s) <= row.root_distance_s
        assert report.selected == (row.server,)
        last = await answered(chronyd)
        assert (last.sample.sent_stamp, last.sample.received_stamp) == (StampSource.KERNEL, StampSource.KERNEL)

    run(main)


def test_an_unsynchronised_chronyd_is_refused(run: Any, unsynchronised: int) -> None:
    """A chronyd without a source answers with leap 3 and stratum 0 or 16; that is not time."""

    async def main() -> None:
        got = await answered(unsynchronised)
        assert got.sample is None
        assert got.reason in (Refusal.UNSYNCHRONISED, Refusal.BAD_STRATUM)

    run(main)

"""What the tests of interoperability share: a record, hosts on a lab, and real chronyds that never touch the clock."""

import itertools
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings

from chronotick.clock import timebase
from chronotick.config.schema import InteropConfig
from chronotick.lab.demo import setting
from chronotick.lab.lab import Ready
from chronotick.lab.presets import lan
from chronotick.lab.truth import Truth
from chronotick.wire import runtime_dir
from chronotick.wire.levels import normal_widths
from chronotick.wire.snapshot import Record, Status

from ..system.conftest import Host, lab

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

S = 1_000_000_000
# How far the lab's truth is to be ahead of this machine's system clock, less what the lab takes to start, s.
AHEAD_S = 30.0
PROGRAMS = "/usr/sbin:/sbin:" + os.defpath
_numbers = itertools.count()


@pytest.fixture
def record() -> Record:
    """An ordinary record: true UTC is raw + 1.7e18 ns, give or take a millisecond, at raw 1000 s."""
    return Record(
        raw_ns=1000 * S,
        theta_ns=1_700_000_000 * S,
        rate=0.0,
        slew_rate=0.0,
        slew_until_raw_ns=1000 * S,
        sigma_s=1e-5,
        sigma_growth=1e-8,
        half_widths_s=normal_widths(3e-5),
        half_growths=normal_widths(1.96 * 1e-8),
        earliest_theta_ns=1_700_000_000 * S - 1_000_000,
        latest_theta_ns=1_700_000_000 * S + 1_000_000,
        bound_growth=5e-5,
        stale_raw_ns=1004 * S,
        void_raw_ns=90_000 * S,
        fix_raw_ns=990 * S,
        suspended_ns=0,
        epoch=1,
        sequence=5,
        host_instance=1,
        host_pid=4711,
        status=Status.SYNCHRONISED,
        source=("floor",),
    )


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A private folder with a path short enough for sockets."""
    path = Path(f"/tmp/ck-interop-{os.getpid()}-{next(_numbers)}")
    path.mkdir(mode=0o700)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def ahead_lab() -> Iterator[Ready]:
    """A quiet LAN whose truth is half a minute ahead of the system clock."""
    scenario = msgspec.structs.replace(lan(), start_utc_ns=time.time_ns() + round(AHEAD_S * S))
    with lab(scenario) as ready:
        yield ready


def behind_s(truth: Truth) -> float:
    """How far the system clock is behind the lab's truth now, s."""
    pair = timebase.pair()
    return (truth.utc_ns(pair.raw_ns) - pair.realtime_ns) / S


@pytest.fixture
def start_host(short_path: Path) -> Iterator[Callable[..., Host]]:
    """Starts hosts with the given servers and interop section; ends them afterwards."""
    hosts: list[Host] = []

    def start(servers: tuple[str, ...], interop: InteropConfig, min_agreeing: int = 2) -> Host:
        directory = runtime_dir.create(short_path / "host")
        config = setting.demo_config(servers, (), directory.path, short_path / "host.log")
        config = msgspec.structs.replace(
            config, interop=interop, ntp=msgspec.structs.replace(config.ntp, min_agreeing=min_agreeing, timeout_s=2.0)
        )
        host = Host(config, short_path)
        host.start()
        hosts.append(host)
        return host

    yield start
    for host in hosts:
        host.stop()


class Chronyd:
    """A chronyd of our own, with -x, its files in one folder, and no port that others could reach."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.socket = folder / "cmd" / "chronyd.sock"
        # chronyd refuses a folder that others may enter.
        self.socket.parent.mkdir(mode=0o700)
        conf = folder / "chrony.conf"
        own = ("port 0", "cmdport 0", f"bindcmdaddress {self.socket}", f"pidfile {folder / 'chronyd.pid'}")
        conf.write_text("\n".join([*lines, *own, ""]))
        program = shutil.which("chronyd", path=PROGRAMS)
        assert program is not None
        user = pwd.getpwuid(os.getuid()).pw_name
        self.process = subprocess.Popen(
            [program, "-x", "-U", "-d", "-u", user, "-f", str(conf)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, *words: str) -> str:
        """What chronyc says; "" while it can not be asked."""
        done = subprocess.run(
            ["chronyc", "-c", "-n", "-h", str(self.socket), *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def start_chronyd(short_path: Path) -> Iterator[Callable[..., Chronyd]]:
    """Starts a chronyd with the given lines of configuration; skips where there is none."""
    if shutil.which("chronyd", path=PROGRAMS) is None or shutil.which("chronyc") is None:
        pytest.skip("no chronyd and chronyc here")
    started: list[Chronyd] = []

    def start(*lines: str) -> Chronyd:
        started.append(Chronyd(short_path, *lines))
        return started[-1]

    yield start
    for one in started:
        one.stop()

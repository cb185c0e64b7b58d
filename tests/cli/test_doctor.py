"""`chronotick doctor`: each check can pass and can fail, and says how to mend what it finds."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from chronotick.cli import doctor
from chronotick.cli.checkup import installation, machine, network, running
from chronotick.cli.checkup.finding import Finding, Patient, Verdict, carried_out
from chronotick.config.load import load
from chronotick.lab.lab import Ready
from chronotick.ntp.outcome import Refusal
from chronotick.ntp.query import QueriedServer, QueryReport
from chronotick.ntp.select import Standing
from chronotick.ntp.select import Verdict as Vote
from chronotick.ntp.server import Grade
from tests.system.conftest import Host

from .conftest import Done

pytestmark = pytest.mark.network
Run = Callable[..., Done]
FAKES = Path(__file__).resolve().parents[1] / "fakes"


def only(findings: Any, name: str) -> Finding:
    """The one finding of that name."""
    found = [one for one in findings if one.name == name]
    assert len(found) == 1, findings
    return found[0]


def patient(overrides: tuple[str, ...] = (), **given: Any) -> Patient:
    return Patient(config=load(None, overrides, environ={}).config, **given)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_a_host_that_runs_well_gets_no_fail(ask: Run, live_host: Host, servers: Ready, tmp_path: Path) -> None:
    """All sections are there; the falseticker is a warning; nothing fails, so the exit code is 0."""
    done = ask("doctor", "--config", str(live_host.file))
    assert done.code == 0, done.out
    body = ask("doctor", "--config", str(live_host.file), "--json").json
    assert body["ok"]
    assert {one["section"] for one in body["findings"]} == {"installation", "machine", "network", "host"}
    names = {one["name"]: one for one in body["findings"]}
    assert names["time"]["facts"]["status"] == "SYNCHRONISED"
    assert names["servers"]["verdict"] == "ok"
    assert names["falsetickers"]["sentence"].startswith(servers.falsetickers[0])
    assert names["snapshot"]["verdict"] == "ok"
    for section in ("installation", "machine", "network", "host"):
        assert f"\n{section}\n" in f"\n{done.out}"
    assert sum(body["counts"].values()) == len(body["findings"])


def test_what_fails_makes_exit_code_1(run: Run, tmp_path: Path) -> None:
    """Servers that do not answer fail, with a mend; the report goes on to its end."""
    done = run(
        "doctor",
        "--set",
        "ntp.servers=[127.0.0.1:9]",
        "--set",
        "ntp.timeout_s=0.2",
        "--runtime-dir",
        str(tmp_path / "x"),
    )
    assert done.code == 1
    assert "0 of 1 servers answer (127.0.0.1:9: " in done.out
    assert "Check the network, or name servers of your own in ntp.servers." in done.out
    assert "No host runs." in done.out
    assert done.out.splitlines()[-1].endswith(" 1 wrong.")


def test_offline_asks_nobody(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--offline leaves the servers alone."""

    def never(*given: object) -> None:
        raise AssertionError

    monkeypatch.setattr("chronotick.ntp.query.query", never)
    done = run("doctor", "--offline", "--runtime-dir", str(tmp_path / "x"), "--json")
    assert "servers" not in {one["name"] for one in done.json["findings"]}


def test_a_check_that_breaks_is_a_finding() -> None:
    """One broken check keeps no other from being made."""

    def kernel_version(patient: Patient) -> list[Finding]:
        raise OSError("gone")

    (found,) = carried_out(kernel_version, patient())
    assert (found.name, found.verdict) == ("kernel version", Verdict.WARN)
    assert "OSError: gone" in found.sentence


def test_a_library_that_is_old_or_missing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are named with what is needed."""
    monkeypatch.setattr(
        installation, "requirements", lambda: [("numpy", "99.0", "host"), ("nonesuch", "1", ""), ("mcp-x", "2", "mcp")]
    )
    found = only(installation.libraries(patient()), "libraries")
    assert found.verdict is Verdict.FAIL
    assert "is older than 99.0" in found.sentence
    assert "nonesuch is not installed" in found.sentence
    assert "mcp-x" not in found.sentence


def test_the_distributions_requirements_are_understood() -> None:
    """Names, least versions and extras come out of the metadata."""
    found = {name: (least, extra) for name, least, extra in installation.requirements()}
    assert found["pyzmq"] == ("26.4", "")
    assert found["numpy"] == ("2.0", "host")
    assert "chronotick" not in found
    assert installation.as_numbers("27.3.0rc1") > installation.as_numbers("27.2")


def test_a_log_file_that_can_not_be_written_fails(tmp_path: Path) -> None:
    """The folder is looked at before the host has to."""
    good = installation.configuration(patient((f"log.file={tmp_path}/x.log",)))
    assert only(good, "log").verdict is Verdict.OK
    bad = installation.configuration(patient(("log.file=/nowhere/x.log",)))
    assert only(bad, "log").verdict is Verdict.FAIL


def test_uv_is_looked_for_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that runs is told with its version; one that does not is a warning."""
    tool = tmp_path / "uv"
    tool.write_text("#!/bin/sh\necho uv 9.9.9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("CHRONOTICK_UV", str(tool))
    assert only(installation.uv(patient()), "uv").facts["version"] == "uv 9.9.9"
    tool.write_text("#!/bin/sh\nexit 3\n")
    assert only(installation.uv(patient()), "uv").verdict is Verdict.WARN


def test_environments_matter_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A configured plugin that is not there is a warning; one that is sound is not."""
    monkeypatch.setenv("CHRONOTICK_PLUGIN_PATH", str(FAKES))
    monkeypatch.setattr("chronotick.plugins.discovery.project_root", lambda: None)
    examined = patient(("plugins=[{name: echo}, {name: gone}]", "roles=[]"))
    found = list(installation.models(examined))
    assert only(found, "model echo").sentence == "Its environment is sound (configured)."
    missing = only(found, "model gone")
    assert missing.verdict is Verdict.WARN
    assert "CHRONOTICK_PLUGIN_PATH" in missing.mend


@pytest.mark.parametrize(
    ("current", "verdict"), [("tsc", Verdict.OK), ("kvm-clock", Verdict.OK), ("hpet", Verdict.WARN), ("", Verdict.WARN)]
)
def test_the_clock_source_is_judged(tmp_path: Path, current: str, verdict: Verdict) -> None:
    """Counters that are read in user space are good; timers behind a bus are not."""
    folder = "sys/devices/system/clocksource/clocksource0"
    root = write(tmp_path, {f"{folder}/current_clocksource": current, f"{folder}/available_clocksource": "tsc hpet"})
    found = only(machine.clock_source(patient(root=root)), "clocksource")
    assert found.verdict is verdict
    assert found.facts["read_ns"] > 0


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"sys/class/dmi/id/sys_vendor": "QEMU\n"}, "KVM or QEMU"),
        ({"sys/class/dmi/id/product_name": "VMware7,1\n"}, "VMware"),
        ({"sys/class/dmi/id/sys_vendor": "Amazon EC2\n"}, "Amazon EC2"),
        ({"sys/hypervisor/type": "xen\n"}, "xen"),
        ({"proc/version": "Linux version 5.15 (Microsoft@x)\n"}, "WSL"),
        ({"proc/cpuinfo": "flags : fpu hypervisor lm\n"}, "unnamed hypervisor"),
        ({"proc/cpuinfo": "flags : fpu lm\n", "sys/class/dmi/id/sys_vendor": "LENOVO\n"}, ""),
        ({}, ""),
    ],
)
def test_virtual_machines_are_recognised(tmp_path: Path, files: dict[str, str], name: str) -> None:
    """By what the firmware, the hypervisor or the processor says."""
    assert machine.virtual_machine(write(tmp_path, files)) == name


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({".dockerenv": ""}, "docker"),
        ({"run/.containerenv": ""}, "podman"),
        ({"run/systemd/container": "systemd-nspawn\n"}, "systemd-nspawn"),
        ({"proc/1/environ": "A=1\0container=lxc\0"}, "lxc"),
        ({"proc/1/cgroup": "0::/kubepods/burstable\n"}, "kubepods"),
        ({}, ""),
    ],
)
def test_containers_are_recognised(tmp_path: Path, files: dict[str, str], name: str) -> None:
    """By the marks that each kind leaves."""
    assert machine.container(write(tmp_path, files)) == name


def test_one_daemon_is_fine_and_two_are_not() -> None:
    """Whoever steers the system clock is named; two of them are a warning; those of PTP belong together."""
    assert machine.judged({}).verdict is Verdict.OK
    one = machine.judged({"chronyd": [7]})
    assert one.verdict is Verdict.OK
    assert one.sentence.startswith("chronyd (process 7) steers the system clock.")
    assert machine.judged({"chronyd": [7], "ntpd": [8]}).verdict is Verdict.WARN
    assert machine.judged({"ptp4l": [1], "phc2sys": [2]}).verdict is Verdict.OK
    assert machine.judged({"chronyd": [7], "phc2sys": [2]}).verdict is Verdict.WARN
    assert machine.judged({"chronyd": [7], "ptp4l": [1]}).verdict is Verdict.OK


def test_daemons_are_found_by_the_name_that_the_kernel_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel cuts names off at 15 characters."""

    class Process:
        def __init__(self, name: str, pid: int) -> None:
            self.info = {"name": name, "pid": pid}

    processes = [Process("systemd-timesyn", 5), Process("bash", 6), Process("chronyd", 7)]
    monkeypatch.setattr(psutil, "process_iter", lambda attributes: iter(processes))
    assert machine.running() == {"systemd-timesyncd": [5], "chronyd": [7]}


def test_limits_and_memory_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too few open files and too little memory for the models are warnings with figures."""
    monkeypatch.setattr(machine.resource, "getrlimit", lambda which: (64, 64))
    memory = type("Memory", (), {"available": 10**9, "total": 4 * 10**9})()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(os, "getloadavg", lambda: (0.0, 999.0, 0.0))
    found = list(machine.resources(patient()))
    assert only(found, "limits").verdict is Verdict.WARN
    assert "Only 64 open files" in only(found, "limits").sentence
    assert only(found, "memory").verdict is Verdict.WARN
    assert only(found, "load").verdict is Verdict.WARN
    alone = list(machine.resources(patient(("roles=[]", "plugins=[]"))))
    assert only(alone, "memory").verdict is Verdict.OK


def asked(name: str, port: int, reason: Refusal | None) -> QueriedServer:
    return QueriedServer(
        server=name,
        address="" if reason is Refusal.NO_ADDRESS else "192.0.2.1",
        port=0 if reason is Refusal.NO_ADDRESS else port,
        accepted=reason is None,
        reason=reason,
        explanation=None if reason is None else "why not.",
        standing=Standing.SURVIVOR if reason is None else Standing.UNHEARD,
        grade=Grade.GOOD,
        samples=int(reason is None),
        refused=(),
    )


def test_the_way_out_to_port_123_is_judged_by_who_answers() -> None:
    """Any reply shows that it is open; silence of all says that it is blocked; other ports say nothing."""
    silent = [asked("a", 123, Refusal.TIMEOUT), asked("b", 123, Refusal.NO_ROUTE)]
    blocked = only(network.egress(silent), "udp 123")
    assert blocked.verdict is Verdict.FAIL
    assert "iptables" in blocked.mend
    assert only(network.egress([*silent, asked("c", 123, None)]), "udp 123").verdict is Verdict.OK
    assert only(network.egress([*silent, asked("c", 123, Refusal.KISS_RATE)]), "udp 123").verdict is Verdict.OK
    assert only(network.egress([asked("a", 1123, Refusal.TIMEOUT)]), "udp 123").verdict is Verdict.OK


def test_names_without_an_address_are_told_apart_from_silence() -> None:
    """All without an address is a failure of name resolution, one is a warning, and neither blames the port."""
    nameless = asked("a.example", 123, Refusal.NO_ADDRESS)
    (found,) = network.egress([nameless])
    assert (found.name, found.verdict) == ("names", Verdict.FAIL)
    assert found.mend.endswith("getent ahosts a.example")
    both = list(network.egress([nameless, asked("b", 123, None)]))
    assert only(both, "names").verdict is Verdict.WARN
    assert only(both, "udp 123").verdict is Verdict.OK


@pytest.mark.parametrize(("offset_s", "verdict"), [(0.003, Verdict.OK), (-0.5, Verdict.WARN)])
def test_a_system_clock_that_is_off_is_said(offset_s: float, verdict: Verdict) -> None:
    """It does not disturb us, but those who read it."""
    report = QueryReport(servers=(), selected=(), verdict=Vote.AGREED, offset_s=offset_s)
    found = only(network.system_clock(report), "system clock")
    assert found.verdict is verdict
    assert ("behind" if offset_s > 0 else "ahead") in found.sentence


def test_too_few_servers_are_a_warning(servers: Ready) -> None:
    """Two can not outvote a wrong one."""
    honest = [name for name in servers.servers if name not in servers.falsetickers][:2]
    examined = patient((f"ntp.servers={list(honest)}",))
    found = only(network.servers(examined), "servers")
    assert found.verdict is Verdict.WARN
    assert "Fewer than 3" in found.sentence


def test_missing_timestamps_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the kernel does not stamp is named."""
    monkeypatch.setattr(network, "loopback_stamps", lambda: (True, False))
    (found,) = network.timestamps(patient())
    assert found.verdict is Verdict.WARN
    assert "does not stamp leaving packets" in found.sentence
    monkeypatch.setattr(network, "loopback_stamps", lambda: (True, True))
    assert only(network.timestamps(patient()), "timestamps").verdict is Verdict.OK


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = Path(f"/tmp/ck-doc-{os.getpid()}")
    made.mkdir(mode=0o700)
    yield made
    for file in made.iterdir():
        file.unlink()
    made.rmdir()


def test_a_runtime_directory_is_judged(folder: Path) -> None:
    """One of ours is good, one that others may write to fails, and so do paths that the system would cut off."""
    assert only(running.runtime_directory(patient(runtime_dir=str(folder))), "runtime directory").verdict is Verdict.OK
    folder.chmod(0o777)
    found = only(running.runtime_directory(patient(runtime_dir=str(folder))), "runtime directory")
    assert (found.verdict, found.mend) == (Verdict.FAIL, f"chmod 755 {folder}")
    folder.chmod(0o700)
    long = only(running.runtime_directory(patient(runtime_dir=str(folder / ("x" * 120)))), "runtime directory")
    assert long.verdict is Verdict.FAIL
    assert "the system allows 107" in long.sentence
    absent = only(running.runtime_directory(patient(runtime_dir=str(folder / "new"))), "runtime directory")
    assert absent.verdict is Verdict.OK
    assert "does not exist yet" in absent.sentence


def test_sockets_that_are_too_open_or_none_fail(folder: Path) -> None:
    """Kind and mode of each are looked at; what a host leaves without answering is a warning."""
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(folder / "admin.sock"))
        (folder / "admin.sock").chmod(0o600)
        examined = patient(runtime_dir=str(folder))
        assert only(running.sockets(examined), "sockets").verdict is Verdict.OK
        (folder / "admin.sock").chmod(0o666)
        found = only(running.sockets(examined), "sockets")
        assert found.verdict is Verdict.FAIL
        assert "has mode 0666 instead of 0600" in found.sentence
    (folder / "client.sock").write_text("")
    (folder / "client.sock").chmod(0o600)
    assert "client.sock is not a socket" in only(running.sockets(examined), "sockets").sentence
    left = only(running.host(examined), "host")
    assert left.verdict is Verdict.WARN
    assert "where a host left its sockets" in left.sentence


def test_a_key_that_others_may_read_is_said(folder: Path) -> None:
    """The key that signs stamps is for its owner only."""
    key = folder / "stamp.key"
    key.write_text("ab" * 32)
    key.chmod(0o600)
    examined = patient(runtime_dir=str(folder))
    assert only(running.sockets(examined), "stamp key").verdict is Verdict.OK
    key.chmod(0o644)
    found = only(running.sockets(examined), "stamp key")
    assert (found.verdict, found.mend) == (Verdict.WARN, f"chmod 600 {key}")


def test_a_snapshot_that_can_not_be_used_fails(folder: Path) -> None:
    """What is no snapshot is refused with the reader's own sentence."""
    (folder / "snapshot").write_bytes(b"nonsense" * 200)
    found = only(running.snapshot(patient(runtime_dir=str(folder))), "snapshot")
    assert found.verdict is Verdict.FAIL
    assert "not a ChronoTick snapshot" in found.sentence


def test_a_host_without_a_time_fails_once_it_is_old_enough(live_host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """UNKNOWN is a warning at first and a failure after a minute; another version and broken models are warnings."""
    sections = live_host.sections()
    sections["clock"] = {"status": "UNKNOWN", "sentence": "No server answers."}
    sections["plugins"] = [sections["plugins"][0] | {"state": "QUARANTINED", "detail": "died. Run: mend"}]
    monkeypatch.setattr("chronotick.cli.host.status", lambda *given, **named: sections)
    examined = patient(runtime_dir=str(live_host.directory.path))
    sections["host"]["uptime_s"] = 5.0
    found = list(running.host(examined))
    assert only(found, "time").verdict is Verdict.WARN
    assert only(found, "model echo").verdict is Verdict.WARN
    sections["host"] |= {"uptime_s": 500.0, "version": "0.0.1"}
    found = list(running.host(examined))
    assert only(found, "time").verdict is Verdict.FAIL
    assert "is version 0.0.1, this is" in only(found, "host").sentence


def test_every_verdict_has_its_word_and_colour() -> None:
    """The report's styles are those of the verdicts."""
    assert set(doctor.STYLES) == {verdict.value for verdict in Verdict}
    assert msgspec.to_builtins(Finding(name="x", verdict=Verdict.OK, sentence="y"))["mend"] == ""

"""What the machine is, what else disciplines its clock, and what it leaves a process."""

import os
import resource
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import psutil

from chronotick.cli.checkup.finding import Finding, Patient, first_line, ok, warn
from chronotick.cli.output import duration

GOOD_SOURCES: Final = frozenset(
    {"tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "xen", "timebase", "riscv_clocksource"}
)
# Names of processes as the kernel has them: at most 15 characters.
STEERING: Final = {
    "chronyd": "chronyd",
    "ntpd": "ntpd",
    "ntpsec": "ntpd",
    "ntp-daemon": "ntpd-rs",
    "openntpd": "openntpd",
    "systemd-timesyn": "systemd-timesyncd",
    "systemd-timesyncd": "systemd-timesyncd",
    "phc2sys": "phc2sys",
    "ptp4l": "ptp4l",
}
"""Daemons that steer the system clock."""
OF_PTP: Final = frozenset({"ptp4l", "phc2sys"})
"""They work together, and ptp4l may steer a network card's clock only."""
VENDORS: Final = (
    ("KVM", "KVM"),
    ("QEMU", "KVM or QEMU"),
    ("VMware", "VMware"),
    ("innotek", "VirtualBox"),
    ("VirtualBox", "VirtualBox"),
    ("Virtual Machine", "Hyper-V"),
    ("Amazon EC2", "Amazon EC2"),
    ("Google", "Google Compute Engine"),
    ("OpenStack", "OpenStack"),
    ("Xen", "Xen"),
    ("Parallels", "Parallels"),
    ("DigitalOcean", "DigitalOcean"),
)
SLOW_CLOCK_NS: Final = 1000.0
LEAST_MEMORY: Final = 200_000_000
MODEL_MEMORY: Final = 1_000_000_000
LEAST_FILES: Final = 256


def clock_source(patient: Patient) -> Iterable[Finding]:
    """The counter behind the kernel's clocks, and what reading the raw one costs."""
    folder = patient.root / "sys/devices/system/clocksource/clocksource0"
    current = first_line(folder / "current_clocksource")
    available = first_line(folder / "available_clocksource").split()
    cost_ns = raw_clock_cost_ns()
    facts: dict[str, Any] = {"current": current, "available": available, "read_ns": round(cost_ns)}
    if not current:
        yield warn("clocksource", "The kernel does not tell its clock source.", **facts)
    elif current in GOOD_SOURCES:
        yield ok("clocksource", f"{current}; reading the raw clock takes {cost_ns:.0f} ns.", **facts)
    else:
        yield warn(
            "clocksource",
            f"{current} is slow and coarse (there is: {', '.join(available)}).",
            "See why the kernel left a better one: dmesg | grep -i -e clocksource -e tsc",
            **facts,
        )
    if cost_ns > SLOW_CLOCK_NS:
        sentence = f"Reading the raw clock takes {cost_ns:.0f} ns: it goes through the kernel, and so does every now()."
        yield warn("raw clock", sentence, "A newer kernel, or clocksource tsc, reads it in tens of ns.", **facts)


def raw_clock_cost_ns() -> float:
    """Cheapest mean of a few batches, ns."""
    best = float("inf")
    for _ in range(5):
        begin = time.perf_counter_ns()
        for _ in range(1000):
            time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        best = min(best, (time.perf_counter_ns() - begin) / 1000)
    return best


def virtualisation(patient: Patient) -> Iterable[Finding]:
    """Whether this is a virtual machine or a container, and what that means for a clock."""
    machine, box = virtual_machine(patient.root), container(patient.root)
    facts = {"machine": machine, "container": box}
    parts = []
    if machine:
        parts.append(
            f"Virtual machine ({machine}): moved to other clocks, the host sees it and measures anew; "
            "a pause that stops all of its clocks can not be seen."
        )
    if box:
        parts.append(f"Container ({box}): the clock is the machine's; only its runtime directory must be shared.")
    yield ok("virtualisation", " ".join(parts) or "Neither a virtual machine nor a container.", **facts)
    times = psutil.cpu_times()
    steal = getattr(times, "steal", 0.0) / max(sum(times), 1.0)
    if steal > 0.05:
        sentence = f"{steal:.0%} of the processor time was taken by other guests: timestamps come late."
        yield warn("steal", sentence, "Ask for a dedicated processor.", steal=round(steal, 4))


def virtual_machine(root: Path) -> str:
    """Name of the hypervisor, "" for none."""
    dmi = root / "sys/class/dmi/id"
    told = " ".join(first_line(dmi / name) for name in ("sys_vendor", "product_name", "board_vendor"))
    for mark, name in VENDORS:
        if mark in told:
            return name
    if kind := first_line(root / "sys/hypervisor/type"):
        return kind
    if "microsoft" in first_line(root / "proc/version").lower():
        return "WSL"
    try:
        flags = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "unnamed hypervisor" if "hypervisor" in flags else ""


def container(root: Path) -> str:
    """What kind of container this is, "" for none."""
    if kind := first_line(root / "run/systemd/container"):
        return kind
    for mark, name in ((".dockerenv", "docker"), ("run/.containerenv", "podman")):
        if (root / mark).exists():
            return name
    try:
        environ = (root / "proc/1/environ").read_bytes()
    except OSError:
        environ = b""
    for part in environ.split(b"\0"):
        if part.startswith(b"container="):
            return part[10:].decode("utf-8", "replace") or "unnamed"
    groups = first_line(root / "proc/1/cgroup")
    return next((name for name in ("docker", "kubepods", "lxc", "libpod") if name in groups), "")


def daemons(patient: Patient) -> Iterable[Finding]:
    """Who steers the system clock. One is fine and no rival: ChronoTick never steers it."""
    return [judged(running())]


def running() -> dict[str, list[int]]:
    """Daemons that steer the clock, with their process ids."""
    found: dict[str, list[int]] = {}
    for process in psutil.process_iter(("name", "pid")):
        name = STEERING.get(process.info["name"] or "")
        if name is not None:
            found.setdefault(name, []).append(process.info["pid"])
    return found


def judged(found: dict[str, list[int]]) -> Finding:
    """What to think of them."""
    facts = {"running": found}
    said = ", ".join(f"{name} (process {', '.join(str(pid) for pid in pids)})" for name, pids in sorted(found.items()))
    rivals = len(set(found) - OF_PTP) + ("phc2sys" in found)
    if rivals > 1:
        sentence = f"{said}: two of them steer one clock. ChronoTick is not disturbed, programs that read it are."
        return warn("daemons", sentence, "Leave one running.", **facts)
    if found:
        return ok("daemons", f"{said} steers the system clock. ChronoTick does not, so both can run.", **facts)
    return ok("daemons", "Nobody steers the system clock. ChronoTick does not need it, nor does it steer it.", **facts)


def resources(patient: Patient) -> Iterable[Finding]:
    """Memory, load and limits of this user's processes."""
    memory = psutil.virtual_memory()
    models = sum(plugin.enabled for plugin in patient.config.plugins) if patient.config else 0
    needed = LEAST_MEMORY + models * MODEL_MEMORY
    facts: dict[str, Any] = {"available_bytes": memory.available, "total_bytes": memory.total, "models": models}
    sentence = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB are available."
    if memory.available < needed:
        yield warn("memory", f"{sentence} The host and {models} models want {needed / 1e9:.1f} GB.", **facts)
    else:
        yield ok("memory", sentence, **facts)
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[1]
    sentence = f"{load:.1f} processes wanted to run in the last 5 minutes, on {cores} cores."
    if load > 2 * cores:
        yield warn("load", f"{sentence} Replies are stamped late.", load=load, cores=cores)
    else:
        yield ok("load", sentence, load=load, cores=cores)
    yield _limits()


def uptime(patient: Patient) -> Iterable[Finding]:
    """Since when the machine runs, and whether it slept meanwhile."""
    from chronotick.wire.boot import SUSPENDED_TOLERANCE_NS, suspended_ns

    up_s, slept_s = time.clock_gettime(time.CLOCK_BOOTTIME), suspended_ns() / 1e9
    facts = {"up_s": round(up_s), "slept_s": round(slept_s, 3)}
    if slept_s * 1e9 <= SUSPENDED_TOLERANCE_NS:
        return [ok("uptime", f"Up {duration(up_s)}, never suspended.", **facts)]
    sentence = f"Up {duration(up_s)}, suspended for {duration(slept_s)} of it; after each sleep the host measures anew."
    return [ok("uptime", sentence, **facts)]


def _limits() -> Finding:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    facts = {"open_files": files, "address_space": None if space == resource.RLIM_INFINITY else space}
    if files != resource.RLIM_INFINITY and files < LEAST_FILES:
        mend = f"Raise it: ulimit -n {LEAST_FILES}, or LimitNOFILE= in the unit."
        return warn("limits", f"Only {files} open files are allowed; {LEAST_FILES} are safe.", mend, **facts)
    if space != resource.RLIM_INFINITY and space < MODEL_MEMORY:
        sentence = f"The address space is limited to {space / 1e9:.1f} GB: models will not load."
        return warn("limits", sentence, "ulimit -v unlimited", **facts)
    return ok("limits", f"{files} open files are allowed.", **facts)

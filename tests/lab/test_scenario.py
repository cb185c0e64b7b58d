"""Scenarios: what is refused and how it is said, what is filled in, and that files and presets agree."""

from pathlib import Path

import msgspec
import pytest

from chronotick.errors import LabError
from chronotick.lab.load import dump, load, parse
from chronotick.lab.presets import PRESETS, adapted, demo, preset
from chronotick.lab.scenario import FaultConfig, OutageConfig, Scenario, ServerConfig, resolve

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "lab"


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_is_also_a_file(name: str) -> None:
    """configs/lab/NAME.yaml holds what the preset NAME makes, under the same hash."""
    from_file = load(str(CONFIGS / f"{name}.yaml"))
    assert from_file == preset(name)
    assert from_file.hash == preset(name).hash


def test_no_file_is_without_preset() -> None:
    """Every file in configs/lab is tested above."""
    assert {path.stem for path in CONFIGS.iterdir()} == set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_dump_and_parse_are_inverse(name: str) -> None:
    """What dump writes, parse reads back."""
    assert parse(dump(preset(name))) == preset(name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("servers: [{}]\nocillator: {}\n", "line 2, at the top: unknown key 'ocillator'. Did you mean 'oscillator'?"),
        (
            "servers:\n- path:\n    jitter_us: 3\n",
            "line 3, at servers[0].path: unknown key 'jitter_us'. Did you mean",
        ),
        ("servers: [{path: {loss: 1.5}}]", "at servers[0].path.loss: Expected `float` <= 1.0"),
        ("servers: [{stratum: 0}]", "at servers[0].stratum: Expected `int` >= 1"),
        ("servers: []", "at servers: Expected `array` of length >= 1"),
        ("oscillator: {}", "missing required field `servers`"),
        ("servers: [{faults: [{kind: sulks}]}]", "Invalid enum value 'sulks'"),
        ("servers: [", "is no YAML"),
        ("servers: [{address: 192.0.2.1}]", "192.0.2.1 is not a loopback address. Use 127.x.y.z."),
        ("servers: [{address: localhost}]", "'localhost' is not an IP address"),
        ("servers: [{name: a}, {name: a}]", "Two servers are named 'a'."),
        (
            "servers: [{address: 127.0.0.9, port: 99}, {address: 127.0.0.9, port: 99}]",
            "Two servers share 127.0.0.9 port 99.",
        ),
        ("servers: [{}]\noutages: [{start_s: 1, end_s: 2, servers: [s7]}]", "An outage names server 's7'"),
        ("servers: [{}]\noutages: [{start_s: 2, end_s: 2}]", "ends at 2.0 s, not after its start"),
        ("servers: [{faults: [{kind: silence, start_s: 5, end_s: 1}]}]", "ends at 1.0 s, not after its start"),
        ("servers: [{address: '::1', faults: [{kind: foreign_address}]}]", "foreign_address needs an IPv4 address"),
    ],
)
def test_a_wrong_scenario_is_refused_with_a_sentence(text: str, said: str) -> None:
    """Unknown keys, values out of range and contradictions are LabErrors that say what and where."""
    with pytest.raises(LabError) as caught:
        parse(text, "file.yaml")
    assert str(caught.value).startswith("file.yaml")
    assert said in str(caught.value)


@pytest.mark.parametrize("name", ["sunny", "missing/file.yaml", "missing.yml"])
def test_what_is_not_there_can_not_be_loaded(name: str) -> None:
    """Neither a preset nor a file of that name: a LabError names it."""
    with pytest.raises(LabError, match=name):
        load(name)


def test_resolving_fills_in_and_repeats_to_the_same() -> None:
    """Names, addresses and the start are filled in once; given ones stay."""
    scenario = Scenario(servers=(ServerConfig(), ServerConfig(name="x", address="127.9.9.9")))
    first = resolve(scenario, 123)
    assert [(s.name, s.address) for s in first.servers] == [("s1", "127.0.0.11"), ("x", "127.9.9.9")]
    assert first.start_utc_ns == 123
    assert resolve(first, 456) == first


def test_the_hash_stands_for_the_content() -> None:
    """Equal content, equal hash, also where a number is written without its point; another seed, another hash."""
    assert parse("servers: [{root_delay_ms: 8}]").hash == parse("servers: [{root_delay_ms: 8.0}]").hash
    assert adapted(demo(), seed=2).hash != demo().hash


def test_windows_of_time_are_half_open() -> None:
    """Faults and outages hold from their start until before their end, an outage for the servers it names."""
    outage = OutageConfig(start_s=1, end_s=2, servers=("s1",))
    assert [outage.active("s1", t) for t in (0.9, 1, 1.9, 2)] == [False, True, True, False]
    assert not outage.active("s2", 1.5)
    assert OutageConfig(start_s=1, end_s=2).active("s2", 1.5)
    assert [FaultConfig(kind="runt", start_s=3).active(t) for t in (2.9, 3, 1e6)] == [False, True, True]
    assert not FaultConfig(kind="runt", end_s=3).active(3)


@pytest.mark.parametrize("seconds", [20, 60, 90, 600])
def test_the_demo_has_its_outage_late_in_a_run_of_any_length(seconds: float) -> None:
    """The outage lies between 70 and 95 % of the run, lasts 13 s at most, and hits all servers."""
    (outage,) = demo(seconds).outages
    assert 0.7 * seconds < outage.start_s < outage.end_s < 0.95 * seconds
    assert 0 < outage.end_s - outage.start_s < 13.2
    assert outage.servers == ()


@pytest.mark.parametrize(
    ("servers", "falsetickers", "expected"),
    [(None, None, (6, 1)), (9, None, (9, 1)), (None, 0, (5, 0)), (None, 3, (8, 3)), (4, 2, (4, 2)), (3, 3, (3, 3))],
)
def test_servers_and_falsetickers_can_be_asked_for(
    servers: int | None, falsetickers: int | None, expected: tuple[int, int]
) -> None:
    """The counts asked for come out, with distinct lies, and the scenario still resolves."""
    scenario = resolve(adapted(demo(), servers=servers, falsetickers=falsetickers), 0)
    lies = [s.clock_error_ms for s in scenario.servers if s.falseticker]
    assert (len(scenario.servers), len(lies)) == expected
    assert len(set(lies)) == len(lies)


def test_a_port_can_be_asked_for() -> None:
    """All servers take the port, each on its own address."""
    scenario = resolve(adapted(demo(), port=12300), 0)
    assert {s.port for s in scenario.servers} == {12300}
    assert len({s.address for s in scenario.servers}) == 6


@pytest.mark.parametrize(
    "asked", [{"servers": 0}, {"servers": 65}, {"servers": 2, "falsetickers": 3}, {"port": 70000}, {"seed": -1}]
)
def test_what_can_not_be_had_is_refused(asked: dict[str, int]) -> None:
    """Counts, ports and seeds out of range are LabErrors."""
    with pytest.raises(LabError):
        adapted(demo(), **asked)


def test_honest_servers_claim_enough() -> None:
    """In every preset, a server that is no falseticker has a clock error within its own root dispersion."""
    for name in PRESETS:
        for server in preset(name).servers:
            assert server.falseticker or abs(server.clock_error_ms) <= server.root_dispersion_ms
    lying = msgspec.structs.replace(ServerConfig(), clock_drift_ppm=1)
    assert lying.falseticker

"""Loading: priority, every problem at once with its line, and nothing silent."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from chronotick.config.defaults import default_config
from chronotick.config.load import Loaded, load
from chronotick.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "my.yaml"


def read(file: Path, text: str, *overrides: str, **environ: str) -> Loaded:
    file.write_text(text)
    return load(file, overrides, environ)


def problems(file: Path, text: str, *overrides: str, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(file, text, *overrides, **environ)
    return caught.value.message.replace(f"{file}:", "").splitlines()


def test_without_anything_the_defaults_run() -> None:
    loaded = load(None, (), {})
    assert loaded == Loaded(config=default_config(), notes=(), source="defaults")


def test_an_empty_file_is_the_defaults(file: Path) -> None:
    assert read(file, "").config == default_config()
    assert read(file, "ntp:\nclock:\n").config == default_config()


def test_command_line_beats_environment_beats_file_beats_default(file: Path) -> None:
    text = "log: {level: warning, format: json}\nclock: {warm_up_s: 60}\nntp: {min_poll_s: 32}\n"
    config = read(
        file, text, "log.level=debug", CHRONOTICK_LOG_LEVEL="ERROR", CHRONOTICK_WARMUP="120", CHRONOTICK_MODEL=""
    ).config
    assert (config.log.level, config.clock.warm_up_s, config.ntp.min_poll_s) == ("debug", 120.0, 32.0)
    assert (config.log.format, config.ntp.max_poll_s) == ("json", 1024.0)


def test_the_environment_names_model_device_and_servers(file: Path) -> None:
    config = read(
        file, "", CHRONOTICK_MODEL="Time-MoE", CHRONOTICK_DEVICE="cuda:1", CHRONOTICK_NTP_SERVERS="a, b:124 ,[::1]:9"
    ).config
    assert {role.plugin for role in config.roles} == {"time_moe"}
    assert [(plugin.name, plugin.device) for plugin in config.plugins] == [("time_moe", "cuda:1")]
    assert config.ntp.servers == ("a", "b:124", "[::1]:9")


def test_the_environment_can_turn_models_off(file: Path) -> None:
    assert not any(role.enabled for role in read(file, "", CHRONOTICK_MODEL="none").config.roles)


def test_settings_of_the_chosen_model_are_kept_when_the_environment_names_it(file: Path) -> None:
    text = "roles: [{name: a, plugin: ttm}]\nplugins: [{name: ttm}, {name: chronos, size: tiny}]\n"
    config = read(file, text, CHRONOTICK_MODEL="chronos").config
    assert [(plugin.name, plugin.size) for plugin in config.plugins] == [("chronos", "tiny")]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("ntp.min_poll_s=16", lambda c: c.ntp.min_poll_s == 16.0),
        ("ntp.servers=[a, b]", lambda c: c.ntp.servers == ("a", "b")),
        ("roles.one_hour.step_s=300", lambda c: c.roles[1].step_s == 300.0),
        ("roles.0.enabled=false", lambda c: not c.roles[0].enabled),
        ("roles.0.plugin=ttm", lambda c: [p.name for p in c.plugins] == ["chronos", "ttm"]),
        ("plugins.chronos.params.samples=20", lambda c: c.plugins[0].params == {"samples": 20}),
        ("log.file=", lambda c: c.log.file == ""),
        ("log.file=/var/log/x.log", lambda c: c.log.file == "/var/log/x.log"),
        ("fusion.open_gain=1e-2", lambda c: c.fusion.open_gain == 0.01),
        ("roles=[]", lambda c: c.roles == ()),
    ],
)
def test_an_override_sets_one_key(override: str, expected, file: Path) -> None:  # type: ignore[no-untyped-def]
    assert expected(read(file, "", override).config)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("ntp.min_pol_s=16", "--set ntp.min_pol_s: there is no key `ntp.min_pol_s`. Did you mean `ntp.min_poll_s`?"),
        ("ntp.min_poll_s=fast", "--set ntp.min_poll_s: `ntp.min_poll_s` is `fast`; expected a number > 0, s."),
        ("roles.two_minutes.step_s=1", "--set roles.two_minutes.step_s: there is no `two_minutes` to set."),
        ("nonsense", "--set nonsense: expected KEY=VALUE, for example ntp.min_poll_s=16."),
        ("ntp.servers=[a", "--set ntp.servers: `[a` is not a YAML value."),
        (
            "short_term.device=cuda",
            "--set short_term.device: keys of the first ChronoTick are read from files only; "
            "`chronotick config keys` lists ours.",
        ),
    ],
)
def test_a_wrong_override_is_named_with_what_was_expected(override: str, said: str, file: Path) -> None:
    assert problems(file, "", override) == [said]


def test_every_problem_is_said_at_once_with_its_line(file: Path) -> None:
    text = """\
ntp:
  min_poll_s: fast
  max_pol_s: 5
  timeout_s: -1
  servers: pool.ntp.org
  timeout_s: 3
clck: {}
clock: {rate_bound_ppm: 5000, void_after_s: .inf}
min_poll_s: 3
roles:
  - name: Bad Name
    contxt: 9
  - 5
log: {level: loud}
fusion: {enabled: 1}
"""
    name = "a name: a-z, then a-z, 0-9 or _, at most 32 characters"
    assert problems(file, text) == [
        "6: `timeout_s` was already given at 4.",
        "2: `ntp.min_poll_s` is `fast`; expected a number > 0, s.",
        "3: there is no key `ntp.max_pol_s`. Did you mean `ntp.max_poll_s`?",
        "4: `ntp.timeout_s` is `-1`; expected a number > 0, s.",
        "5: `ntp.servers` is `pool.ntp.org`; expected a list of texts.",
        "7: there is no key `clck`. Did you mean `clock`?",
        "8: `clock.rate_bound_ppm` is `5000`; expected a number > 0 and <= 1000, ppm.",
        "8: `clock.void_after_s` is `inf`; expected a number > 0, s.",
        "9: there is no key `min_poll_s`. Did you mean `ntp.min_poll_s`?",
        f"11: `roles[0].name` is `Bad Name`; expected {name}.",
        "12: there is no key `roles[0].contxt`. Did you mean `roles[0].context`?",
        f"11: `roles[0].plugin` is missing; expected {name}.",
        "13: `roles[1]` is `5`; expected a mapping of keys to values.",
        "14: `log.level` is `loud`; expected one of debug, error, info, warning.",
        "15: `fusion.enabled` is `1`; expected true or false.",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "ntp: {min_poll_s: 64,\n  max_poll_s: 16}",
            "1: `ntp.min_poll_s` is 64, more than `ntp.max_poll_s`, which is 16.",
        ),
        (
            "ntp:\n  min_stratum: 3\n  max_stratum: 2",
            "2: `ntp.min_stratum` is 3, more than `ntp.max_stratum`, which is 2.",
        ),
        ("\nntp: {servers: []}", "2: `ntp.servers` is empty; expected at least one."),
        (
            "ntp: {servers: [a, a]}",
            "1: `ntp.servers` names a 2 times: it must not vote twice.",
        ),
        (
            "ntp:\n  servers: [a]\n  min_agreeing: 2",
            "3: `ntp.min_agreeing` is 2, more than there are `ntp.servers` (1): no time would ever be served.",
        ),
        (
            "roles:\n  - {name: a, plugin: chronos}\n  - {name: a, plugin: chronos}",
            "3: `roles` names `a` twice; names are unique.",
        ),
        (
            "plugins:\n  - {name: ttm}\n  - {name: ttm}\nroles: [{name: a, plugin: ttm}]",
            "3: `plugins` names `ttm` twice; names are unique.",
        ),
        (
            "roles:\n  - {name: a, plugin: chronoss}\nplugins:\n  - name: chronos",
            "2: role `a` asks the plugin `chronoss`, which `plugins` does not list. Did you mean `chronos`?",
        ),
        (
            "roles:\n  - {name: a, plugin: ttm, context: 16, min_context: 17}",
            "2: `roles.a.min_context` is 17, more than its context, which is 16.",
        ),
    ],
)
def test_what_must_hold_between_keys_is_checked(text: str, said: str, file: Path) -> None:
    assert problems(file, text) == [said]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ntp: [", "this is not YAML"),
        ("- 1\n- 2", "a configuration is a mapping of keys to values"),
        ("ntp: !!python/object/apply:os.system [x]", "expected a mapping"),
        ("a: &x\n  b: *x", "contains itself"),
        ("? [1, 2]\n: 3", "a key must be a plain word"),
        ("ntp: {timeout_s: 2024-01-01}", "expected a number > 0, s"),
        ("log: {file: !secret x}", "tag !secret"),
        ("\x00", "this is not YAML"),
    ],
)
def test_a_file_that_is_not_plain_yaml_is_refused(text: str, said: str, file: Path) -> None:
    assert any(said in problem for problem in problems(file, text))


def test_a_file_that_can_not_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can not be read: No such file"):
        load(tmp_path / "absent.yaml", (), {})
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "binary", (), {})


def test_a_plugin_that_nobody_asks_and_a_grid_that_fixes_can_not_fill_are_noted(file: Path) -> None:
    assert read(file, "roles: []\nplugins: [{name: ttm}]").notes == (
        "plugin `ttm` is enabled and no enabled role asks it.",
    )
    (note,) = read(file, "ntp: {servers: [a, b]}\nroles: [{name: x, plugin: ttm, step_s: 1}]").notes
    assert note.startswith("role `x` has a grid of 1 s while fixes come about every 32 s at best")


def test_numbers_with_an_exponent_are_numbers(file: Path) -> None:
    assert read(file, "clock: {void_after_s: 1e4}").config.clock.void_after_s == 10_000.0


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    ["ntp", "clock", "roles", "plugins", "fusion", "log", "short_term", "long_term", "clock_measurement", "covariates"]
)


@given(st.dictionaries(keys, plain, max_size=4))
def test_whatever_a_file_holds_it_loads_or_is_refused_in_sentences(content: dict[str, object]) -> None:
    from chronotick.config import load as module

    text = yaml.safe_dump(content, allow_unicode=True)
    try:
        loaded = _load_text(module, text)
    except ConfigError as error:
        lines = error.message.splitlines()
    else:
        lines = [note for note in loaded.notes if not note.startswith(("role `", "plugin `"))]
    for line in lines:
        assert re.match(r"(mem:\d+|defaults): .*\.$|mem:\d+: .*\?$", line), line


def _load_text(module, text: str) -> Loaded:  # type: ignore[no-untyped-def]
    class Memory(type(Path())):  # type: ignore[misc]
        def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
            return text

    loaded: Loaded = module.load(Memory("mem"), (), {})
    return loaded

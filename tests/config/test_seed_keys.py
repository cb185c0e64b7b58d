"""Files of the first ChronoTick: each key is taken over or warned about, none is silent."""

import re
from pathlib import Path

import pytest
import yaml

from chronotick.config.load import Loaded, load
from chronotick.config.seed_keys import KEYS
from chronotick.config.tree import grown
from chronotick.errors import ConfigError

# The keys that the deployment guide of the first ChronoTick shows.
GUIDE = """\
short_term:
  model_name: chronos
  device: cpu
  inference_interval: 1.0
  prediction_horizon: 5
  context_length: 100
  model_params:
    repo: "amazon/chronos-bolt-base"
    size: "base"
long_term:
  model_name: chronos
  device: cpu
  inference_interval: 30.0
  prediction_horizon: 60
  context_length: 300
  model_params:
    repo: "amazon/chronos-bolt-base"
    size: "base"
fusion:
  enabled: true
  method: inverse_variance
  uncertainty_threshold: 0.05
clock_measurement:
  timing:
    warm_up:
      duration_seconds: 300
      measurement_interval: 1.0
  ntp:
    servers:
      - "0.pool.ntp.org"
      - "1.pool.ntp.org"
      - "time.nist.gov"
    max_acceptable_uncertainty: 0.020
"""


def read(tmp_path: Path, text: str, *overrides: str, **environ: str) -> Loaded:
    file = tmp_path / "old.yaml"
    file.write_text(text)
    return load(file, overrides, environ)


def said(loaded: Loaded) -> dict[str, tuple[int, str]]:
    """Old key -> line and the rest of its note."""
    found = {}
    for note in loaded.notes:
        if match := re.match(r".*old\.yaml:(\d+): `([^`]+)` (.*)", note):
            found[match[2]] = (int(match[1]), match[3])
    return found


def test_the_guides_configuration_means_what_it_says(tmp_path: Path) -> None:
    config = read(tmp_path, GUIDE).config
    short, long = config.roles
    assert (short.name, short.plugin, short.step_s, short.context, short.horizon, short.interval_s) == (
        "short_term",
        "chronos",
        1.0,
        100,
        5,
        1.0,
    )
    assert (long.name, long.plugin, long.context, long.horizon, long.interval_s) == (
        "long_term",
        "chronos",
        300,
        60,
        30.0,
    )
    (plugin,) = config.plugins
    assert (plugin.name, plugin.device, plugin.repo, plugin.size) == (
        "chronos",
        "cpu",
        "amazon/chronos-bolt-base",
        "base",
    )
    assert config.ntp.servers == ("0.pool.ntp.org", "1.pool.ntp.org", "time.nist.gov")
    assert (config.ntp.max_root_distance_s, config.ntp.warm_up_poll_s, config.clock.warm_up_s) == (0.02, 1.0, 300.0)
    assert config.fusion.enabled


def test_every_old_key_of_the_guide_has_a_note_with_its_line(tmp_path: Path) -> None:
    tree = grown(yaml.safe_load(GUIDE), "")
    old = {".".join(path) for path, _ in tree.leaves()} - {"fusion.enabled"}
    notes = said(read(tmp_path, GUIDE))
    assert set(notes) == old
    for key, (line, _) in notes.items():
        assert GUIDE.splitlines()[line - 1].strip().startswith(key.rpartition(".")[2])


@pytest.mark.parametrize("key", KEYS)
def test_every_known_key_is_mapped_or_warned_about(key: str, tmp_path: Path) -> None:
    concrete = key.replace("**", "anything")
    text: object = {"servers": ["a"], "level": "INFO", "format": "JSON", "file": "x", "debug_trace": True}.get(
        key.rpartition(".")[2], 2
    )
    for part in reversed(concrete.split(".")):
        text = {part: text}
    notes = said(read(tmp_path, yaml.safe_dump(text)))
    assert set(notes) == {concrete}
    assert notes[concrete][1].startswith("is read as" if KEYS[key].target else "has no effect")


def test_an_unknown_key_in_an_old_section_is_warned_about_with_the_nearest(tmp_path: Path) -> None:
    notes = said(
        read(tmp_path, "long_term:\n  prediction_horizn: 60\npreprocessing:\n  a: {b: 1}\nlogging:\n  lvl: 3\n")
    )
    assert notes["long_term.prediction_horizn"] == (
        2,
        "has no effect: no such key is known. Did you mean `long_term.prediction_horizon`?",
    )
    assert notes["preprocessing.a.b"][0] == 4
    assert notes["logging.lvl"] == (6, "has no effect: no such key is known. Did you mean `logging.level`?")


def test_size_tiny_is_honoured(tmp_path: Path) -> None:
    text = "short_term: {model_name: chronos, model_params: {size: tiny}}"
    assert read(tmp_path, text).config.plugins[0].size == "tiny"


def test_other_model_parameters_reach_the_plugin(tmp_path: Path) -> None:
    text = "short_term: {model_name: toto, model_params: {num_samples: 64}}"
    assert read(tmp_path, text).config.plugins[0].params == {"num_samples": 64}


def test_two_models_are_two_plugins_each_with_its_device(tmp_path: Path) -> None:
    text = "short_term: {model_name: chronos, device: cpu}\nlong_term: {model_name: Time-MoE, device: cuda:1}"
    config = read(tmp_path, text).config
    assert [(plugin.name, plugin.device) for plugin in config.plugins] == [("chronos", "cpu"), ("time_moe", "cuda:1")]


def test_a_second_setting_for_one_process_is_warned_about_not_dropped_silently(tmp_path: Path) -> None:
    text = "short_term: {device: cpu}\nlong_term: {device: cuda}"
    notes = said(read(tmp_path, text))
    assert "both roles ask the one process of chronos, which was set to `cpu`" in notes["long_term.device"][1]


def test_method_none_turns_fusion_off(tmp_path: Path) -> None:
    assert not read(tmp_path, "fusion: {enabled: true, method: none}").config.fusion.enabled
    assert read(tmp_path, "fusion: {method: weighted_average}").config.fusion.enabled


def test_a_disabled_role_stays_disabled(tmp_path: Path) -> None:
    config = read(tmp_path, "short_term: {enabled: false}\nlong_term: {}").config
    assert [role.enabled for role in config.roles] == [False, True]


def test_covariates_reach_both_roles_unless_a_role_says_otherwise(tmp_path: Path) -> None:
    text = "covariates: {enabled: true}\nshort_term: {use_covariates: false}\nlong_term: {}"
    assert [role.use_covariates for role in read(tmp_path, text).config.roles] == [False, True]


def test_a_short_context_is_not_below_its_own_minimum(tmp_path: Path) -> None:
    assert read(tmp_path, "short_term: {context_length: 16}").config.roles[0].min_context == 16


def test_a_wrong_value_under_an_old_key_is_refused_on_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"old\.yaml:2: `roles\[0\]\.horizon` is `soon`"):
        read(tmp_path, "short_term:\n  prediction_horizon: soon\n")


def test_our_keys_win_over_old_ones_and_both_vocabularies_mix(tmp_path: Path) -> None:
    text = """\
clock_measurement: {ntp: {servers: [old], timeout_seconds: 1}}
ntp: {servers: [new]}
short_term: {model_name: chronos, device: cpu}
roles: [{name: hour, plugin: ttm}]
plugins: [{name: ttm}, {name: chronos, device: cuda}]
"""
    config = read(tmp_path, text).config
    assert (config.ntp.servers, config.ntp.timeout_s) == (("new",), 1.0)
    assert [role.name for role in config.roles] == ["short_term", "hour"]
    assert {plugin.name: plugin.device for plugin in config.plugins} == {"chronos": "cuda", "ttm": "cpu"}


def test_environment_and_command_line_win_over_old_keys_too(tmp_path: Path) -> None:
    config = read(tmp_path, GUIDE, "roles.short_term.horizon=9", CHRONOTICK_WARMUP="60").config
    assert (config.roles[0].horizon, config.clock.warm_up_s) == (9, 60.0)

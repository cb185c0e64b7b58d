"""The files in configs/ and the description of the schema."""

from pathlib import Path

import pytest

from chronotick.config.defaults import default_config, default_yaml
from chronotick.config.describe import describe
from chronotick.config.load import load

CONFIGS = Path(__file__).parents[2] / "configs"
PLUGINS = {"chronos", "timesfm", "ttm", "toto", "time_moe"}
PRESETS = {
    "cpu_only_chronos": {"chronos": "cpu"},
    "gpu_only_timesfm": {"timesfm": "cuda:0"},
    "cpu_only_ttm": {"ttm": "cpu"},
    "gpu_only_toto": {"toto": "cuda:0"},
    "hybrid_chronos_ttm": {"chronos": "cpu", "ttm": "cpu"},
    "multi_device_full": {"chronos": "cpu", "ttm": "cpu", "timesfm": "cuda:0", "toto": "cuda:1", "time_moe": "cuda:1"},
    "lan": {"chronos": "cpu"},
    "default": {"chronos": "cpu"},
}


def test_default_yaml_is_what_the_schema_says() -> None:
    """Else: python -m chronotick.config.defaults > configs/default.yaml"""
    assert (CONFIGS / "default.yaml").read_text() == default_yaml()


def test_default_yaml_loads_to_the_defaults() -> None:
    assert load(CONFIGS / "default.yaml", (), {}).config == default_config()


def test_there_is_a_test_for_each_preset() -> None:
    assert {file.stem for file in CONFIGS.glob("*.yaml")} == set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_loads_without_a_note_and_names_its_models(name: str) -> None:
    loaded = load(CONFIGS / f"{name}.yaml", (), {})
    assert loaded.notes == ()
    assert {plugin.name: plugin.device for plugin in loaded.config.plugins} == PRESETS[name]
    assert {role.plugin for role in loaded.config.roles} == set(PRESETS[name]) <= PLUGINS


def test_every_key_is_described() -> None:
    for key in describe():
        assert len(key.doc) > 10, key.key
        assert key.type, key.key
        assert key.required or key.default is not None, key.key


def test_keys_that_are_seconds_say_so_and_ranges_are_told() -> None:
    keys = {key.key: key for key in describe()}
    poll = keys["ntp.min_poll_s"]
    assert (poll.unit, poll.minimum, poll.exclusive, poll.maximum, poll.default) == ("s", 0, True, None, 64.0)
    assert (keys["clock.rate_bound_ppm"].unit, keys["clock.rate_bound_ppm"].maximum) == ("ppm", 1000)
    assert keys["log.level"].choices == ("debug", "error", "info", "warning")
    assert keys["roles[].name"].required
    assert keys["plugins[].params"].type == "a mapping of names to texts, numbers or true/false"

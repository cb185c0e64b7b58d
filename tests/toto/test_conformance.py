"""The plugin's process keeps the protocol."""

from pathlib import Path

import pytest
from tests.plugin_worker import PLUGINS, worker_environ

from chronotick.plugins.manifest import claims_unmet, load_manifest
from chronotick.sdk.conformance import Settings, check_plugin
from chronotick.sdk.tiny_host import TinyHost

pytestmark = [pytest.mark.model, pytest.mark.slow]


def check(python: Path, params: dict[str, str | int | float | bool], *only: str) -> list[tuple[str, str]]:
    """Name and sentence of each check that failed."""
    settings = Settings(name="toto", params=params, start_timeout_s=150.0, exit_timeout_s=20.0)
    argv = [str(python), "-I", "-m", "chronotick_toto"]
    checks = check_plugin(argv, settings, env=worker_environ(), cwd=str(PLUGINS / "toto"), only=only)
    assert only or {"ready", "shapes", "clean_exit"} <= {one.name for one in checks}
    return [(one.name, one.sentence) for one in checks if one.verdict == "fail"]


@pytest.mark.timeout(400)
def test_tiny_weights_conform(plugin_python: Path, tiny: str) -> None:
    """No check of the conformance kit fails against self-made weights."""
    assert check(plugin_python, {"path": tiny}) == []


@pytest.mark.timeout(400)
def test_longer_forecasts_conform(plugin_python: Path, tiny: str) -> None:
    """Nor where forecasts go beyond one patch and the samples are of a fixed number."""
    only = ("ready", "shapes", "batch", "deterministic", "odd_windows", "scaling", "one_answer_each", "ping_while_busy")
    assert check(plugin_python, {"path": tiny, "horizon_max": 40, "samples": 64}, *only) == []


@pytest.mark.timeout(200)
def test_missing_weights_in_the_process(plugin_python: Path) -> None:
    """A process without weights says weights_missing and the mend, and ends for good."""
    ((name, sentence),) = check(plugin_python, {}, "ready")
    assert name == "ready"
    assert sentence.startswith("weights_missing: The weights Datadog/Toto-Open-Base-1.0 at 0411ceb27bdf")
    assert "Set path" in sentence
    assert "exit code" not in sentence


@pytest.mark.timeout(200)
def test_claims_hold(plugin_python: Path, tiny: str) -> None:
    """READY confirms what plugin.toml claims."""
    manifest = load_manifest(PLUGINS / "toto" / "plugin.toml")
    with TinyHost(manifest.argv, env=worker_environ(), cwd=str(manifest.folder)) as host:
        host.start()
        host.hello(150.0)
        host.welcome({"path": tiny})
        offered = host.ready(150.0)[-1].capabilities
    assert claims_unmet(manifest.claims, offered) is None

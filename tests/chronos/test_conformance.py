"""The plugin's process keeps the protocol."""

from pathlib import Path

import pytest
from tests.plugin_worker import PLUGINS, worker_environ

from chronotick.sdk.conformance import Settings, check_plugin

pytestmark = [pytest.mark.model, pytest.mark.slow]


@pytest.mark.timeout(400)
def test_plugin_conforms(plugin_python: Path) -> None:
    """No check of the conformance kit fails against the embedded checkpoint."""
    settings = Settings(name="chronos", start_timeout_s=150.0, exit_timeout_s=20.0)
    argv = [str(plugin_python), "-I", "-m", "chronotick_chronos"]
    checks = check_plugin(argv, settings, env=worker_environ(), cwd=str(PLUGINS / "chronos"))
    assert {"ready", "shapes", "clean_exit"} <= {check.name for check in checks}
    assert [check for check in checks if check.verdict == "fail"] == []


@pytest.mark.timeout(200)
def test_missing_weights_in_the_process(plugin_python: Path) -> None:
    """A process that has no weights says weights_missing and the mend, and ends for good."""
    settings = Settings(name="chronos", params={"path": "/no/such/folder"}, start_timeout_s=150.0, exit_timeout_s=20.0)
    argv = [str(plugin_python), "-I", "-m", "chronotick_chronos"]
    (check,) = check_plugin(argv, settings, env=worker_environ(), cwd=str(PLUGINS / "chronos"), only=("ready",))
    assert check.verdict == "fail"
    assert check.sentence.startswith("weights_missing: There is no folder /no/such/folder.")
    assert "path: embedded" in check.sentence
    assert "exit code" not in check.sentence

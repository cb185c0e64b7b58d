"""docs/writing-a-plugin.md, followed to the letter."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from chronotick.config.load import load

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "writing-a-plugin.md").read_text()


def block(language: str, after: str = "") -> str:
    """The first fenced block of a language after some words of the page."""
    found = re.search(rf"```{language}\n(.*?)```", PAGE[PAGE.index(after) :], re.DOTALL)
    assert found is not None, (language, after)
    return found[1]


@pytest.fixture
def followed(tmp_path: Path) -> Path:
    """The two files of the page, where the page says they are."""
    folder = tmp_path / "my_plugins" / "drift"
    folder.mkdir(parents=True)
    (folder / "plugin.toml").write_text(block("toml", "my_plugins/drift/plugin.toml"))
    (folder / "drift.py").write_text(block("python", "my_plugins/drift/drift.py"))
    return tmp_path


def test_it_takes_less_than_sixty_lines() -> None:
    lines = (block("toml") + block("python", "my_plugins/drift/drift.py")).splitlines()
    assert len([line for line in lines if line.strip()]) < 60


def test_the_plugin_of_the_page_conforms(followed: Path) -> None:
    """`plugins list` finds it and `plugins check` passes every check."""
    environ = {**os.environ, "CHRONOTICK_PLUGIN_PATH": "my_plugins"}

    def chronotick(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "chronotick.cli", *words],
            cwd=followed,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )

    listed = json.loads(chronotick("plugins", "list", "--json").stdout)
    assert "drift" in [row["name"] for row in listed["plugins"]]
    done = chronotick("plugins", "check", "drift", "--json")
    checks = json.loads(done.stdout)["plugins"]["drift"]["checks"]
    assert [check for check in checks if check["verdict"] == "fail"] == []
    assert done.returncode == 0
    assert len([check for check in checks if check["verdict"] == "pass"]) > 15


def test_the_role_of_the_page_is_a_sound_configuration(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(block("yaml"))
    assert load(file).config.roles[0].plugin == yaml.safe_load(block("yaml"))["roles"][0]["plugin"]

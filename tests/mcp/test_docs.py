"""docs/mcp.md says what the adapter does."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("mcp")

from chronotick import errors
from chronotick.mcp import tools

from .conftest import Snapshots, http_adapter

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "mcp.md").read_text()


def section(title: str) -> str:
    """The text under a heading, up to the next one."""
    return re.split(r"\n#+ ", PAGE.split(f"# {title}\n", 1)[1])[0]


def test_every_tool_and_argument_is_on_the_page() -> None:
    """The table of tools has a row for each, which names all its arguments."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section("Tools"), re.MULTILINE))
    assert set(rows) == set(tools.BY_NAME)
    for name, asked in rows.items():
        assert set(tools.BY_NAME[name].asked.model_fields) <= set(re.findall(r"`(\w+)`", asked)), name


def test_the_kinds_of_error_exist() -> None:
    """Each kind of error on the page is an error of the client library, or that of the schema."""
    kinds = set(re.findall(r"^\| `(\w+)` \|", section("Errors"), re.MULTILINE))
    assert {kind for kind in kinds if not hasattr(errors, kind)} == {"InvalidArguments"}
    shape = section("Errors")
    assert {"error", "tool", "arguments", "timestamp"} <= set(re.findall(r'"(\w+)":', shape))


@pytest.mark.network
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_call_by_hand_works(snapshots: Snapshots) -> None:
    """The curl command of the page gets a time."""
    snapshots.publish()
    begin = PAGE.index("    curl ")
    command = PAGE[begin : PAGE.index("\n\n", begin)]
    with http_adapter(snapshots.path) as port:
        done = subprocess.run(
            ["sh", "-c", command.replace(":3000/", f":{port}/")], capture_output=True, text=True, check=True, timeout=30
        )
    assert int(json.loads(done.stdout)["result"]["structuredContent"]["utc_ns"]) > 0

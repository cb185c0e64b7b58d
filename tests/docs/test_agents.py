"""The examples of docs/agents.md run as they stand, on a real host with simulated servers."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chronotick import Status
from chronotick.lab.demo import setting
from chronotick.lab.presets import lan
from chronotick.wire import runtime_dir

from ..system.conftest import Host, lab, until

pytestmark = pytest.mark.network

PAGE = Path(__file__).parents[2] / "docs" / "agents.md"
HEADING_OR_CODE = re.compile(r"^## ([^\n]+)$|^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples() -> list[tuple[str, str]]:
    """Each example with the heading that it stands under."""
    found, heading = [], ""
    for match in HEADING_OR_CODE.finditer(PAGE.read_text()):
        if match[1]:
            heading = match[1]
        else:
            found.append((heading, match[2]))
    return found


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host that has settled on a lab's servers."""
    folder = tmp_path_factory.mktemp("docs")
    directory = runtime_dir.create(Path(f"/tmp/ck-docs-{os.getpid()}-{time.monotonic_ns()}"))
    with lab(lan()) as ready:
        made = Host(setting.demo_config(ready.servers, (), directory.path, folder / "host.log"), folder)
        made.start()
        try:
            with made.clock() as clock:
                until(lambda: made.status(clock) is Status.SYNCHRONISED, "synchronised")
            yield made
        finally:
            made.stop()
            shutil.rmtree(directory.path)


def test_the_page_has_its_four_examples() -> None:
    """What an agent would build: ordering, a lease, a commit-wait, an audit log."""
    headings = {heading for heading, _ in examples()}
    assert {
        "Two agents order their edits",
        "A lease with fencing",
        "Commit-wait",
        "A signed audit log",
    } <= headings


@pytest.mark.parametrize(("heading", "code"), examples(), ids=[heading for heading, _ in examples()])
def test_an_example_runs_as_it_stands(host: Host, heading: str, code: str) -> None:
    """Copied into a file and run beside a host, it ends well, and nothing it asserts is false."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "CHRONOTICK_RUNTIME_DIR": str(host.directory.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr

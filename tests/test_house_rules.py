"""The rules of the house that a machine can check: style, types, layers, and what must never be imported or written."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "host" / "chronotick"
HOST_NEVER = {"torch", "scipy", "pandas", "transformers", "pickle", "marshal"}
# What only the MCP adapter, a process of its own, may import.
ADAPTER_ONLY = {"mcp", "mcp_types", "pydantic", "starlette", "uvicorn", "anyio"}
CLIENT_NEVER = {"numpy", "msgspec", "yaml", "psutil", "ntplib", "rich"}


def imports(file: Path) -> set[str]:
    """Every module that a file imports anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def stage(module: str) -> str | None:
    """The folder of the package that a dotted module name lies in."""
    parts = module.split(".")
    return parts[1] if parts[0] == "chronotick" and len(parts) > 1 else None


def stage_of(file: Path) -> str:
    """The folder of the package that a file lies in."""
    return file.relative_to(PACKAGE).parts[0]


def files(folder: str = "") -> list[Path]:
    return sorted((PACKAGE / folder).rglob("*.py"))


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )


@pytest.mark.timeout(300)
def test_types_are_strict() -> None:
    """mypy --strict finds nothing in host/."""
    done = tool("mypy")
    assert done.returncode == 0, done.stdout


def test_style_is_kept() -> None:
    """ruff finds nothing to say, and nothing to format."""
    assert tool("ruff", "check").stdout.strip() == "All checks passed!"
    done = tool("ruff", "format", "--check")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(PACKAGE)))
def test_the_host_never_imports_heavy_or_unsafe_libraries(file: Path) -> None:
    """No module of the host imports a model library or pickle, and none but the MCP adapter's a web framework."""
    never = HOST_NEVER if stage_of(file) == "mcp" else HOST_NEVER | ADAPTER_ONLY
    assert {name.split(".")[0] for name in imports(file)} & never == set()


def test_only_its_command_imports_the_mcp_adapter() -> None:
    """chronotick.mcp is imported by `chronotick mcp` and by nothing else, so that no host process loads it."""
    importers = {
        file.relative_to(PACKAGE).as_posix()
        for file in files()
        if stage_of(file) != "mcp" and "mcp" in {stage(name) for name in imports(file)}
    }
    assert importers == {"cli/mcp.py"}


@pytest.mark.parametrize("file", files("client"), ids=lambda file: file.name)
def test_the_client_stays_light(file: Path) -> None:
    """client imports neither numpy nor what only the host has, and nothing of ours but wire and the basics."""
    names = imports(file)
    assert {name.split(".")[0] for name in names} & CLIENT_NEVER == set()
    assert {stage(name) for name in names} <= {None, "client", "wire", "errors", "units"}


@pytest.mark.parametrize("folder", ["wire", "sdk"])
def test_the_protocol_stands_below_everything_else(folder: str) -> None:
    """wire imports nothing of ours but the basics, and sdk only wire besides."""
    allowed = {None, "errors", "units", "wire", folder}
    for file in files(folder):
        assert {stage(name) for name in imports(file)} <= allowed, file


@pytest.mark.parametrize(
    ("folder", "later"),
    [
        ("ntp", {"candidates", "window", "plugins", "forecast", "fusion", "publish", "serve", "client"}),
        ("clock", {"candidates", "window", "plugins", "forecast", "fusion", "publish", "serve", "client"}),
        ("candidates", {"window", "plugins", "forecast", "fusion", "publish", "serve", "client"}),
        ("window", {"plugins", "forecast", "fusion", "publish", "serve", "client"}),
        ("forecast", {"fusion", "publish", "serve", "client"}),
        ("fusion", {"publish", "serve", "client"}),
        ("publish", {"serve", "client"}),
    ],
)
def test_no_stage_reaches_forward(folder: str, later: set[str]) -> None:
    """The data path runs one way: a stage knows the types before it, never those after it."""
    for file in files(folder):
        assert {stage(name) for name in imports(file)} & later == set(), file


def test_decision_code_reads_no_clock() -> None:
    """Nothing between inputs and publication (but the time base itself) imports a clock or randomness."""
    never = {"time", "datetime", "random", "asyncio", "socket", "threading", "os"}
    for name in ("core", "inputs", "pipeline", "publish/issuer", "publish/slew", "publish/condition"):
        assert {one.split(".")[0] for one in imports(PACKAGE / f"{name}.py")} & never == set(), name
    for folder in ("clock", "candidates", "window", "forecast", "fusion"):
        for file in files(folder):
            if file.name != "timebase.py":
                assert {name.split(".")[0] for name in imports(file)} & never == set(), file
                assert "chronotick.clock.timebase" not in imports(file), file


def test_the_pipeline_is_a_table_of_contents() -> None:
    """pipeline.py shows the whole path in at most 150 lines."""
    assert len((PACKAGE / "pipeline.py").read_text().splitlines()) <= 150


def test_locks_name_no_download_host() -> None:
    """Locks hold names, versions and hashes only."""
    for lock in ROOT.glob("**/requirements*.lock"):
        if ".venv" not in lock.parts:
            assert "://" not in lock.read_text(), lock

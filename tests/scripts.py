"""Scripts beside the package, such as the benches, as modules for the tests of their parts."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

BENCH = Path(__file__).resolve().parent / "bench"


def module(path: Path) -> ModuleType:
    """Load a script under its own name, which is also how dataclasses and other scripts find it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = made
    spec.loader.exec_module(made)
    return made

"""Run the package that this file lies in, from any folder and under `python -I`."""

import runpy
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.argv[0] = "echo_plugin"
runpy.run_module("echo_plugin", run_name="__main__", alter_sys=True)

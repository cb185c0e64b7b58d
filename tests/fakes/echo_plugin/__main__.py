"""Run the fake plugin: `python -m echo_plugin [--name NAME] [--fault NAME[=VALUE] ...]`."""

import argparse
import os

from chronotick.sdk import serve

from .faults import Faults, break_sdk
from .forecaster import EchoForecaster

parser = argparse.ArgumentParser(prog="echo_plugin")
parser.add_argument("--name", default="echo")
parser.add_argument("--fault", action="append", default=[], metavar="NAME[=VALUE]")
arguments = parser.parse_args()

faults = Faults([*os.environ.get("ECHO_FAULT", "").split(","), *arguments.fault])
faults.at_start()
break_sdk(faults)
serve(EchoForecaster(faults), arguments.name, "0.1.0", packages=("numpy",), queue_limit=4)

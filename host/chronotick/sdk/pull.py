"""Runs in a plugin's environment: where its weights are on this machine, fetched if need be, as one line of JSON.

python -I -m chronotick.sdk.pull '{"module": "chronotick_ttm", "name": "ttm", "params": {"size": "512-96"}}'

The plugin's own `settings.read`, where it has one, knows repositories, revisions and hashes; a plugin without it is
asked by `repo` and `revision` alone. The model library is not loaded.
"""

import importlib
import json
import sys
from typing import Any

from chronotick.sdk.errors import PluginFault
from chronotick.sdk.forecaster import Params
from chronotick.sdk.model_settings import read_settings
from chronotick.sdk.weights import locate

MARK = "chronotick-pull "


def main() -> None:
    """Answer the question on the command line."""
    question = json.loads(sys.argv[1])
    try:
        answer = find(question["module"], question["name"], question["params"])
    except PluginFault as fault:
        answer = {"code": str(fault.code), "message": fault.message, "mend": fault.mend or ""}
    # Libraries print what they like, so the answer has a mark.
    sys.stdout.write(f"\n{MARK}{json.dumps(answer)}\n")


def find(module: str, name: str, params: dict[str, Any]) -> dict[str, str]:
    """Folder, commit, repository, and the hash that is expected ("" for none).

    Raises:
        PluginFault: the parameters mean nothing, or the weights are nowhere.
    """
    # What is expected of a folder is what is published, so the hash is looked up without `path`.
    settings = _read(module, name, {key: value for key, value in params.items() if key != "path"})
    place = _read(module, name, params) if params.get("path") else settings
    # Not every library writes a config.json; what one needs, its plugin checks when it loads.
    folder, commit = locate(place, config=False)
    expected: str = settings.weights_sha256
    return {"folder": str(folder), "commit": commit, "repo": settings.repo, "sha256": expected}


def _read(module: str, name: str, params: dict[str, Any]) -> Any:
    given = Params(values=params)
    try:
        read = importlib.import_module(f"{module}.settings").read
    except (ImportError, AttributeError):
        return read_settings(given, name, {})
    found = read(given)
    return found[0] if isinstance(found, tuple) else found


if __name__ == "__main__":
    main()

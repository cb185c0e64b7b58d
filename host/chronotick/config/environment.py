"""Settings from environment variables: above the file, below the command line."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from chronotick.config.tree import Node, grown, put

MODEL: Final = "CHRONOTICK_MODEL"
DEVICE: Final = "CHRONOTICK_DEVICE"
SERVERS: Final = "CHRONOTICK_NTP_SERVERS"
WARM_UP: Final = "CHRONOTICK_WARMUP"
LOG_LEVEL: Final = "CHRONOTICK_LOG_LEVEL"


def apply_environment(tree: Node, environ: Mapping[str, str]) -> list[str]:
    """Put into `tree` what the five variables say; an empty one says nothing. One sentence for each that is wrong."""
    said = {name: environ.get(name, "").strip() for name in (MODEL, DEVICE, SERVERS, WARM_UP, LOG_LEVEL)}
    problems = []
    if said[SERVERS]:
        servers = [part.strip() for part in said[SERVERS].split(",") if part.strip()]
        _put(tree, ("ntp", "servers"), grown(servers, SERVERS))
    if said[WARM_UP]:
        try:
            _put(tree, ("clock", "warm_up_s"), Node(float(said[WARM_UP]), WARM_UP))
        except ValueError:
            problems.append(f"{WARM_UP}: `{said[WARM_UP]}` is no number; expected seconds.")
    if said[LOG_LEVEL]:
        _put(tree, ("log", "level"), Node(said[LOG_LEVEL].lower(), LOG_LEVEL))
    if said[MODEL]:
        _use_model(tree, said[MODEL].lower().replace("-", "_"))
    if said[DEVICE]:
        for plugin in _items(tree, "plugins"):
            plugin.map["device"] = Node(said[DEVICE], DEVICE)
    return problems


def _use_model(tree: Node, model: str) -> None:
    """All roles ask this one plugin; `none` turns the roles off."""
    for role in _items(tree, "roles"):
        if model == "none":
            role.map["enabled"] = Node(False, MODEL)
        else:
            role.map["plugin"] = Node(model, MODEL)
    if model != "none":
        same = [one for one in _items(tree, "plugins") if "name" in one.map and one.map["name"].value == model]
        tree.map["plugins"] = Node(same or [Node({"name": Node(model, MODEL)}, MODEL)], MODEL)


def _put(tree: Node, path: tuple[str, ...], value: Node) -> None:
    # Where the file has something other than a mapping there, that is refused on its own line.
    with suppress(KeyError):
        put(tree, path, value)


def _items(tree: Node, section: str) -> list[Node]:
    node = tree.get(section)
    return [one for one in node.items if isinstance(one.value, dict)] if node is not None else []

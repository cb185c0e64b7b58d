"""Keys of the first ChronoTick's files: each is taken over under our name, or said to have no effect. None is silent.

A file may mix both vocabularies. What our keys say wins over what an old key is mapped to.
"""

from typing import Final

from msgspec import Struct

from chronotick.config.convert import closest
from chronotick.config.tree import Node, put, shown


class Rule(Struct, frozen=True):
    """What becomes of one old key.

    Attributes:
        target: our dotted key; "" where there is none.
        remark: why there is none, or what differs.
    """

    target: str = ""
    remark: str = ""


# Dotted old key -> rule. `**` ends a key that stands for everything below it. Keys of the two roles follow below.
KEYS: Final[dict[str, Rule]] = {
    "clock_measurement.ntp.servers": Rule("ntp.servers"),
    "clock_measurement.ntp.timeout_seconds": Rule("ntp.timeout_s"),
    "clock_measurement.ntp.max_acceptable_uncertainty": Rule(
        "ntp.max_root_distance_s", "a server's own claim of its uncertainty is its root distance"
    ),
    "clock_measurement.ntp.max_delay": Rule("ntp.max_delay_s"),
    "clock_measurement.ntp.min_stratum": Rule("ntp.min_stratum"),
    "clock_measurement.ntp.max_stratum": Rule("ntp.max_stratum"),
    "clock_measurement.timing.warm_up.duration_seconds": Rule(
        "clock.warm_up_s", "time is served from the second fix on; models join after this long"
    ),
    "clock_measurement.timing.warm_up.measurement_interval": Rule("ntp.warm_up_poll_s"),
    "clock_measurement.timing.normal_operation.measurement_interval": Rule(
        "ntp.min_poll_s", "the poll adapts between min_poll_s and max_poll_s; public servers ask for 64 s and more"
    ),
    "fusion.method": Rule(remark="models are weighed by the gain that they have shown over the floor"),
    "fusion.uncertainty_threshold": Rule(remark="a model joins by its shown gain: see fusion.open_gain, fusion.open_t"),
    "fusion.fallback_weights.**": Rule(remark="without a proven model the floor answers alone"),
    "preprocessing.**": Rule(
        remark="outliers, gaps and scaling are handled by the floor and the windows, unconditionally"
    ),
    "covariates.enabled": Rule(remark="it needs short_term or long_term beside it"),
    "covariates.**": Rule(remark="which covariates a model gets is told by its plugin"),
    "prediction_scheduling.**": Rule(remark="each role's interval_s and deadline_s say when its model is asked"),
    "performance.**": Rule(remark="limits are those of each plugin's plugin.toml and of the service manager"),
    "logging.level": Rule("log.level"),
    "logging.format": Rule("log.format"),
    "logging.file": Rule("log.file"),
    "logging.max_size_mb": Rule("log.max_mb"),
    "logging.debug_trace": Rule("log.debug_trace"),
}

# Below short_term and long_term: keys of the role, and of the plugin that it asks.
ROLE_KEYS: Final[dict[str, str]] = {
    "enabled": "enabled",
    "inference_interval": "interval_s",
    "prediction_horizon": "horizon",
    "context_length": "context",
    "use_covariates": "use_covariates",
    "max_inference_time": "deadline_s",
}
PLUGIN_KEYS: Final[dict[str, str]] = {
    "device": "device",
    "model_params.repo": "repo",
    "model_params.size": "size",
    "model_params.revision": "revision",
    "model_params.path": "path",
}
ROLES: Final = ("short_term", "long_term")
# Grids of 1 s, as the first ChronoTick asked them.
ROLE_DEFAULTS: Final[dict[str, dict[str, int | float]]] = {
    "short_term": {"step_s": 1.0, "context": 100, "horizon": 5, "interval_s": 1.0},
    "long_term": {"step_s": 1.0, "context": 300, "horizon": 60, "interval_s": 30.0},
}
_LEAST_CONTEXT: Final = 32
SECTIONS: Final = frozenset({key.partition(".")[0] for key in KEYS} - {"fusion"} | set(ROLES))
_OLD_FUSION: Final = frozenset({"method", "uncertainty_threshold", "fallback_weights"})


class Translation(Struct, frozen=True, eq=False):
    """`tree` holds our keys only; `notes` say what became of each old one."""

    tree: Node
    notes: tuple[str, ...]


def translate(tree: Node) -> Translation:
    """Our keys of a file that may use the old ones."""
    ours = Node({key: node for key, node in tree.map.items() if key not in SECTIONS}, tree.place)
    old = Node({key: node for key, node in tree.map.items() if key in SECTIONS}, tree.place)
    if isinstance(fusion := ours.map.get("fusion"), Node) and isinstance(fusion.value, dict):
        ours.map["fusion"] = Node({k: v for k, v in fusion.map.items() if k not in _OLD_FUSION}, fusion.place)
        old.map["fusion"] = Node({k: v for k, v in fusion.map.items() if k in _OLD_FUSION}, fusion.place)
    notes: list[str] = []
    mapped = Node({}, tree.place)
    _roles(old, mapped, notes)
    for path, node in old.leaves():
        key = ".".join(path)
        if key == "fusion.method" and node.value == "none":
            ours.map["fusion"].map["enabled"] = Node(False, node.place)
            notes.append(f"{node.place}: `{key}` none is read as `fusion.enabled` false.")
        elif key == "covariates.enabled" and "roles" in mapped.map:
            for role in mapped.map["roles"].items:
                role.map.setdefault("use_covariates", node)
            notes.append(f"{node.place}: `{key}` is read as `use_covariates` of both roles.")
        elif path and path[0] not in ROLES and node.value != {}:
            notes.append(_one(key, node, mapped))
    return Translation(_under(mapped, ours), tuple(sorted(notes, key=_line)))


def _one(key: str, node: Node, mapped: Node) -> str:
    rule = KEYS.get(key) or next(
        (rule for name, rule in KEYS.items() if name.endswith("**") and (key + ".").startswith(name[:-2])), None
    )
    if rule is None:
        near = closest(key, KEYS)
        return f"{node.place}: `{shown(key)}` has no effect: no such key is known." + (
            f" Did you mean `{near}`?" if near else ""
        )
    if not rule.target:
        return f"{node.place}: `{shown(key)}` has no effect: {rule.remark}."
    if key in ("logging.level", "logging.format") and isinstance(node.value, str):
        node = Node(node.value.lower(), node.place)
    put(mapped, tuple(rule.target.split(".")), node)
    return f"{node.place}: `{key}` is read as `{rule.target}`" + (f": {rule.remark}." if rule.remark else ".")


def _roles(old: Node, mapped: Node, notes: list[str]) -> None:
    roles: list[Node] = []
    plugins: dict[str, Node] = {}
    for name in ROLES:
        section = old.get(name)
        if section is None:
            continue
        model = section.get("model_name")
        plugin = str(model.value).lower().replace("-", "_") if model is not None else "chronos"
        role = {"name": Node(name, section.place), "plugin": Node(plugin, model.place if model else section.place)}
        role |= {key: Node(value, section.place) for key, value in ROLE_DEFAULTS[name].items()}
        settings = plugins.setdefault(plugin, Node({"name": role["plugin"]}, section.place))
        for path, node in section.leaves():
            key = ".".join(path)
            old_key = f"{name}.{key}" if path else name
            if key == "model_name":
                notes.append(f"{node.place}: `{old_key}` is read as `roles.{name}.plugin`.")
            elif key in ROLE_KEYS:
                role[ROLE_KEYS[key]] = node
                notes.append(f"{node.place}: `{old_key}` is read as `roles.{name}.{ROLE_KEYS[key]}`.")
            elif key in PLUGIN_KEYS or path[:1] == ("model_params",):
                target = (PLUGIN_KEYS[key],) if key in PLUGIN_KEYS else ("params", ".".join(path[1:]))
                notes.append(_of_plugin(settings, plugin, target, node, old_key))
            elif not path:
                if node.value not in (None, {}):
                    notes.append(f"{node.place}: `{old_key}` has no effect: it is no mapping of keys to values.")
            else:
                near = closest(key, [*ROLE_KEYS, *PLUGIN_KEYS, "model_name"])
                hint = f" Did you mean `{name}.{near}`?" if near else ""
                notes.append(f"{node.place}: `{shown(old_key)}` has no effect: no such key is known.{hint}")
        context = role["context"].value
        if isinstance(context, int) and context < _LEAST_CONTEXT:
            role["min_context"] = role["context"]
        roles.append(Node(role, section.place))
    if roles:
        mapped.map["roles"] = Node(roles, roles[0].place)
        mapped.map["plugins"] = Node(list(plugins.values()), roles[0].place)


def _of_plugin(settings: Node, plugin: str, target: tuple[str, ...], node: Node, old_key: str) -> str:
    """Set one key of a plugin that both roles may share: it runs once, so the first word counts."""
    ours = shown(f"plugins.{plugin}." + ".".join(target))
    before = settings.get(*target)
    if before is not None and before.value != node.value:
        return (
            f"{node.place}: `{old_key}` has no effect: both roles ask the one process of {plugin}, which was set to "
            f"`{shown(before.plain())}` at {before.place}."
        )
    put(settings, target, node)
    return f"{node.place}: `{old_key}` is read as `{ours}`."


def _under(below: Node, above: Node) -> Node:
    """Both trees in one; where they meet, `above` wins, and roles and plugins of one name become one."""
    if _named(below) and _named(above):
        named = {node.map["name"].value: node for node in below.items}
        joined = [
            _under(named.pop(node.map["name"].value, node), node) if "name" in node.map else node
            for node in above.items
        ]
        return Node([*named.values(), *joined], above.place)
    if not isinstance(below.value, dict) or not isinstance(above.value, dict):
        return above
    merged = dict(below.map)
    for key, node in above.map.items():
        merged[key] = _under(merged[key], node) if key in merged else node
    return Node(merged, above.place)


def _line(note: str) -> int:
    """Number of the line that a note begins with: "folder/file.yaml:12: ..."."""
    return int(note.partition(": ")[0].rpartition(":")[2])


def _named(node: Node) -> bool:
    return isinstance(node.value, list) and any("name" in one.map for one in node.items)

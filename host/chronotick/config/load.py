"""The configuration of this run: command line over environment over file over defaults."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct, to_builtins

from chronotick.config import defaults
from chronotick.config.check import check
from chronotick.config.convert import convert
from chronotick.config.environment import apply_environment
from chronotick.config.schema import Config
from chronotick.config.seed_keys import SECTIONS, translate
from chronotick.config.tree import Node, grown, put
from chronotick.config.yaml_file import parse
from chronotick.errors import ConfigError

# A grid point further than this many steps from any fix is a gap (see window.build).
_GAP_STEPS: Final = 4.0


class Loaded(Struct, frozen=True):
    """A sound configuration.

    Attributes:
        config: what the stages take.
        notes: what a user should know: old keys and what became of them.
        source: the file, or "defaults".
    """

    config: Config
    notes: tuple[str, ...]
    source: str


def load(path: Path | None, overrides: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Loaded:
    """Read `path`, then what the environment says, then `overrides` ("ntp.min_poll_s=16"); later ones win.

    A file without `roles` and `plugins` gets the default ones. An override names an item of a list by its name or
    number: "roles.ten_minutes.step_s=32"; its value is YAML. `environ` None is this process's environment.

    Raises:
        ConfigError: with one line for each thing that is wrong, all of them.
    """
    source = str(path) if path is not None else "defaults"
    tree, problems = (Node({}, source), ()) if path is None else parse(_text(path), str(path))
    translation = translate(tree)
    tree = translation.tree
    found = [*problems]
    if "roles" not in tree.map and "plugins" not in tree.map:
        tree.map["roles"] = grown([to_builtins(one) for one in defaults.ROLES], "defaults")
    listed = "plugins" in tree.map
    _list_plugins(tree, listed)
    found += apply_environment(tree, os.environ if environ is None else environ)
    for override in overrides:
        found += _override(tree, override)
    _list_plugins(tree, listed)
    config, wrong = convert(tree)
    found += wrong
    if config is not None:
        found += check(config, tree)
    if config is None or found:
        raise ConfigError(
            "\n".join(found), mend="\n`chronotick config keys` lists every key with its unit, range and default."
        )
    return Loaded(config=config, notes=(*translation.notes, *_idle(config)), source=source)


def changed(config: Config, overrides: Sequence[str]) -> Config:
    """Another configuration with other values of some keys: "fusion.enabled=false".

    Raises:
        ConfigError: as `load`.
    """
    tree = grown(to_builtins(config), "the configuration")
    found = [problem for override in overrides for problem in _override(tree, override)]
    made, wrong = convert(tree)
    found += wrong
    if made is not None:
        found += check(made, tree)
    if made is None or found:
        raise ConfigError("\n".join(found), mend="\n`chronotick config keys` lists every key.")
    return made


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text (byte {error.start}).") from error
    except OSError as error:
        raise ConfigError(f"{path} can not be read: {error.strerror or error}.", mend="Check --config.") from error


def _list_plugins(tree: Node, listed: bool) -> None:
    """Where the file lists no plugins, those that roles ask for are listed."""
    roles = tree.get("roles")
    if listed or roles is None:
        return
    plugins = tree.map.setdefault("plugins", Node([], roles.place)).items
    known = {one.map["name"].value for one in plugins if "name" in one.map}
    for role in roles.items:
        asked = role.map.get("plugin")
        if asked is not None and asked.value not in known:
            known.add(asked.plain())
            plugins.append(Node({"name": asked}, asked.place))


def _idle(config: Config) -> list[str]:
    """A note for each plugin that would run for nothing, and for each grid that fixes can not fill."""
    roles = [role for role in config.roles if role.enabled]
    asked = {role.plugin for role in roles}
    fix_s = config.ntp.min_poll_s / (len(config.ntp.servers) + len(config.interop.sources))
    return [
        f"role `{role.name}` has a grid of {role.step_s:g} s while fixes come about every {fix_s:.3g} s at best: most "
        "of its points will be gaps. Lower ntp.min_poll_s (on your own servers only) or raise its step_s."
        for role in roles
        if role.step_s * _GAP_STEPS < fix_s
    ] + [
        f"plugin `{plugin.name}` is enabled and no enabled role asks it."
        for plugin in config.plugins
        if plugin.enabled and plugin.name not in asked
    ]


def _override(tree: Node, override: str) -> list[str]:
    key, equals, text = override.partition("=")
    key = key.strip()
    place = f"--set {key}"
    if not equals or not key:
        return [f"--set {override}: expected KEY=VALUE, for example ntp.min_poll_s=16."]
    path = tuple(key.split("."))
    if path[0] in SECTIONS:
        return [f"{place}: keys of the first ChronoTick are read from files only; `chronotick config keys` lists ours."]
    if any(character in text for character in "\n\r"):
        return [f"{place}: a value is one line."]
    value, wrong = parse(f"value: {text}" if text.strip() else 'value: ""', place)
    if wrong:
        return [f"{place}: `{text}` is not a YAML value."]
    try:
        put(tree, path, _moved(value.map["value"], place))
    except KeyError as missing:
        return [f"{place}: there is no `{missing.args[0]}` to set."]
    return []


def _moved(node: Node, place: str) -> Node:
    """The same node as if written at `place`."""
    return grown(node.plain(), place)

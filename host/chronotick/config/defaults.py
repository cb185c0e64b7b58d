"""What is asked of which model when a configuration names neither roles nor plugins, and the file that shows it all."""

import textwrap
from typing import Any, Final

import msgspec
import yaml

from chronotick.config.describe import Key, describe, section_doc
from chronotick.config.schema import Config, PluginConfig, RoleConfig

# Grids of one sixth to a sixtieth of the structure to be seen: load cycles, slow cycles, the day.
ROLES: Final = (
    RoleConfig(name="ten_minutes", plugin="chronos"),
    RoleConfig(name="one_hour", plugin="chronos", step_s=128.0, interval_s=128.0),
    RoleConfig(name="hold_over", plugin="chronos", step_s=900.0, min_context=120, interval_s=900.0),
)
PLUGINS: Final = (PluginConfig(name="chronos"),)

_HEAD: Final = """\
ChronoTick's configuration with every key at its default. Generated from the schema
(`python -m chronotick.config.defaults`): a key that is left out has the value shown here.
Priority: --set and flags, then environment variables, then this file, then the defaults.
Above each key: what it means, and [what it takes, its range and unit].
"""


def default_config() -> Config:
    """What runs without any file, variable or flag."""
    return Config(roles=ROLES, plugins=PLUGINS)


def default_yaml() -> str:
    """The text of configs/default.yaml."""
    keys = describe()
    plain: dict[str, Any] = msgspec.to_builtins(default_config())
    lines = [f"# {line}".rstrip() for line in _HEAD.splitlines()]
    for section, value in plain.items():
        lines += ["", f"# {section_doc(section)}", f"{section}:"]
        if isinstance(value, dict):
            for name, one in value.items():
                lines += _entry(_find(keys, f"{section}.{name}"), name, one, "  ")
            continue
        for number, item in enumerate(value):
            body: list[str] = []
            for name, one in item.items():
                key = _find(keys, f"{section}[].{name}")
                body += _entry(key, name, one, "    ") if number == 0 else _value(name, one, "    ")
            lines += _as_item(body)
    return "\n".join(lines) + "\n"


def _find(keys: tuple[Key, ...], dotted: str) -> Key:
    return next(key for key in keys if key.key == dotted)


def _entry(key: Key, name: str, value: Any, indent: str) -> list[str]:
    takes = key.type + (f", {key.unit}" if key.unit else "")
    comment = f"{key.doc} [{takes}]"
    return [f"{indent}# {line}" for line in textwrap.wrap(comment, 110)] + _value(name, value, indent)


def _value(name: str, value: Any, indent: str) -> list[str]:
    if isinstance(value, list | tuple) and value:
        return [f"{indent}{name}:", *(f"{indent}  - {one}" for one in value)]
    shown = yaml.safe_dump(value, default_flow_style=True).splitlines()[0]
    return [f"{indent}{name}: {shown}"]


def _as_item(body: list[str]) -> list[str]:
    """The lines of a mapping as an item of a list: the dash goes before its first key."""
    first = next(at for at, line in enumerate(body) if not line.lstrip().startswith("#"))
    return [*body[:first], "  - " + body[first].lstrip(), *body[first + 1 :]]


if __name__ == "__main__":
    import sys

    sys.stdout.write(default_yaml())

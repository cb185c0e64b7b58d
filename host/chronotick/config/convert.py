"""From a tree to the schema's structs: every problem said in one sentence, all of them at once."""

import difflib
import math
from collections.abc import Iterable
from typing import Any, get_type_hints

import msgspec
from msgspec import NODEFAULT
from msgspec import inspect as types

from chronotick.config.describe import describe, expected, section_of, unit_of
from chronotick.config.schema import Config
from chronotick.config.tree import Node, shown


def convert(tree: Node) -> tuple[Config | None, tuple[str, ...]]:
    """The configuration, or None and one sentence for each problem: place, dotted key, what was expected."""
    problems: list[str] = []
    plain = _struct(types.type_info(Config), tree, "", problems)
    return (None if problems else msgspec.convert(plain, Config)), tuple(problems)


def closest(word: str, known: Iterable[str]) -> str:
    """The known word most like `word`, or "" where none is."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), "")


def _struct(of: types.Type, node: Node, key: str, problems: list[str]) -> dict[str, Any]:
    assert isinstance(of, types.StructType)
    if node.value is None:
        node = Node({}, node.place)  # a section's name with nothing below it
    if not isinstance(node.value, dict):
        problems.append(f"{node.place}: `{key}` is {_shown(node)}; expected a mapping of keys to values.")
        return {}
    fields = {field.encode_name: field for field in of.fields}
    hints = get_type_hints(of.cls, include_extras=True)
    plain: dict[str, Any] = {}
    for name, value in node.map.items():
        dotted = f"{key}.{name}" if key else name
        if name in fields:
            plain[name] = _value(fields[name].type, hints[name], value, dotted, problems)
        else:
            near = _suggestion(name, key, fields)
            problems.append(
                f"{value.place}: there is no key `{shown(dotted)}`." + (f" Did you mean `{near}`?" if near else "")
            )
    for name, field in fields.items():
        if name not in node.map and field.default is NODEFAULT and field.default_factory is NODEFAULT:
            takes = expected(field.type, unit_of(name))
            problems.append(f"{node.place}: `{key}.{name}` is missing; expected {takes}.")
    return plain


def _value(of: types.Type, hint: Any, node: Node, key: str, problems: list[str]) -> Any:
    if isinstance(of, types.StructType):
        return _struct(of, node, key, problems)
    items = section_of(of)
    if items is not None and isinstance(node.value, list):
        return [_struct(items, one, f"{key}[{at}]", problems) for at, one in enumerate(node.items)]
    plain = node.plain()
    takes = expected(of, unit_of(key.rpartition(".")[2]))
    try:
        msgspec.convert(plain, hint)
        finite = not isinstance(plain, float) or math.isfinite(plain)
    except msgspec.ValidationError:
        finite = False
    if not finite:
        problems.append(f"{node.place}: `{key}` is {_shown(node)}; expected {takes}.")
    return plain


def _shown(node: Node) -> str:
    match node.value:
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case None:
            return "empty"
        case bool() as flag:
            return f"`{str(flag).lower()}`"
        case other:
            return f"`{shown(other)}`"


def _suggestion(name: str, key: str, fields: Iterable[str]) -> str:
    """A key like `name` in the same section, or the same or a like name elsewhere; dotted."""
    prefix = f"{key}." if key else ""
    if near := closest(name, fields):
        return prefix + near
    elsewhere = {one.key.rpartition(".")[2]: one.key for one in reversed(describe())}
    return elsewhere.get(closest(name, elsewhere), "")

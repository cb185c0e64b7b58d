"""Every key of the configuration with its type, unit, range, default and meaning, from the schema itself."""

import ast
import inspect
import textwrap
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import NODEFAULT, Struct
from msgspec import inspect as types

from chronotick.config import schema
from chronotick.config.schema import Config

_UNITS: Final = {"_s": "s", "_ppm": "ppm", "_mb": "MB", "_sigma": "sigma"}
_COUNTED: Final = {"context": "points", "min_context": "points", "horizon": "points"}


class Key(Struct, frozen=True):
    """One key.

    Attributes:
        key: dotted name; `roles[].` and `plugins[].` stand before the keys of their items.
        type: what it takes, in words, range included.
        unit: s, ppm, MB, points, or "" for none.
        minimum, maximum: bounds where there are any; `exclusive` when the minimum itself is not allowed.
        choices: the words allowed, if only some are.
        default: as in a file; None where the key is required.
        required: whether it must be given.
        doc: what it means.
    """

    key: str
    type: str
    unit: str
    minimum: float | None
    maximum: float | None
    exclusive: bool
    choices: tuple[str, ...]
    default: Any
    required: bool
    doc: str


def describe() -> tuple[Key, ...]:
    """All keys, in the order of the schema."""
    return tuple(_keys(types.type_info(Config), ""))


def expected(of: types.Type, unit: str = "") -> str:
    """What a type takes, in words: "a number > 0, s"."""
    return _words(of) + (f", {unit}" if unit else "")


def unit_of(name: str) -> str:
    """The unit that a key's name carries."""
    if name in _COUNTED:
        return _COUNTED[name]
    return next((unit for suffix, unit in _UNITS.items() if name.endswith(suffix)), "")


def section_doc(name: str) -> str:
    """First line of the docstring of the section under a top-level key."""
    annotation = Config.__annotations__[name]
    section = getattr(annotation, "__args__", (annotation,))[0]
    return (inspect.getdoc(section) or "").splitlines()[0]


def section_of(of: types.Type) -> types.StructType | None:
    """The struct that a list's items are made into; None for every other type."""
    if isinstance(of, types.VarTupleType) and isinstance(of.item_type, types.StructType):
        return of.item_type
    return None


def _keys(of: types.Type, prefix: str) -> list[Key]:
    assert isinstance(of, types.StructType)
    found: list[Key] = []
    docs = _docs()[of.cls.__name__]
    for field in of.fields:
        name = field.encode_name
        items = section_of(field.type)
        if isinstance(field.type, types.StructType):
            found += _keys(field.type, f"{prefix}{name}.")
        elif items is not None:
            found += _keys(items, f"{prefix}{name}[].")
        else:
            found.append(_key(field, prefix + name, docs.get(name, "")))
    return found


def _key(field: types.Field, key: str, doc: str) -> Key:
    low, high, exclusive = _bounds(field.type)
    default: Any = field.default
    if field.default_factory is not NODEFAULT:
        default = field.default_factory()
    required = default is NODEFAULT
    choices = tuple(str(one) for one in field.type.values) if isinstance(field.type, types.LiteralType) else ()
    return Key(
        key=key,
        type=_words(field.type),
        unit=unit_of(field.encode_name),
        minimum=low,
        maximum=high,
        exclusive=exclusive,
        choices=choices,
        default=None if required else msgspec.to_builtins(default),
        required=required,
        doc=doc,
    )


def _bounds(of: types.Type) -> tuple[float | None, float | None, bool]:
    if not isinstance(of, types.IntType | types.FloatType):
        return None, None, False
    low = of.gt if of.gt is not None else of.ge
    high = of.lt if of.lt is not None else of.le
    return low, high, of.gt is not None


def _words(of: types.Type) -> str:
    match of:
        case types.BoolType():
            return "true or false"
        case types.IntType() | types.FloatType():
            noun = "a whole number" if isinstance(of, types.IntType) else "a number"
            low, high, exclusive = _bounds(of)
            parts = [f"{'>' if exclusive else '>='} {low:g}"] if low is not None else []
            parts += [f"<= {high:g}"] if high is not None else []
            return f"{noun} {' and '.join(parts)}" if parts else noun
        case types.LiteralType():
            return "one of " + ", ".join(str(one) for one in of.values)
        case types.StrType():
            return "a name: a-z, then a-z, 0-9 or _, at most 32 characters" if of.pattern else "a text"
        case types.VarTupleType() if section_of(of) is not None:
            return "a list of mappings"
        case types.VarTupleType():
            return "a list of texts"
        case types.DictType():
            return "a mapping of names to texts, numbers or true/false"
        case _:
            return "a mapping"


@cache
def _docs() -> dict[str, dict[str, str]]:
    """Section class -> field -> the comment above the field. The schema's source is where they are kept."""
    source = inspect.getsource(schema)
    lines = source.splitlines()
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(source).body:
        if not isinstance(node, ast.ClassDef):
            continue
        fields = found.setdefault(node.name, {})
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                fields[statement.target.id] = _comment_above(lines, statement.lineno - 1)
    return found


def _comment_above(lines: list[str], at: int) -> str:
    comment: list[str] = []
    while at > 0 and (line := lines[at - 1].strip()).startswith("#"):
        comment.insert(0, line.lstrip("# "))
        at -= 1
    return textwrap.dedent(" ".join(comment))

"""What docs/cli.md says of JSON, as a check of real output."""

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \|")
HEADING = re.compile(r"^### (?:`chronotick ([a-z -]+)`|([a-z]+))$", re.MULTILINE)
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "ns": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
}

Fields = dict[str, str]


def sections() -> dict[str, str]:
    """The text under each heading, by command, or by `#` and the name of a shape."""
    text = PAGE.read_text(encoding="utf-8")
    marks = list(HEADING.finditer(text))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return {(mark[1] or f"#{mark[2]}"): text[mark.end() : end] for mark, end in zip(marks, ends, strict=True)}


def fields(text: str) -> Fields:
    """Type by dotted path, from the tables of a section."""
    return {match[1]: match[2].strip() for line in text.splitlines() if (match := ROW.match(line))}


def shape_of(name: str) -> Fields:
    """The fields of a command's JSON, with those of the shape that it says it prints."""
    text = sections()[name]
    found = fields(text)
    if match := re.search(r"^With `--json`: an? \[([a-z]+)\]", text, re.MULTILINE):
        found = fields(sections()[f"#{match[1]}"]) | found
    return found


def problems(value: Any, documented: Fields, where: str = "") -> list[str]:
    """What of a JSON value is not as documented: fields missing, undocumented or of another type."""
    tree: dict[str, Any] = {}
    for path, kind in documented.items():
        *parents, last = re.findall(r"\w+|\[\]", path)
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
            assert isinstance(node, dict), f"{path} is documented under a field that has a type of its own"
        node[last] = kind
    return _object(value, tree, where)


def _object(value: Any, tree: dict[str, Any], where: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{where or 'it'} is no object"]
    found = [f"{where}{name} is not documented" for name in value.keys() - tree.keys()]
    for name, kind in tree.items():
        place = f"{where}{name}"
        if name in value:
            found += _value(value[name], kind, place)
        elif not (isinstance(kind, str) and kind.endswith(", optional")):
            found.append(f"{place} is documented and missing")
    return found


def _value(value: Any, kind: str | dict[str, Any], place: str) -> list[str]:
    if isinstance(kind, dict):
        if "[]" not in kind:
            return _object(value, kind, f"{place}.")
        if not isinstance(value, list):
            return [f"{place} is no list"]
        return [one for item in value for one in _object(item, kind["[]"], f"{place}[].")]
    kind = kind.removesuffix(", optional")
    if kind.endswith(" or null"):
        if value is None:
            return []
        kind = kind.removesuffix(" or null")
    if kind == "any":
        return []
    if kind.startswith("list of "):
        if not isinstance(value, list):
            return [f"{place} is no list"]
        return [one for item in value for one in _value(item, kind.removeprefix("list of "), f"{place}[]")]
    if kind not in TYPES:
        return problems(value, fields(sections()[f"#{kind}"]), f"{place}.")
    fits = isinstance(value, TYPES[kind]) and isinstance(value, bool) == (kind == "boolean")
    if kind == "ns":
        fits = fits and re.fullmatch(r"-?\d+", value) is not None
    return [] if fits else [f"{place} is {value!r}, documented as {kind}"]

"""Read a scenario from a YAML file, or a preset by name."""

import difflib
import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from chronotick.errors import LabError
from chronotick.lab import scenario as parts
from chronotick.lab.presets import preset
from chronotick.lab.scenario import Part, Scenario, resolve

UNKNOWN = re.compile(r"unknown field `(.+?)`")
KEYS = sorted(
    {
        name
        for part in vars(parts).values()
        if isinstance(part, type) and issubclass(part, Part)
        for name in part.__struct_fields__
    }
)


def load(name_or_file: str) -> Scenario:
    """The scenario in a file (a name that ends in .yaml or .yml, or holds a slash), or the preset of that name.

    Raises:
        LabError: no such file or preset, no YAML, an unknown key, or a value out of its range.
    """
    if name_or_file.endswith((".yaml", ".yml")) or "/" in name_or_file:
        path = Path(name_or_file)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise LabError(f"The scenario file {name_or_file!r} can not be read: {error}.") from error
        return parse(text, name_or_file)
    return preset(name_or_file)


def parse(text: str, source: str = "scenario") -> Scenario:
    """A scenario from YAML text; `source` names it in errors.

    Raises:
        LabError: as `load`.
    """
    try:
        content: Any = yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise LabError(f"{source} is no YAML: {' '.join(str(error).split())}.") from error
    try:
        scenario = msgspec.convert(content, Scenario)
    except msgspec.ValidationError as error:
        raise _explained(error, text, source) from error
    try:
        resolve(scenario, 0)
    except LabError as error:
        raise LabError(f"{source}: {error.message}", mend=error.mend) from error
    return scenario


def dump(scenario: Scenario) -> str:
    """The scenario as YAML text, without what is left at its default; `parse` gives the same scenario back."""
    text: str = yaml.safe_dump(_bare(scenario), sort_keys=False, width=100)
    return text


def _bare(value: Any) -> Any:
    if isinstance(value, Part):
        pairs = (
            (name, getattr(value, name), default)
            for name, default in zip(value.__struct_fields__, _defaults(value), strict=True)
        )
        return {name: _bare(content) for name, content, default in pairs if content != default}
    return [_bare(item) for item in value] if isinstance(value, tuple) else value


def _defaults(part: Part) -> list[Any]:
    return [field.default for field in msgspec.structs.fields(part)]


def _explained(error: msgspec.ValidationError, text: str, source: str) -> LabError:
    """The error in a sentence, with the line of the unknown key and the key it may have been meant to be."""
    what, _, where = str(error).partition(" - at `$")
    place = where.rstrip("`").lstrip(".") or "the top"
    unknown = UNKNOWN.search(what)
    if not unknown:
        return LabError(f"{source}, at {place}: {what}.")
    key = unknown[1]
    lines = [n for n, line in enumerate(text.splitlines(), 1) if re.match(rf"[\s\-{{]*['\"]?{re.escape(key)}\b", line)]
    line = f" line {lines[0]}" if lines else ""
    close = difflib.get_close_matches(key, KEYS, n=1)
    return LabError(
        f"{source}{line}, at {place}: unknown key {key!r}.", mend=f"Did you mean {close[0]!r}?" if close else None
    )

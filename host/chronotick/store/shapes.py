"""Which classes a stored state may hold, and of which attributes their objects consist.

A closed list: the classes of the decision code, found in the modules below. Nothing that a file says can add to it.
"""

import dis
import enum
import importlib
import pkgutil
from functools import cache
from types import FunctionType
from typing import Any, Final

import msgspec

PACKAGES: Final = ("clock", "window", "forecast", "fusion", "candidates")
"""Folders whose classes are all decision code."""
MODULES: Final = (
    "config.schema",
    "inputs",
    "ntp.associations",
    "ntp.fix",
    "ntp.outcome",
    "ntp.poll",
    "ntp.select",
    "ntp.server",
    "ntp.turnover",
    "publish.condition",
    "publish.issuer",
    "publish.types",
    "wire.snapshot",
)
_ROOT: Final = "chronotick."


class Shape(msgspec.Struct, frozen=True):
    """How objects of one class are taken apart.

    Attributes:
        name: the class's module and name, below `chronotick`.
        cls: the class.
        fields: names of the attributes, in the order in which they are stored.
        made: by a call with the fields as arguments (structs and named tuples); else made empty, then filled.
        own: the class says itself what is to be kept, by `__getstate__` and `__setstate__`.
    """

    name: str
    cls: type[Any]
    fields: tuple[str, ...]
    made: bool = False
    own: bool = False


@cache
def classes() -> dict[str, type[Any]]:
    """All classes that may be stored, by name."""
    return {
        f"{module.removeprefix(_ROOT)}.{cls.__qualname__}": cls
        for module in _modules()
        for cls in vars(importlib.import_module(module)).values()
        if isinstance(cls, type) and cls.__module__ == module
    }


@cache
def names() -> dict[type[Any], str]:
    """The same, by class."""
    return {cls: name for name, cls in classes().items()}


@cache
def shape(name: str) -> Shape | None:
    """How objects of a class are taken apart, as its code stands now; None where it may not be stored."""
    cls = classes().get(name)
    if cls is None or issubclass(cls, enum.Enum):
        return None
    if issubclass(cls, msgspec.Struct):
        return Shape(name, cls, cls.__struct_fields__, made=True)
    if issubclass(cls, tuple):
        return Shape(name, cls, tuple(getattr(cls, "_fields", ())), made=True)
    return Shape(name, cls, _attributes(cls), own="__setstate__" in vars(cls))


def _attributes(cls: type[Any]) -> tuple[str, ...]:
    """Slots, and what any method stores: another version of the class that keeps other things has another shape.

    What methods store on other objects is among them; an object that lacks it is stored without it.
    """
    found: set[str] = set()
    for base in cls.__mro__:
        slots = vars(base).get("__slots__", ())
        found |= {slots} if isinstance(slots, str) else set(slots)
        for method in vars(base).values():
            if isinstance(method, FunctionType):
                code = method.__code__
                found |= {str(one.argval) for one in dis.get_instructions(code) if one.opname == "STORE_ATTR"}
    return tuple(sorted(found - {"__dict__", "__weakref__"}))


def _modules() -> list[str]:
    found = [_ROOT + name for name in MODULES]
    for package in PACKAGES:
        try:
            paths = importlib.import_module(_ROOT + package).__path__
        except ModuleNotFoundError:
            continue
        found += [_ROOT + package, *(f"{_ROOT}{package}.{one.name}" for one in pkgutil.iter_modules(paths))]
    return found

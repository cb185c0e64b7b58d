"""Objects of the decision code to bytes and back: exactly, and nothing else than them.

MessagePack, whose arrays begin with a number that says what they are. Classes are those of `shapes.py`; no name in the
data is ever imported or called. An object that is met twice is stored once, so that what was one stays one. Large
constants that both sides have anyway (the configuration) are stored as their names: `externals`.
"""

import enum
from collections import deque
from collections.abc import Callable, Mapping
from math import prod
from typing import Any, Final, Literal

import msgspec
import numpy as np

from chronotick.errors import StoreError
from chronotick.store.shapes import Shape, classes, names, shape

VERSION: Final = 1
MAX_BYTES: Final = 256 * 1024 * 1024
MAX_DEPTH: Final = 64
_KINDS: Final = frozenset("biuf")
_BIG: Final = 2**63


class _Is:
    """What an array of the data is."""

    LIST, TUPLE, DICT, DEQUE, SET, FROZEN, ARRAY, SCALAR, ENUM, OBJECT, AGAIN, EXTERNAL, INTEGER, ABSENT = range(14)


# Stands for what is not there: not read yet, or no attribute of the object.
_PENDING: Final = object()
_PLAIN: Final = frozenset({type(None), bool, float, str, bytes})

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode


def encode(value: Any, externals: Mapping[str, Any] | None = None) -> bytes:
    """The bytes of an object and all that it refers to.

    Args:
        externals: objects that are stored as their name, recognised by identity.

    Raises:
        StoreError: it holds something that is not decision state: a foreign class, a function, a file.
    """
    writer = _Writer({id(one): name for name, one in (externals or {}).items()})
    body = writer.plain(value, 0)
    return _encode([VERSION, [[one.name, list(one.fields)] for one in writer.table], body])


def decode(data: bytes, externals: Mapping[str, Any] | None = None) -> Any:
    """The object in these bytes.

    Raises:
        StoreError: they are damaged, larger or deeper than anything `encode` makes, of another version of the code, or
            name an external that is not given.
    """
    if len(data) > MAX_BYTES:
        raise StoreError(f"A stored state has {len(data)} bytes, more than {MAX_BYTES}.")
    try:
        version, table, body = _decode(data)
        if version != VERSION:
            raise StoreError(f"A stored state has version {version}, this program reads {VERSION}.")
        return _Reader([_known(name, fields) for name, fields in table], externals or {}).value(body, 0)
    except StoreError:
        raise
    except (msgspec.MsgspecError, ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise StoreError(f"A stored state is damaged: {error!r:.200}.") from error
    except (RecursionError, MemoryError) as error:
        raise StoreError("A stored state is too deep or too large.") from error


def _known(name: str, fields: list[str]) -> Shape:
    found = shape(name)
    if found is None or list(found.fields) != fields:
        raise StoreError(f"A stored state was written by another version: {str(name)[:80]} is not what it was.")
    return found


class _Writer:
    def __init__(self, externals: dict[int, str]) -> None:
        self._externals = externals
        self.table: list[Shape] = []
        self._rows: dict[type[Any], int] = {}
        self._met: dict[int, int] = {}
        # What was met must not be freed while its id stands for it.
        self._alive: list[Any] = []
        self._by_type: dict[type[Any], Callable[[Any, int], list[Any]]] = {
            list: lambda one, depth: [_Is.LIST, *(self.plain(item, depth) for item in one)],
            dict: self._dict,
            deque: lambda one, depth: [_Is.DEQUE, one.maxlen, *(self.plain(item, depth) for item in one)],
            set: lambda one, depth: [_Is.SET, *(self.plain(item, depth) for item in _ordered(one))],
            np.ndarray: _array,
        }

    def plain(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is int:
            return value if -_BIG <= value < _BIG else [_Is.INTEGER, str(value)]
        if depth > MAX_DEPTH:
            raise StoreError(f"A state is nested more than {MAX_DEPTH} deep.")
        if kind is tuple:
            return [_Is.TUPLE, *(self.plain(item, depth + 1) for item in value)]
        if (name := self._externals.get(id(value))) is not None:
            return [_Is.EXTERNAL, name]
        if isinstance(value, enum.Enum):
            if kind not in names():
                raise _foreign(value)
            return [_Is.ENUM, names()[kind], value.value]
        if isinstance(value, np.generic):
            return [_Is.SCALAR, value.dtype.str, value.tobytes()]
        if kind is frozenset:
            return [_Is.FROZEN, *(self.plain(item, depth + 1) for item in _ordered(value))]
        if (before := self._met.get(id(value))) is not None:
            return [_Is.AGAIN, before]
        self._met[id(value)] = len(self._met)
        self._alive.append(value)
        write = self._by_type.get(kind)
        return self._object(value, depth + 1) if write is None else write(value, depth + 1)

    def _dict(self, one: dict[Any, Any], depth: int) -> list[Any]:
        flat: list[Any] = [_Is.DICT]
        for key, item in one.items():
            flat += (self.plain(key, depth), self.plain(item, depth))
        return flat

    def _object(self, one: Any, depth: int) -> list[Any]:
        row = self._rows.get(type(one))
        if row is None:
            found = shape(names().get(type(one), ""))
            if found is None:
                raise _foreign(one)
            row = self._rows[found.cls] = len(self.table)
            self.table.append(found)
        its = self.table[row]
        if its.own:
            return [_Is.OBJECT, row, self.plain(one.__getstate__(), depth)]
        there = getattr(one, "__dict__", None)
        if there is not None and not its.made and not there.keys() <= set(its.fields):
            extra = ", ".join(sorted(there.keys() - set(its.fields)))
            raise StoreError(f"{its.name} keeps {extra}, which none of its methods sets: it could not be restored.")
        values = (getattr(one, name, _PENDING) for name in its.fields)
        return [_Is.OBJECT, row, *([_Is.ABSENT] if value is _PENDING else self.plain(value, depth) for value in values)]


class _Reader:
    def __init__(self, table: list[Shape], externals: Mapping[str, Any]) -> None:
        self._table = table
        self._externals = externals
        self._met: list[Any] = []

    def value(self, plain: Any, depth: int) -> Any:
        if type(plain) is not list:
            if isinstance(plain, dict):
                raise StoreError("A stored state is damaged: it holds a map.")
            return plain
        if depth > MAX_DEPTH:
            raise StoreError(f"A stored state is nested more than {MAX_DEPTH} deep.")
        depth += 1
        match plain[0]:
            case _Is.TUPLE:
                return tuple(self.value(item, depth) for item in plain[1:])
            case _Is.FROZEN:
                return frozenset(self.value(item, depth) for item in plain[1:])
            case _Is.SCALAR:
                return np.frombuffer(plain[2], _dtype(plain[1]), count=1)[0]
            case _Is.ENUM:
                return _enum(plain[1])(plain[2])
            case _Is.AGAIN:
                return self._again(plain[1])
            case _Is.EXTERNAL:
                if plain[1] not in self._externals:
                    raise StoreError(f"A stored state needs {str(plain[1])[:80]}, which is not given.")
                return self._externals[plain[1]]
            case _Is.ABSENT:
                return _PENDING
            case _Is.INTEGER:
                return int(plain[1]) if len(plain[1]) < 100 else _bad("a number is too long")
        place = len(self._met)
        self._met.append(_PENDING)
        made: Any
        match plain[0]:
            case _Is.LIST:
                made = self._met[place] = []
                made.extend(self.value(item, depth) for item in plain[1:])
            case _Is.DICT:
                made = self._met[place] = {}
                flat = iter(plain[1:])
                for key in flat:
                    # The key first, as it was written.
                    read = self.value(key, depth)
                    made[read] = self.value(next(flat), depth)
            case _Is.DEQUE:
                made = self._met[place] = deque(maxlen=plain[1])
                made.extend(self.value(item, depth) for item in plain[2:])
            case _Is.SET:
                made = self._met[place] = set()
                made.update(self.value(item, depth) for item in plain[1:])
            case _Is.ARRAY:
                made = self._met[place] = _array_of(*plain[1:])
            case _Is.OBJECT:
                made = self._object(self._table[plain[1]], plain[2:], place, depth)
            case _:
                _bad(f"there is no kind {plain[0]!r:.40}")
        return made

    def _object(self, shape: Shape, values: list[Any], place: int, depth: int) -> Any:
        if shape.made:
            given = dict(zip(shape.fields, self._fields(shape, values, depth), strict=True))
            made = self._met[place] = shape.cls(**given)
            return made
        made = self._met[place] = object.__new__(shape.cls)
        if shape.own:
            made.__setstate__(self.value(values[0], depth))
            return made
        for name, value in zip(shape.fields, self._fields(shape, values, depth), strict=True):
            if value is not _PENDING:
                setattr(made, name, value)
        return made

    def _fields(self, shape: Shape, values: list[Any], depth: int) -> list[Any]:
        if len(values) != len(shape.fields):
            _bad(f"a {shape.name} has {len(values)} fields")
        return [self.value(item, depth) for item in values]

    def _again(self, place: int) -> Any:
        if not 0 <= place < len(self._met) or self._met[place] is _PENDING:
            _bad("it refers to what is not there")
        return self._met[place]


def _ordered(values: Any) -> list[Any]:
    """A set in an order that does not depend on the process's seed of hashes."""
    return sorted(values, key=repr)


def _array(one: np.ndarray[Any, Any], _: int) -> list[Any]:
    if one.dtype.kind not in _KINDS:
        raise StoreError(f"An array of {one.dtype} is not stored.")
    # The order in memory is kept too: sums over an array depend on it in the last bit.
    order: Literal["C", "F"] = "F" if one.flags.f_contiguous and not one.flags.c_contiguous else "C"
    return [_Is.ARRAY, one.dtype.str, order, list(one.shape), one.tobytes(order)]


def _array_of(dtype: str, order: str, shape: list[int], data: bytes) -> Any:
    kind = _dtype(dtype)
    if order not in ("C", "F") or not all(isinstance(n, int) and n >= 0 for n in shape) or len(shape) > 8:
        _bad("an array has no shape")
    if prod(shape) * kind.itemsize != len(data):
        _bad("an array has another size than its shape")
    flat = np.frombuffer(data, kind).copy()
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _enum(name: str) -> type[enum.Enum]:
    found = classes().get(name)
    return found if found is not None and issubclass(found, enum.Enum) else _bad("there is no such enumeration")


def _dtype(name: str) -> np.dtype[Any]:
    kind = np.dtype(str(name)[:8])
    if kind.kind not in _KINDS:
        _bad("an array has no numbers")
    return kind


def _foreign(value: Any) -> StoreError:
    kind = type(value)
    return StoreError(f"A {kind.__module__}.{kind.__qualname__} is not decision state and can not be stored.")


def _bad(why: str) -> Any:
    raise StoreError(f"A stored state is damaged: {why}.")

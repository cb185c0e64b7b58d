"""A configuration before it has types: nested values, each with the place that it was written at."""

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

Scalar = str | int | float | bool | None


class Node(Struct, eq=False):
    """One value and where it comes from.

    Attributes:
        value: a mapping from key to node, a list of nodes, or a scalar.
        place: "file:line", "--set key" or the name of an environment variable.
    """

    value: "dict[str, Node] | list[Node] | Scalar"
    place: str

    @property
    def map(self) -> "dict[str, Node]":
        """The mapping; empty when this is none."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> "list[Node]":
        """The list; empty when this is none."""
        return self.value if isinstance(self.value, list) else []

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def leaves(self, path: tuple[str, ...] = ()) -> "Iterator[tuple[tuple[str, ...], Node]]":
        """Every scalar, list and empty mapping below, with its path."""
        if isinstance(self.value, dict) and self.value:
            for key, node in self.value.items():
                yield from node.leaves((*path, key))
        else:
            yield path, self

    def get(self, *path: str) -> "Node | None":
        """The node at `path`, or None."""
        node: Node | None = self
        for key in path:
            node = node.map.get(key) if node is not None else None
        return node


def shown(text: object) -> str:
    """A key or value as part of a one-line sentence: no control characters, not longer than 60 characters."""
    whole = str(text)
    if not whole.isprintable():
        whole = ascii(whole)[1:-1]
    return whole if len(whole) <= 60 else whole[:57] + "..."


def grown(value: Any, place: str) -> Node:
    """Plain values as nodes that all come from `place`."""
    if isinstance(value, dict):
        return Node({str(key): grown(one, place) for key, one in value.items()}, place)
    if isinstance(value, list | tuple):
        return Node([grown(one, place) for one in value], place)
    return Node(value, place)


def put(node: Node, path: tuple[str, ...], value: Node) -> None:
    """Set the value at `path`, making mappings on the way. Raises KeyError where something else is in the way.

    An item of a list is named by its number or by its `name`; it must be there.
    """
    key, rest = path[0], path[1:]
    if isinstance(node.value, list):
        at = _item(node.value, key)
        if rest:
            put(node.value[at], rest, value)
        else:
            node.value[at] = value
        return
    if node.value is None:
        node.value = {}  # a section's name with nothing below it
    if not isinstance(node.value, dict):
        raise KeyError(key)
    if rest:
        put(node.value.setdefault(key, Node({}, value.place)), rest, value)
    else:
        node.value[key] = value


def _item(nodes: list[Node], key: str) -> int:
    for at, node in enumerate(nodes):
        name = node.map.get("name")
        if name is not None and name.value == key:
            return at
    if key.isdecimal() and int(key) < len(nodes):
        return int(key)
    raise KeyError(key)

"""YAML with line numbers: safe types only, duplicate keys refused."""

import re
from typing import Final

import yaml

from chronotick.config.tree import Node, shown

# YAML 1.1 reads `1e-6` and `5e3` as text, because its floats need a point.
_EXPONENT: Final = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+")


def parse(text: str, name: str) -> tuple[Node, tuple[str, ...]]:
    """The document as a tree, and one sentence for each thing that is wrong with its form.

    `name` is what places call the file. An empty document is an empty mapping.
    """
    loader = yaml.CSafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return Node({}, f"{name}:1"), ()
        reader = _Reader(loader, name)
        tree = reader.read(root, f"{name}:{root.start_mark.line + 1}", ())
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        return Node({}, f"{name}:1"), (f"{name}:{line}: this is not YAML: {error.problem}.",)
    except yaml.YAMLError as error:
        return Node({}, f"{name}:1"), (f"{name}:1: this is not YAML: {' '.join(str(error).split())}.",)
    finally:
        loader.dispose()
    if not isinstance(tree.value, dict):
        return Node({}, tree.place), (f"{tree.place}: a configuration is a mapping of keys to values.",)
    return tree, tuple(reader.problems)


class _Reader:
    def __init__(self, loader: yaml.CSafeLoader, name: str) -> None:
        self._loader = loader
        self._name = name
        self.problems: list[str] = []

    def read(self, node: yaml.Node, place: str, inside: tuple[int, ...]) -> Node:
        """`place` is that of the key, where there is one: an error is best shown on the key's line."""
        if id(node) in inside:
            self.problems.append(f"{place}: this alias contains itself.")
            return Node(None, place)
        inside = (*inside, id(node))
        if isinstance(node, yaml.MappingNode):
            return Node(self._mapping(node, inside), place)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.read(one, self._place(one), inside) for one in node.value], place)
        if isinstance(node, yaml.ScalarNode) and not node.style and _EXPONENT.fullmatch(node.value):
            return Node(float(node.value), place)
        try:
            value = self._loader.construct_object(node, deep=True)
        except (yaml.constructor.ConstructorError, ValueError):
            self.problems.append(f"{place}: a value with the tag {node.tag} is not accepted.")
            return Node(None, place)
        # Dates and binary are legal YAML, but no key of ours takes them: as text they are refused with their key.
        return Node(value if isinstance(value, str | int | float | bool | None) else str(node.value), place)

    def _mapping(self, node: yaml.MappingNode, inside: tuple[int, ...]) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                self.problems.append(f"{place}: a key must be a plain word.")
                continue
            key = str(key_node.value)
            if key in found:
                self.problems.append(f"{place}: `{shown(key)}` was already given at {found[key].place}.")
                continue
            found[key] = self.read(value_node, place, inside)
        return found

    def _place(self, node: yaml.Node) -> str:
        return f"{self._name}:{node.start_mark.line + 1}"

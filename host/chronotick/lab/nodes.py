"""What the random functions of time share: they are drawn from node to node, as far as they are asked for."""

from chronotick.errors import LabError

CHUNK = 1024
"""Nodes drawn at a time: part of the definition of the random functions, like the seed."""

NODES_MAX = 4_000_000
"""Some 300 MB of nodes; a question beyond is a mistake, such as an instant of another boot."""


def refuse_beyond(nodes: int) -> None:
    """Refuse to draw on for ever.

    Raises:
        LabError: there are too many nodes already.
    """
    if nodes > NODES_MAX:
        raise LabError(
            "An instant was asked for that lies absurdly far after the lab's start.",
            mend="Ask with the raw clock of the boot in which the lab was started.",
        )

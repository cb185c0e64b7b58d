"""A model's pass ends between its layers once nobody waits for it."""

from collections.abc import Callable
from typing import Any

import pytest

from chronotick.sdk import Cancelled
from chronotick.sdk.giving_up import GivingUp


def run(layers: list["Layer"]) -> None:
    """A forward pass."""
    for layer in layers:
        layer()


class Layer:
    """What is used of a torch module."""

    def __init__(self) -> None:
        self.runs = 0
        self._hooks: list[Callable[..., Any]] = []

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> None:
        self._hooks.append(hook)

    def __call__(self) -> None:
        for hook in self._hooks:
            assert hook(self, ()) is None, "a value would take the place of the layer's input"
        self.runs += 1


@pytest.fixture
def layers() -> list[Layer]:
    return [Layer() for _ in range(3)]


def test_a_pass_that_is_wanted_runs_through(layers: list[Layer]) -> None:
    with GivingUp(layers).once(lambda: False):
        run(layers)
    assert [layer.runs for layer in layers] == [1, 1, 1]


def test_a_pass_that_is_not_wanted_any_more_ends_before_the_next_layer(layers: list[Layer]) -> None:
    with pytest.raises(Cancelled), GivingUp(layers).once(lambda: layers[0].runs > 0):
        run(layers)
    assert [layer.runs for layer in layers] == [1, 0, 0]


def test_nothing_is_left_of_it_afterwards(layers: list[Layer]) -> None:
    giving_up = GivingUp(layers)
    with pytest.raises(Cancelled), giving_up.once(lambda: True):
        layers[0]()
    layers[0]()
    assert layers[0].runs == 1

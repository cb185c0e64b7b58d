"""Models that are not used are let go of, and come back."""

import asyncio
from collections.abc import Callable

import pytest

from chronotick.config.schema import PluginConfig
from chronotick.plugins.manifest import Manifest
from chronotick.plugins.rest import Rest
from chronotick.plugins.states import State
from chronotick.plugins.types import Answer, Refusal

from .conftest import HostFactory, run_async

S = 10**9


@pytest.fixture
def rest() -> Rest:
    one = Rest(after_s=10.0, back_s=100.0)
    one.is_ready(True, 0)
    return one


def test_one_that_is_not_asked_is_let_go_of_and_comes_back_when_it_is_wanted(rest: Rest) -> None:
    rest.asked(5 * S)
    assert rest.let_go(14 * S) == ""
    assert "was not asked for 10 s" in rest.let_go(15 * S)
    assert not rest.back(1000 * S, wanted=False)
    assert rest.back(16 * S, wanted=True)


def test_one_without_weight_is_let_go_of_and_gets_another_trial_later(rest: Rest) -> None:
    """Whoever is asked and never listened to is let go of, and being wanted does not bring it back earlier."""
    for second in range(1, 11):
        rest.asked(second * S)
        rest.weighed(0.5 if second <= 3 else 0.0, second * S)
    assert rest.let_go(12 * S) == ""
    rest.asked(13 * S)
    assert "had no weight for 10 s" in rest.let_go(13 * S)
    assert not rest.back(112 * S, wanted=True)
    assert rest.back(113 * S, wanted=False)
    # A new life has new clocks.
    rest.is_ready(False, 113 * S)
    rest.is_ready(True, 120 * S)
    assert rest.let_go(129 * S) == ""


def test_where_nobody_weighs_only_asking_counts(rest: Rest) -> None:
    rest.asked(100 * S)
    assert rest.let_go(105 * S) == ""


def test_never_is_the_default() -> None:
    one = Rest(PluginConfig(name="echo").unload_after_s, PluginConfig(name="echo").reload_after_s)
    one.is_ready(True, 0)
    one.weighed(0.0, 0)
    assert one.let_go(10**6 * S) == ""


def test_an_idle_process_ends_and_a_question_brings_it_back(echo: Callable[..., Manifest], host: HostFactory) -> None:
    """Idle: STOPPED without a process, and it says why. Asked: a refusal at once, then READY and an answer."""

    async def scene() -> None:
        config = PluginConfig(name="echo", unload_after_s=0.3)
        async with host(echo(), configs=(config,)) as one:
            await one.reaches("echo", State.READY)
            view = await one.reaches("echo", State.STOPPED)
            assert (view.pid, view.restarts) == (None, 0)
            assert "was not asked for 0.3 s" in view.detail
            refused = await one.ask("echo")
            assert isinstance(refused, Refusal)
            assert refused.code == "not_ready"
            await one.reaches("echo", State.READY, times=2)
            assert isinstance(await one.ask("echo"), Answer)

    run_async(scene())


def test_a_process_without_weight_ends_and_comes_back_by_itself(
    echo: Callable[..., Manifest], host: HostFactory
) -> None:
    async def scene() -> None:
        config = PluginConfig(name="echo", unload_after_s=0.3, reload_after_s=0.2)
        async with host(echo(), configs=(config,)) as one:
            await one.reaches("echo", State.READY)
            while State.STOPPED not in one.path("echo"):
                # Somebody asks it all the time, and never listens.
                await one.ask("echo")
                await asyncio.sleep(0.01)
                one.supervisor.note_use({"echo": 0.0}, {"echo"})
            assert "had no weight" in one.view("echo").detail
            view = await one.reaches("echo", State.READY, times=2)
            assert view.restarts == 1

    run_async(scene())

"""A real plugin process with every fault that it can be given: the state it ends in, and how the asker fares."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import msgspec
import psutil

from chronotick.config.schema import PluginConfig
from chronotick.plugins.backoff import BackoffPolicy
from chronotick.plugins.manifest import Manifest
from chronotick.plugins.states import State
from chronotick.plugins.types import Answer, Timing

HostFactory = Callable[..., Any]
Echo = Callable[..., Manifest]
UP = [State.STARTING, State.CONNECTED, State.LOADING, State.READY]
# Hears a silence soon. Elsewhere a busy machine must not look like a silent plugin.
SHARP = Timing(heartbeat_s=0.1, missed=3, strikes=3, watch_s=0.1)
# Does not start anything a second time.
PATIENT = BackoffPolicy(first_s=600.0)
HELD = [State.DEAD, State.STOPPED]


def run(test: Any) -> None:
    asyncio.run(asyncio.wait_for(test, 100))


def test_a_healthy_plugin_becomes_ready_answers_and_ends_cleanly(host: HostFactory, echo: Echo) -> None:
    async def scene() -> None:
        async with host(echo()) as h:
            view = await h.reaches("echo", State.READY)
            assert view.capabilities.model_id == "echo/hold"
            assert (view.pid, view.restarts, view.progress) == (h.view("echo").pid, 0, 1.0)
            answer = await h.ask("echo", series=3)
            assert isinstance(answer, Answer)
            assert answer.quantiles.shape == (3, 3, 4)
            assert (answer.quantiles[:, 1, :] == 63.0).all()
            assert 0 <= answer.infer_ms <= answer.total_ms
            view = h.view("echo")
            assert (view.served, view.queue, view.refused, view.stray) == (1, 0, {}, 0)
            assert view.p50_ms == answer.total_ms
        assert h.path("echo") == UP + HELD

    run(scene())


def test_plugins_that_fail_before_they_are_ready_end_in_the_state_of_the_table_and_say_why(
    host: HostFactory, echo: Echo
) -> None:
    started, loading = UP[:1], UP[:3]
    again, never, broken = [State.DEAD, State.BACKOFF], [State.DEAD, State.INCOMPATIBLE], [State.DEAD, State.ENV_BROKEN]
    expected = {
        "crash_start": (started + again, "was killed by signal 9"),
        "exit_start=70": (started + again, "had an internal error"),
        "exit_start=0": (started + again, "stopped by itself"),
        "exit_start=78": (started + never, "asked not to be restarted"),
        "wrong_version": (started + never, "the peer offers 99"),
        "wrong_magic": (started + never, "speaks major version 9"),
        "wrong_token": (started + never, "token of p6"),
        "wrong_name": (started + never, "says it is impostor"),
        "crash_load": (loading + again, "was killed by signal 6"),
        "exit_load=1": (loading + again, "died (exit code 1)"),
        "oom_load": (loading + again, "MemoryError"),
        "load_failed": (loading + again, "The weights' server did not answer"),
        "weights_missing": (loading + broken, "There are no weights"),
        "device_missing": (loading + broken, "There is no device cuda:0"),
    }

    async def scene() -> None:
        manifests = [echo(f"p{k}", fault) for k, fault in enumerate(expected)]
        async with host(*manifests, backoff=PATIENT) as h:
            for manifest, (fault, (path, told)) in zip(manifests, expected.items(), strict=True):
                view = await h.reaches(manifest.name, path[-1])
                went = h.path(manifest.name)
                # One that dies just when it says that it loads may not be heard.
                unheard = [state for state in path if state is not State.LOADING]
                assert went == path or (went == unheard and fault in ("crash_load", "exit_load=1")), fault
                assert told in view.detail, fault
                assert view.mend or path[-1] is State.BACKOFF, fault
                assert (await h.ask(manifest.name)).code == "not_ready"
            assert h.view("p13").mend == "Set device: cpu"

    run(scene())


def test_ready_plugins_that_fail_give_one_prompt_refusal_and_take_the_way_of_the_table(
    host: HostFactory, echo: Echo
) -> None:
    again, suspect = [State.DEAD, State.BACKOFF], [State.SUSPECT]
    expected = {
        # Dies, or fails so that it is started anew.
        "crash": ("plugin_died", again),
        "exit=70": ("plugin_died", again),
        "exit=78": ("plugin_died", [State.DEAD, State.INCOMPATIBLE]),
        "oom": ("out_of_memory", again),
        "oom_torch": ("out_of_memory", again),
        # Computes for ever: suspect at the deadline, ended when its grace is over.
        "hang": ("deadline_exceeded", suspect + again),
        "hang_gil": ("deadline_exceeded", suspect + again),
        "deaf": ("deadline_exceeded", suspect + again),
        "mute": ("deadline_exceeded", suspect + again),
        # Late or lost: suspect, and then trusted again.
        "slow=1.5": ("deadline_exceeded", [State.SUSPECT, State.READY]),
        "late=0.5": ("deadline_exceeded", [State.SUSPECT, State.READY]),
        "garbage": ("deadline_exceeded", [State.SUSPECT, State.READY]),
        # Bad output is refused, whoever notices it.
        "nan": ("bad_output", []),
        "raw_nan": ("bad_output", []),
        "raw_crossing": ("bad_output", []),
        "raw_shape": ("bad_output", []),
    }

    async def scene() -> None:
        manifests = [with_limit(echo(f"p{k}", fault), hang_s=1.5) for k, fault in enumerate(expected)]
        async with host(*manifests, backoff=PATIENT) as h:
            for manifest in manifests:
                await h.reaches(manifest.name, State.READY)
            began = time.monotonic()
            replies = await asyncio.gather(*(h.ask(manifest.name, within_s=1.0) for manifest in manifests))
            # At the deadline at the latest; the margin is for a busy machine.
            assert time.monotonic() - began < 1.0 + 3.0
            got = {fault: getattr(reply, "code", reply) for fault, reply in zip(expected, replies, strict=True)}
            assert got == {fault: code for fault, (code, _) in expected.items()}
            for manifest, (fault, (code, path)) in zip(manifests, expected.items(), strict=True):
                if path:
                    await h.reaches(manifest.name, path[-1], times=2 if path[-1] is State.READY else 1)
                # A heartbeat may notice the lost connection before the end of the process is known.
                noticed = [State.SUSPECT, *path] if code == "plugin_died" else path
                assert h.path(manifest.name)[4:] in (path, noticed), fault
                assert h.view(manifest.name).refused == {code: 1}
                assert h.view(manifest.name).served == 0

    run(scene())


def test_an_answer_given_twice_is_used_once_and_counted(host: HostFactory, echo: Echo) -> None:
    async def scene() -> None:
        async with host(echo("echo", "double")) as h:
            await h.reaches("echo", State.READY)
            answers = [await h.ask("echo") for _ in range(3)]
            assert all(isinstance(answer, Answer) for answer in answers)
            assert h.view("echo").served == 3
            # The second answer comes right behind the first, so before the next first one.
            assert h.view("echo").stray >= 2
            assert h.path("echo") == UP

    run(scene())


def test_several_bad_answers_in_a_row_end_in_a_restart_and_a_good_one_between_them_does_not(
    host: HostFactory, echo: Echo
) -> None:
    async def scene() -> None:
        async with host(echo("echo", "raw_nan")) as h:
            await h.reaches("echo", State.READY)
            for _ in range(3):
                assert (await h.ask("echo")).code == "bad_output"
            view = await h.reaches("echo", State.BACKOFF)
            assert "failed 3 times in a row, at last with bad_output" in view.detail

    run(scene())


def test_a_plugin_that_never_speaks_is_ended_at_its_start_time_out(host: HostFactory, echo: Echo) -> None:
    async def scene() -> None:
        async with host(with_limit(echo("echo", "silent_start"), start_timeout_s=1.0)) as h:
            view = await h.reaches("echo", State.BACKOFF)
            assert h.path("echo") == [State.STARTING, State.DEAD, State.BACKOFF]
            assert "was not READY within 1 s" in view.detail

    run(scene())


def test_a_plugin_that_never_finishes_loading_is_ended_at_its_start_time_out(host: HostFactory, echo: Echo) -> None:
    async def scene() -> None:
        async with host(with_limit(echo("echo", "hang_load"), start_timeout_s=2.0)) as h:
            await h.reaches("echo", State.BACKOFF)
            assert h.path("echo")[-2:] == [State.DEAD, State.BACKOFF]
            assert State.READY not in h.path("echo")

    run(scene())


def test_a_plugin_that_answers_no_ping_is_suspect_and_then_ended(host: HostFactory, echo: Echo) -> None:
    async def scene() -> None:
        async with host(echo("echo", "no_pong"), timing=SHARP) as h:
            view = await h.reaches("echo", State.SUSPECT)
            assert "has not answered 3 pings" in view.detail
            assert (await h.ask("echo")).code == "not_ready"
            await h.reaches("echo", State.BACKOFF)

    run(scene())


def test_a_stopped_process_is_suspect_and_trusted_again_when_it_goes_on(host: HostFactory, echo: Echo) -> None:
    async def scene() -> None:
        async with host(with_limit(echo(), hang_s=30.0), timing=SHARP) as h:
            pid = (await h.reaches("echo", State.READY)).pid
            os.kill(pid, signal.SIGSTOP)
            await h.reaches("echo", State.SUSPECT)
            os.kill(pid, signal.SIGCONT)
            await h.reaches("echo", State.READY, times=2)
            assert isinstance(await h.ask("echo"), Answer)
            assert h.view("echo").pid == pid

    run(scene())


def test_a_killed_process_refuses_what_is_in_flight_at_once_and_comes_back(host: HostFactory, echo: Echo) -> None:
    async def scene() -> None:
        async with host(echo("echo", "slow=30")) as h:
            pid = (await h.reaches("echo", State.READY)).pid
            asking = [asyncio.create_task(h.ask("echo", within_s=60)) for _ in range(3)]
            await asyncio.sleep(0)
            assert h.view("echo").queue == 3
            os.kill(pid, signal.SIGKILL)
            refusals = await asyncio.wait_for(asyncio.gather(*asking), 10)
            assert [refused.code for refused in refusals] == ["plugin_died"] * 3
            view = await h.reaches("echo", State.READY, times=2)
            assert view.pid != pid
            assert view.restarts == 1

    run(scene())


def test_a_plugin_that_dies_too_often_is_quarantined_and_a_restart_leads_out(host: HostFactory, echo: Echo) -> None:
    async def scene() -> None:
        async with host(echo("echo", "exit_start=70")) as h:
            view = await h.reaches("echo", State.QUARANTINED)
            assert h.path("echo").count(State.STARTING) == 3
            assert "died 3 times in 10 min" in view.detail
            assert "plugins restart echo" in view.mend
            h.supervisor.restart("echo")
            await h.reaches("echo", State.BACKOFF, times=3)

    run(scene())


def test_a_running_plugin_is_started_anew_on_request_without_waiting(host: HostFactory, echo: Echo) -> None:
    async def scene() -> None:
        async with host(echo()) as h:
            pid = (await h.reaches("echo", State.READY)).pid
            h.supervisor.restart("echo")
            view = await h.reaches("echo", State.READY, times=2)
            assert view.pid != pid
            assert not psutil.pid_exists(pid)

    run(scene())


def test_a_plugin_that_ignores_shutdown_is_killed_when_its_time_is_over(host: HostFactory, echo: Echo) -> None:
    async def scene() -> None:
        async with host(with_limit(echo("echo", "ignore_shutdown"), shutdown_s=0.5)) as h:
            pid = (await h.reaches("echo", State.READY)).pid
        assert h.path("echo") == UP + HELD
        assert not psutil.pid_exists(pid)

    run(scene())


def test_ready_without_what_the_manifest_claims_is_incompatible(host: HostFactory, echo: Echo) -> None:
    async def scene() -> None:
        async with host(echo("echo", claims="context_max = 4096")) as h:
            view = await h.reaches("echo", State.INCOMPATIBLE)
            assert "claims context_max = 4096, READY says 2048" in view.detail
            assert State.READY not in h.path("echo")

    run(scene())


def test_a_plugin_above_its_memory_limit_is_started_anew(host: HostFactory, echo: Echo) -> None:
    async def scene() -> None:
        async with host(echo("echo", "leak=200", limits="memory_mb = 200")) as h:
            await h.reaches("echo", State.READY)
            await h.ask("echo")
            view = await h.reaches("echo", State.BACKOFF)
            assert "its limit is 200 MB" in view.detail

    run(scene())


def test_a_command_that_does_not_exist_is_told_and_tried_again(host: HostFactory, echo: Echo) -> None:
    async def scene() -> None:
        async with host(echo("echo", argv='["/nonexistent/python"]')) as h:
            view = await h.reaches("echo", State.BACKOFF)
            assert "can not be started" in view.detail
            assert "/nonexistent/python" in view.detail

    run(scene())


def test_refusals_before_asking_are_at_once_and_reach_no_plugin(host: HostFactory, echo: Echo) -> None:
    async def scene() -> None:
        async with host(echo("echo", "slow=20")) as h:
            await h.reaches("echo", State.READY)
            assert (await h.ask("nobody")).code == "not_ready"
            assert (await h.ask("echo", within_s=-1)).code == "deadline_exceeded"
            assert (await h.ask("echo", horizon=9999)).code == "bad_horizon"
            assert (await h.ask("echo", points=3)).code == "bad_window"
            assert (await h.ask("echo", levels=(0.9, 0.1))).code == "bad_levels"
            assert (await h.ask("echo", levels=(0.123,))).code == "bad_levels"
            asking = [asyncio.create_task(h.ask("echo", within_s=60)) for _ in range(4)]
            await asyncio.sleep(0)
            assert h.view("echo").queue == 4
            assert (await h.ask("echo")).code == "busy"
            for task in asking:
                task.cancel()
            assert [type(one) for one in await asyncio.gather(*asking, return_exceptions=True)] == [
                asyncio.CancelledError
            ] * 4
            assert h.view("echo").queue == 0
            os.kill(h.view("echo").pid, signal.SIGKILL)

    run(scene())


def test_parameters_reach_the_plugin(host: HostFactory, echo: Echo) -> None:
    async def scene() -> None:
        config = PluginConfig(name="echo", device="cpu:7", params={"mode": "seasonal", "period": 2})
        async with host(echo(), configs=(config,)) as h:
            view = await h.reaches("echo", State.READY)
            assert (view.capabilities.model_id, view.capabilities.device) == ("echo/seasonal", "cpu:7")
            answer = await h.ask("echo")
            assert list(answer.quantiles[0, 1]) == [62.0, 63.0, 62.0, 63.0]

    run(scene())


def test_one_plugin_is_ready_and_answers_while_all_others_fail_around_it(host: HostFactory, echo: Echo) -> None:
    faults = {
        "crashes": "crash",
        "hangs": "hang",
        "lies": "raw_nan",
        "raves": "garbage",
        "prints": "prints",
        "refuses": "weights_missing",
        "dies": "exit_start=70",
    }

    async def scene() -> None:
        async with host(echo("sane"), *(echo(name, fault) for name, fault in faults.items())) as h:
            await h.reaches("sane", State.READY)
            for name in ("crashes", "hangs", "lies", "raves", "prints"):
                await h.reaches(name, State.READY)
            asking = [asyncio.create_task(h.ask(name, within_s=0.3)) for name in faults]
            for _ in range(20):
                answer = await h.ask("sane")
                assert isinstance(answer, Answer), answer
                await asyncio.sleep(0.05)
            codes = {name: getattr(await task, "code", "answered") for name, task in zip(faults, asking, strict=True)}
            assert codes == {
                "crashes": "plugin_died",
                "hangs": "deadline_exceeded",
                "lies": "bad_output",
                "raves": "deadline_exceeded",
                "prints": "answered",
                "refuses": "not_ready",
                "dies": "not_ready",
            }
            await h.reaches("dies", State.QUARANTINED)
            assert h.path("sane") == UP
            assert h.view("sane").restarts == 0

    run(scene())


def with_limit(manifest: Manifest, **limits: float) -> Manifest:
    """The manifest with other limits."""
    return msgspec.structs.replace(manifest, limits=msgspec.structs.replace(manifest.limits, **limits))

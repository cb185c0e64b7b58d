"""A plugin process from hello to bye, as the host sees it. The plugin is the fake one; everything else is real."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from chronotick.sdk.tiny_host import HOST_INSTANCE, Failed, TinyHost
from chronotick.wire.launch import ENDPOINT, LIFELINE_FD
from chronotick.wire.messages import (
    Bye,
    Cancel,
    Error,
    ForecastOk,
    Hello,
    Ping,
    Pong,
    Shutdown,
    Status,
)

from .conftest import WAIT_S, command, request

Make = Callable[..., TinyHost]


def code(message: ForecastOk | Error) -> str:
    return message.code if isinstance(message, Error) else "forecast_ok"


def ping(host: TinyHost) -> Pong:
    host.send(Ping(seq=1, sent_ns=1, host_instance=HOST_INSTANCE))
    return host.expect(Pong, 0.5)


def pong_of(host: TinyHost, busy_id: int | None) -> Pong:
    """The first pong that says that this request is being computed, which starts a moment after the message came."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        host.send(Ping(seq=5, sent_ns=7, host_instance=HOST_INSTANCE))
        pong = host.expect(Pong, WAIT_S)
        if pong.busy_id == busy_id:
            return pong
    raise AssertionError(f"busy_id was never {busy_id}")


def test_the_plugin_speaks_first_and_reports_its_way_to_ready(plugin: Make) -> None:
    host = plugin()
    host.start()
    hello = host.hello(WAIT_S)
    assert host.process is not None
    assert (hello.name, hello.pid, hello.token) == ("echo", host.process.pid, host.token)
    assert hello.instance == host.instance
    assert hello.protocols == ((1, 0),)
    assert "numpy" in hello.packages
    host.welcome()
    seen = host.ready(WAIT_S)
    states = list(dict.fromkeys(status.state for status in seen))
    assert states == ["loading", "warming", "ready"]
    assert seen[-1].progress == 1.0
    offered = seen[-1].capabilities
    assert offered is not None
    assert offered.warm_ms > 0
    assert offered.rss_bytes > 1_000_000


def test_a_forecast_is_answered_with_what_the_model_says(sound: TinyHost) -> None:
    sound.send(request(1))
    answer = sound.answer(1, WAIT_S)
    assert isinstance(answer, ForecastOk)
    # The window ends at 15 s; the next points are at 16, 17 and 18 s.
    assert answer.quantiles.tolist() == [[[37.0, 39.0, 41.0], [37.0, 39.0, 41.0]]]
    assert answer.mean is not None
    assert answer.model_id == "echo/oracle"
    assert answer.infer_ms > 0


def test_ping_is_answered_while_a_forecast_is_computed(ready: Make) -> None:
    host = ready("slow=1")
    host.send(request(1))
    pong = pong_of(host, busy_id=1)
    assert (pong.seq, pong.sent_ns, pong.state, pong.served) == (5, 7, "ready", 0)
    assert code(host.answer(1, WAIT_S)) == "forecast_ok"
    pong = pong_of(host, busy_id=None)
    assert pong.served == 1
    assert pong.rss_bytes > 1_000_000


def test_a_running_forecast_that_listens_is_cancelled(patient: TinyHost) -> None:
    patient.send(request(1))
    pong_of(patient, busy_id=1)
    patient.send(Cancel(id=1))
    assert code(patient.answer(1, WAIT_S)) == "cancelled"


def test_a_forecast_that_does_not_listen_is_answered_as_cancelled_all_the_same(ready: Make) -> None:
    host = ready("slow=0.5")
    host.send(request(1))
    host.send(Cancel(id=1))
    assert code(host.answer(1, WAIT_S)) == "cancelled"
    host.send(Cancel(id=99))
    host.send(request(2))
    assert code(host.answer(2, WAIT_S)) == "forecast_ok"
    assert not [one for one in host.take_all(0.1) if isinstance(one, Error | ForecastOk)]


def test_a_waiting_forecast_is_cancelled_at_once(patient: TinyHost) -> None:
    patient.send(request(11))
    patient.send(request(12))
    patient.send(Cancel(id=12))
    assert code(patient.answer(12, WAIT_S)) == "cancelled"
    pong_of(patient, busy_id=11)
    patient.send(Cancel(id=11))
    assert code(patient.answer(11, WAIT_S)) == "cancelled"


def test_a_deadline_that_has_passed_on_arrival_is_refused(sound: TinyHost) -> None:
    sound.send(request(21, deadline_ns=time.monotonic_ns() - 1))
    assert code(sound.answer(21, WAIT_S)) == "deadline_exceeded"


def test_a_deadline_that_passes_in_the_queue_or_in_the_model_is_answered_as_such(ready: Make) -> None:
    host = ready("slow=1.5")
    host.send(request(1, deadline_ns=time.monotonic_ns() + 1_000_000_000))
    host.send(request(2, deadline_ns=time.monotonic_ns() + 200_000_000))
    assert code(host.answer(2, WAIT_S)) == "deadline_exceeded"
    assert code(host.answer(1, WAIT_S)) == "deadline_exceeded"


def test_a_model_that_listens_gives_up_at_the_deadline_and_says_so(patient: TinyHost) -> None:
    patient.send(request(22, deadline_ns=time.monotonic_ns() + 200_000_000))
    assert code(patient.answer(22, WAIT_S)) == "deadline_exceeded"


def test_the_queue_is_bounded(patient: TinyHost) -> None:
    taken, refused = range(31, 35), range(35, 37)
    for number in (*taken, *refused):
        patient.send(request(number))
    assert [code(patient.answer(number, WAIT_S)) for number in refused] == ["busy", "busy"]
    for number in taken:
        patient.send(Cancel(id=number))
    assert {code(patient.answer(number, WAIT_S)) for number in taken} == {"cancelled"}


def test_an_id_that_is_being_answered_is_not_taken_twice(ready: Make) -> None:
    host = ready("slow=0.5")
    host.send(request(1))
    host.send(request(1))
    complaint = host.expect(Error, WAIT_S)
    assert (complaint.code, complaint.id) == ("bad_message", None)
    assert code(host.answer(1, WAIT_S)) == "forecast_ok"


def test_before_it_is_ready_a_plugin_refuses(plugin: Make) -> None:
    host = plugin("slow_load=2")
    host.start()
    host.hello(WAIT_S)
    host.send(request(1))
    assert code(host.answer(1, WAIT_S)) == "not_ready"
    host.welcome()
    host.expect(Status, WAIT_S)
    host.send(request(2))
    assert code(host.answer(2, WAIT_S)) == "not_ready"


@pytest.mark.parametrize("fault", ["nan", "crossing", "shape"])
def test_bad_output_does_not_leave_the_plugin(ready: Make, fault: str) -> None:
    host = ready(fault)
    host.send(request(1))
    answer = host.answer(1, WAIT_S)
    assert isinstance(answer, Error)
    assert (answer.code, answer.retryable) == ("bad_output", False)


@pytest.mark.parametrize("fault", ["oom", "oom_torch"])
def test_lack_of_memory_has_its_own_code(ready: Make, fault: str) -> None:
    host = ready(fault)
    host.send(request(1))
    answer = host.answer(1, WAIT_S)
    assert isinstance(answer, Error)
    assert (answer.code, answer.retryable) == ("out_of_memory", True)
    assert answer.traceback is not None


def test_any_other_exception_is_internal_with_its_traceback_and_the_plugin_goes_on(ready: Make) -> None:
    host = ready("picky")
    host.send(request(1, np.ones(16)))
    answer = host.answer(1, WAIT_S)
    assert isinstance(answer, Error)
    assert (answer.code, answer.exc_type) == ("internal", "ZeroDivisionError")
    assert "faults.py" in (answer.traceback or "")
    host.send(request(2))
    assert code(host.answer(2, WAIT_S)) == "forecast_ok"


@pytest.mark.parametrize(
    ("fault", "params", "error", "exit_code"),
    [
        ("weights_missing", {}, "weights_missing", 78),
        ("device_missing", {}, "device_missing", 78),
        ("prints", {"mode": "magic"}, "load_failed", 78),
        ("load_failed", {}, "load_failed", 70),
        ("oom_load", {}, "out_of_memory", 70),
    ],
)
def test_a_load_that_fails_is_reported_and_the_exit_code_says_whether_to_try_again(
    plugin: Make, fault: str, params: dict[str, str | int | float | bool], error: str, exit_code: int
) -> None:
    host = plugin(fault)
    host.start()
    host.hello(WAIT_S)
    host.welcome(params)
    last = host.ready(WAIT_S)[-1]
    assert last.state == "failed"
    assert last.error is not None
    assert last.error.code == error
    assert last.error.retryable == (exit_code == 70)
    assert last.error.mend or exit_code == 70
    assert host.expect(Bye, WAIT_S).exit_code == exit_code
    assert host.wait_exit(WAIT_S) == exit_code


def test_shutdown_finishes_what_is_queued_and_takes_nothing_new(ready: Make) -> None:
    host = ready("slow=0.5")
    host.send(request(1))
    host.send(request(2))
    host.send(Shutdown(grace_ms=20_000))
    host.send(request(3))
    assert code(host.answer(3, WAIT_S)) == "draining"
    assert code(host.answer(1, WAIT_S)) == "forecast_ok"
    assert code(host.answer(2, WAIT_S)) == "forecast_ok"
    assert host.expect(Bye, WAIT_S).exit_code == 0
    assert host.wait_exit(WAIT_S) == 0


def test_when_the_grace_is_over_the_rest_is_refused(ready: Make) -> None:
    host = ready("hang")
    host.send(request(1))
    host.send(request(2))
    host.send(Shutdown(grace_ms=200))
    assert [code(host.answer(number, WAIT_S)) for number in (1, 2)] == ["draining", "draining"]
    assert host.wait_exit(WAIT_S) == 0


def test_shutdown_does_not_wait_for_loading(plugin: Make) -> None:
    host = plugin("hang_load")
    host.start()
    host.hello(WAIT_S)
    host.welcome()
    host.expect(Status, WAIT_S)
    host.send(Shutdown())
    assert host.wait_exit(WAIT_S) == 0


def test_sigterm_is_a_shutdown_even_while_computing(ready: Make) -> None:
    host = ready("slow=0.5")
    host.send(request(1))
    pong_of(host, busy_id=1)
    assert host.process is not None
    host.process.send_signal(signal.SIGTERM)
    assert code(host.answer(1, WAIT_S)) == "forecast_ok"
    assert host.wait_exit(WAIT_S) == 0


def test_the_plugin_goes_with_its_host_even_while_it_hangs(ready: Make) -> None:
    host = ready("hang")
    host.send(request(1))
    host.cut_lifeline()
    assert host.wait_exit(WAIT_S) == 75


def test_a_frozen_interpreter_does_not_outlive_its_host(ready: Make) -> None:
    """Nothing of Python can run then, so the kernel's timer ends the process."""
    host = ready("hang_gil", "frozen=2")
    host.send(request(1))
    pongs = iter(partial(ping, host), None)
    with pytest.raises(Failed):
        list(pongs)
    host.cut_lifeline()
    assert host.wait_exit(WAIT_S) == -signal.SIGALRM


def test_without_a_host_the_plugin_gives_up(plugin: Make) -> None:
    host = plugin()
    host.start(host_wait_s=0.3, endpoint=host.endpoint + ".absent")
    assert host.wait_exit(WAIT_S) == 69


def test_a_host_that_says_nothing_is_no_host(plugin: Make) -> None:
    host = plugin()
    host.start(host_wait_s=0.5)
    host.hello(WAIT_S)
    assert host.wait_exit(WAIT_S) == 69


def test_a_service_that_loses_its_host_says_hello_again_and_then_gives_up(plugin: Make) -> None:
    host = plugin()
    host.start(host_wait_s=2.0, lifeline=False)
    host.hello(WAIT_S)
    host.welcome(heartbeat_ms=100)
    host.ready(WAIT_S)
    assert host.hello(WAIT_S).instance == host.instance
    assert host.wait_exit(WAIT_S) == 69


def test_a_child_stays_with_a_silent_host_as_long_as_its_lifeline_holds(plugin: Make) -> None:
    host = plugin()
    host.start(host_wait_s=1.0)
    host.hello(WAIT_S)
    host.welcome(heartbeat_ms=100)
    host.ready(WAIT_S)
    for _ in range(2):
        host.hello(WAIT_S)
    host.send(request(1))
    assert code(host.answer(1, WAIT_S)) == "forecast_ok"


@pytest.mark.parametrize("refusal", ["bad_token", "version_mismatch", "bad_manifest"])
def test_a_plugin_that_the_host_refuses_does_not_come_back(plugin: Make, refusal: str) -> None:
    host = plugin()
    host.start()
    host.hello(WAIT_S)
    host.send(Error(code=refusal, message="No."))
    assert host.expect(Bye, WAIT_S).exit_code == 78
    assert host.wait_exit(WAIT_S) == 78


def test_a_new_host_gets_the_state_at_once_and_no_answers_meant_for_the_old_one(ready: Make) -> None:
    host = ready("slow=0.5")
    host.send(request(1))
    host.welcome(host_instance=HOST_INSTANCE + 1)
    status = host.expect(Status, WAIT_S)
    assert (status.state, status.capabilities is not None) == ("ready", True)
    host.send(request(2))
    assert code(host.answer(2, WAIT_S)) == "forecast_ok"
    assert not [one for one in host.take_all(0.1) if isinstance(one, Error | ForecastOk)]


def test_a_new_host_with_other_parameters_makes_the_plugin_start_anew(ready: Make) -> None:
    host = ready()
    host.welcome({"mode": "seasonal"}, host_instance=HOST_INSTANCE + 1)
    assert host.wait_exit(WAIT_S) == 75


def test_noise_on_standard_output_goes_aside(ready: Make) -> None:
    host = ready("prints")
    host.send(request(1))
    assert code(host.answer(1, WAIT_S)) == "forecast_ok"
    assert host.output("stdout") == ""
    assert "noise on standard output" in host.output("stderr")


def test_log_lines_are_json(sound: TinyHost) -> None:
    lines = [json.loads(line) for line in sound.output("stderr").splitlines()]
    assert lines
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)


@pytest.mark.parametrize(
    "environ", [{}, {ENDPOINT: "tcp://127.0.0.1:1"}, {ENDPOINT: "ipc:///tmp/x", LIFELINE_FD: "99"}]
)
def test_a_plugin_that_is_started_wrongly_says_what_to_do_and_does_not_come_back(environ: dict[str, str]) -> None:
    done = subprocess.run(command(), env={**os.environ, **environ}, capture_output=True, timeout=WAIT_S, check=False)
    assert done.returncode == 78
    assert json.loads(done.stderr)["level"] == "error"


def test_a_crash_is_a_crash(ready: Make) -> None:
    host = ready("crash=2")
    host.send(request(1))
    assert code(host.answer(1, WAIT_S)) == "forecast_ok"
    host.send(request(2))
    assert host.wait_exit(WAIT_S) == -signal.SIGABRT


def test_hello_is_not_repeated_to_a_host_that_knows_the_plugin(sound: TinyHost) -> None:
    # It may have said hello while no test spoke to it; a ping tells it that its host is still there.
    ping(sound)
    sound.take_all(0.0)
    ping(sound)
    assert not [one for one in sound.take_all(0.2) if isinstance(one, Hello)]

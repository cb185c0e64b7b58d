"""The conformance check: all green on a sound plugin, red in the right place on each broken one."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from chronotick.sdk.conformance import END_CHECKS, START_CHECKS, Check, Settings, check_plugin
from chronotick.sdk.conformance_model import MODEL_CHECKS

from .conftest import command

ALL = [*START_CHECKS, "ready", *MODEL_CHECKS, *END_CHECKS]

# Time-outs are what a broken plugin is waited for, so they are short; a sound one is far faster.
BROKEN = Settings(name="echo", start_timeout_s=20.0, answer_timeout_s=2.5, exit_timeout_s=2.5)

# Faults that are found out at once, by this check and before others could.
REDS = {
    "crash_start": "handshake",
    "wrong_token": "handshake",
    "wrong_name": "handshake",
    "wrong_version": "handshake",
    "exit_start=3": "host_absent",
    "weights_missing": "ready",
    "crash_load": "ready",
    "raw_nan": "shapes",
    "raw_crossing": "shapes",
    "raw_shape": "shapes",
    "nan": "shapes",
    "short": "shapes",
    "mute": "shapes",
    "garbage": "shapes",
    "crash": "shapes",
    "deaf": "shapes",
    "no_pong": "ping_while_busy",
}
# Faults that each fail one check and no other, however many there are.
TOGETHER = [
    {
        "agreeable": "wrong_version",
        "no_lifeline": "host_death",
        "flaky": "deterministic",
        "shrugs": "garbage",
        "loyal": "new_host",
        "ignore_shutdown": "clean_exit",
    },
    {
        "picky": "odd_windows",
        "unchecked": "refusals",
        "no_deadline": "deadline",
        "double": "one_answer_each",
        "leak": "memory",
    },
    {
        "peeks": "mask",
        "mixed": "batch",
        "unscaled": "scaling",
        "keeps_stdout": "stdout_clean",
        "prints": "stdout_clean",
    },
]


def verdicts(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.verdict for check in checks}


def test_a_sound_plugin_passes_every_check_in_order() -> None:
    checks = check_plugin(command(), Settings(name="echo"))
    assert [(check.name, check.verdict) for check in checks] == [(name, "pass") for name in ALL], checks
    assert all(check.sentence.endswith(".") for check in checks)


@pytest.fixture(scope="module")
def broken() -> Iterator[dict[str, Future[list[Check]]]]:
    """The checks of every broken plugin, by its faults. A few at a time: they mostly wait for what does not come."""
    with ThreadPoolExecutor(3) as pool:
        futures = {
            fault: pool.submit(check_plugin, command(fault), BROKEN, only=[name]) for fault, name in REDS.items()
        }
        futures |= {",".join(faults): pool.submit(check_plugin, command(*faults), BROKEN) for faults in TOGETHER}
        yield futures


@pytest.mark.parametrize(("fault", "name"), REDS.items())
def test_a_broken_plugin_fails_the_check_that_is_for_its_fault(
    broken: dict[str, Future[list[Check]]], fault: str, name: str
) -> None:
    checks = broken[fault].result()
    assert verdicts(checks)[name] == "fail", checks


@pytest.mark.parametrize("faults", TOGETHER)
def test_several_faults_fail_their_checks_and_no_other(
    broken: dict[str, Future[list[Check]]], faults: dict[str, str]
) -> None:
    checks = broken[",".join(faults)].result()
    failed = {check.name for check in checks if check.verdict != "pass"}
    assert failed == set(faults.values()), checks


def test_every_check_has_a_plugin_that_fails_it() -> None:
    assert set(ALL) == {*REDS.values(), *(name for faults in TOGETHER for name in faults.values())}


def test_without_weights_the_check_repeats_the_plugins_own_mend_and_skips_the_rest() -> None:
    checks = check_plugin(command("weights_missing"), BROKEN, only=["ready", "shapes", "clean_exit"])
    assert verdicts(checks) == {"ready": "fail", "shapes": "skip", "clean_exit": "skip"}
    assert "chronotick plugins sync echo" in checks[0].sentence


def test_what_a_plugin_prints_aside_does_no_harm() -> None:
    checks = check_plugin(command("prints"), BROKEN, only=["shapes", "stdout_clean"])
    assert set(verdicts(checks).values()) == {"pass"}, checks


def test_a_command_that_does_not_exist_fails_and_says_so() -> None:
    checks = check_plugin(["/nowhere/python"], BROKEN, only=["handshake"])
    assert verdicts(checks) == {"handshake": "fail"}
    assert "/nowhere/python can not be started" in checks[0].sentence

"""The status that clients are told."""

import msgspec
import pytest

from chronotick.config.schema import ClockConfig, Config, NtpConfig
from chronotick.fusion.types import Status
from chronotick.ntp.select import Selection, Verdict
from chronotick.ntp.server import new_server
from chronotick.ntp.view import view
from chronotick.ops import report
from chronotick.ops.report import HostMeter, warm_up
from chronotick.pipeline import Pipeline


@pytest.mark.parametrize(("configured_s", "progress"), [(0.0, 1.0), (180.0, 0.0)])
def test_the_warm_up_before_the_first_fix(configured_s: float, progress: float) -> None:
    """A warm-up of 0 s, which the configuration allows, is over at once; any other has not begun."""
    pipeline = Pipeline(Config(clock=ClockConfig(warm_up_s=configured_s)))
    assert warm_up(pipeline) == {"progress": progress, "remaining_s": configured_s}


def test_the_version_is_that_of_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the environment is built anew under a running host its metadata are gone for a moment."""
    meter = HostMeter()
    before = meter.section(instance=1, uptime_s=1.0, ready_s=None)["version"]
    monkeypatch.setattr(report, "version", lambda _: pytest.fail("looked up again"))
    assert meter.section(instance=1, uptime_s=2.0, ready_s=1.0)["version"] == before


@pytest.mark.parametrize("status", [Status.SYNCHRONISED, Status.HOLDOVER, Status.UNKNOWN])
def test_the_sentence_says_when_no_majority_agrees(status: Status) -> None:
    """Whatever the answer is still worth: servers that answer and contradict each other are named as the reason."""
    config = NtpConfig(servers=("a", "b"))
    heard = (msgspec.structs.replace(new_server(name, config), reach=1) for name in config.servers)
    views = tuple(view(state, config, 0, 5e-5) for state in heard)
    divided = Selection(verdict=Verdict.NO_MAJORITY, standings=())
    assert "2 of 2 servers answer, and no majority agrees (no majority)" in report.sentence(status, divided, views, 1.0)
    agreed = Selection(verdict=Verdict.AGREED, standings=())
    assert "no majority" not in report.sentence(status, agreed, views, 1.0)

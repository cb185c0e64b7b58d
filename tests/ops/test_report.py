"""The status that clients are told."""

import pytest

from chronotick.config.schema import ClockConfig, Config
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

"""Each preset starts, and says what the machine lacks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chronotick.config.load import load
from chronotick.lab.lab import Ready
from tests.plugin_worker import python_of

from .conftest import Host, until

pytestmark = pytest.mark.network
CONFIGS = Path(__file__).parents[2] / "configs"
PRESETS = (
    "cpu_only_chronos",
    "gpu_only_timesfm",
    "cpu_only_ttm",
    "gpu_only_toto",
    "hybrid_chronos_ttm",
    "multi_device_full",
)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_host_starts_with_it_and_has_an_opinion_of_each_model(
    preset: str, make_host: Callable[..., Host], lan_lab: Ready
) -> None:
    """The host tells the time and lists the preset's models; one that is broken has its mend in the status."""
    config = load(CONFIGS / f"{preset}.yaml", (), {}).config
    host = make_host(lan_lab.servers, (), roles=config.roles, plugins=config.plugins)
    host.start()

    def rows() -> list[dict[str, Any]]:
        return list(host.sections()["plugins"])

    with host.clock() as clock:
        until(lambda: host.status(clock) is not None, "a snapshot")
        until(lambda: host.directory.client.exists(), "the client socket")
        judged = len(config.plugins)
        until(lambda: sum(row["state"] != "STOPPED" for row in rows()) == judged, "each is started or judged")
        assert [row["name"] for row in rows()] == [plugin.name for plugin in config.plugins]
        for row in rows():
            assert row["state"] in {"STARTING", "CONNECTED", "LOADING", "READY", "ENV_BROKEN"}, row
            if row["state"] == "ENV_BROKEN":
                assert "Run: chronotick plugins sync" in row["detail"] or "Set " in row["detail"], row
        until(lambda: str(host.status(clock)) == "SYNCHRONISED", "synchronised")
    assert host.stop() == 0


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("preset", ["gpu_only_timesfm", "gpu_only_toto"])
def test_without_a_gpu_the_status_says_which_device_is_missing_and_what_to_change(
    preset: str, make_host: Callable[..., Host], lan_lab: Ready
) -> None:
    config = load(CONFIGS / f"{preset}.yaml", (), {}).config
    (plugin,) = config.plugins
    python_of(plugin.name)
    hidden = msgspec.structs.replace(plugin, device="cuda:77")
    host = make_host(lan_lab.servers, (), roles=config.roles, plugins=(hidden,))
    host.start()
    until(lambda: host.plugin(plugin.name).get("state") == "ENV_BROKEN", "a verdict on the device", 200.0)
    detail = host.plugin(plugin.name)["detail"]
    assert "cuda:77" in detail
    assert "device" in detail.split(".", 1)[1], detail

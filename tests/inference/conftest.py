"""Files as users of the first ChronoTick have them."""

from pathlib import Path

import pytest

from chronotick.plugins.discovery import discover
from chronotick.plugins.environment import check_environment, sdk_version


@pytest.fixture
def chronos() -> None:
    """The chronos plugin's environment, or the test is skipped."""
    if check_environment(discover().find("chronos"), sdk_version()) is not None:
        pytest.skip("the chronos plugin's environment is not built (chronotick plugins sync chronos)")


@pytest.fixture
def first_config(tmp_path: Path) -> Path:
    """A file as users of the first ChronoTick have it."""
    path = tmp_path / "config.yaml"
    path.write_text(
        "short_term: {enabled: true, model_name: chronos, inference_interval: 1.0, prediction_horizon: 5}\n"
        "long_term: {enabled: true, model_name: chronos, inference_interval: 30.0, prediction_horizon: 60}\n"
        "fusion: {enabled: true, method: inverse_variance}\n"
    )
    return path

"""ChronoTick's TTM plugin: Tiny Time Mixers behind the plugin SDK."""

from chronotick_ttm.forecaster import TtmForecaster

__all__ = ["TtmForecaster"]
__version__ = "0.1.0"

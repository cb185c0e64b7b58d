"""ChronoTick's TimesFM plugin: TimesFM 2.5 behind the plugin SDK."""

from chronotick_timesfm.forecaster import TimesFmForecaster

__all__ = ["TimesFmForecaster"]
__version__ = "0.1.0"

"""ChronoTick's Chronos plugin: Chronos-Bolt and Chronos-2 behind the plugin SDK."""

from chronotick_chronos.forecaster import ChronosForecaster

__all__ = ["ChronosForecaster"]
__version__ = "0.1.0"

"""ChronoTick's Toto plugin: Toto Open Base behind the plugin SDK."""

from chronotick_toto.forecaster import TotoForecaster

__all__ = ["TotoForecaster"]
__version__ = "0.1.0"

"""ChronoTick's Time-MoE plugin: Time-MoE behind the plugin SDK."""

from chronotick_time_moe.forecaster import TimeMoeForecaster

__all__ = ["TimeMoeForecaster"]
__version__ = "0.1.0"

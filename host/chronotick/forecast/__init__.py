"""Stage 5: when a model is asked, what it is asked, and what of its answer is let in."""

from chronotick.forecast.cache import ForecastCache
from chronotick.forecast.request import LEVELS, Request, batch
from chronotick.forecast.schedule import Schedule
from chronotick.forecast.types import Forecast, Refusal
from chronotick.forecast.validate import validate

__all__ = ["LEVELS", "Forecast", "ForecastCache", "Refusal", "Request", "Schedule", "batch", "validate"]

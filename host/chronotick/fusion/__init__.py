"""Stage 6: who may speak beside the floor, and what they say together."""

from chronotick.fusion.candidate import Candidate, ForecastCurve
from chronotick.fusion.explanation import Explanation
from chronotick.fusion.fusion import Counts, Fusion
from chronotick.fusion.gate import Gate
from chronotick.fusion.hard import HardBound, HardUpdate
from chronotick.fusion.rules import GateRules, IntervalRules
from chronotick.fusion.types import FusedForecast, Status

__all__ = [
    "Candidate",
    "Counts",
    "Explanation",
    "ForecastCurve",
    "FusedForecast",
    "Fusion",
    "Gate",
    "GateRules",
    "HardBound",
    "HardUpdate",
    "IntervalRules",
    "Status",
]

"""The embedding interface of the first ChronoTick, by its names, on this one's pipeline.

For programs that have offsets of their own and want to know how they go on, without a host. Offsets are seconds,
reference minus local, oldest first, one each `sampling_s`.

    from chronotick.inference import ChronoTickInferenceEngine, ClockDataGenerator

    offsets, metrics = ClockDataGenerator(seed=1).generate_realistic_scenario("server_load", 600)
    with ChronoTickInferenceEngine() as engine:
        ahead = engine.predict_fused(offsets, metrics)
        ahead.predictions  # the next 60 s, and ahead.uncertainty beside it
"""

from chronotick.inference.collector import SystemMetricsCollector
from chronotick.inference.comparator import ModelComparator
from chronotick.inference.engine import ChronoTickInferenceEngine, PredictionResult
from chronotick.inference.generator import SCENARIOS, ClockDataGenerator, Scenario
from chronotick.inference.predictor import RealTimePredictor, SimulatedSource
from chronotick.inference.visualizer import PredictionVisualizer

__all__ = [
    "SCENARIOS",
    "ChronoTickInferenceEngine",
    "ClockDataGenerator",
    "ModelComparator",
    "PredictionResult",
    "PredictionVisualizer",
    "RealTimePredictor",
    "Scenario",
    "SimulatedSource",
    "SystemMetricsCollector",
]

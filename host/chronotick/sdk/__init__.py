"""What a plugin author imports."""

from chronotick.sdk.errors import (
    BadOutput,
    BadParams,
    BadWindow,
    Cancelled,
    DeviceMissing,
    LoadFailed,
    OutOfMemory,
    PluginFault,
    WeightsMismatch,
    WeightsMissing,
)
from chronotick.sdk.forecaster import Batch, Forecaster, Params, Progress, Quantiles, Unloadable
from chronotick.sdk.serve import serve
from chronotick.wire.messages import Capabilities

__all__ = [
    "BadOutput",
    "BadParams",
    "BadWindow",
    "Batch",
    "Cancelled",
    "Capabilities",
    "DeviceMissing",
    "Forecaster",
    "LoadFailed",
    "OutOfMemory",
    "Params",
    "PluginFault",
    "Progress",
    "Quantiles",
    "Unloadable",
    "WeightsMismatch",
    "WeightsMissing",
    "serve",
]

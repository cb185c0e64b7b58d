"""What the configuration may ask for: the published sizes, as context and horizon in points."""

from chronotick.sdk import Params
from chronotick.sdk.model_settings import ModelSettings, Published, read_settings

_R2 = "ibm-granite/granite-timeseries-ttm-r2"
# The repository keeps each size on a branch of its own; 512-96 is its main one.
SIZES = {
    "512-96": Published(_R2, "main"),
    **{
        f"{context}-{horizon}": Published(_R2, f"{context}-{horizon}-r2")
        for context in (512, 1024, 1536)
        for horizon in (96, 192, 336, 720)
        if (context, horizon) != (512, 96)
    },
}
DTYPES = ("float32", "bfloat16")


def read(params: Params) -> ModelSettings:
    """Settings from the host's parameters.

    Raises:
        BadParams: a key or a value that is not known.
    """
    return read_settings(params, "ttm", SIZES, dtypes=DTYPES)

"""What the configuration may ask for: the published sizes, as context and horizon in points."""

from chronotick.sdk import Params
from chronotick.sdk.model_settings import ModelSettings, Published, read_settings

_R2 = "ibm-granite/granite-timeseries-ttm-r2"
# The repository keeps each size on a branch of its own; 512-96 is on its main one, of which this is a commit.
SIZES = {
    "512-96": Published(
        _R2,
        "d6a79570cac0f33d526601cd3a0fc7c80a8f9a2f",
        "a706726a7eb01bbcb42994b7dcb3c06ea9557898dbae8d480eb04fe8ccb89710",
    ),
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

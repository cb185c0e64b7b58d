"""What the configuration may ask for: the published sizes."""

from chronotick.sdk import Params
from chronotick.sdk.model_settings import ModelSettings, Published, read_settings

SIZES = {
    "50m": Published(
        "Maple728/TimeMoE-50M",
        "446753ee48ff3726d0606a81d0092d54acee995e",
        "0127209833663df6f5ae3cf1c3316f739a8dd1dae27e59036268bbfdb48f91a4",
    ),
    "200m": Published("Maple728/TimeMoE-200M", "794591bfeb1225fdf742cec0f4c71f20c3f3b87e"),
}


def read(params: Params) -> ModelSettings:
    """Settings from the host's parameters.

    Raises:
        BadParams: a key or a value that is not known.
    """
    return read_settings(params, "time_moe", SIZES)

"""What the configuration may ask for: the published sizes."""

from chronotick.sdk import Params
from chronotick.sdk.model_settings import ModelSettings, Published, read_settings

SIZES = {"50m": Published("Maple728/TimeMoE-50M"), "200m": Published("Maple728/TimeMoE-200M")}


def read(params: Params) -> ModelSettings:
    """Settings from the host's parameters.

    Raises:
        BadParams: a key or a value that is not known.
    """
    return read_settings(params, "time_moe", SIZES)

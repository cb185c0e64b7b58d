"""What the configuration may ask for: the one published size, how far ahead, and how many samples."""

from msgspec import Struct

from chronotick.sdk import BadParams, Params
from chronotick.sdk.model_settings import ModelSettings, Published, read_settings
from chronotick_toto.sampling import SAMPLES_PER_BATCH

SIZES = {"base": Published("Datadog/Toto-Open-Base-1.0", "0411ceb27bdf7fc3e4892e99edc8ad08192dc3c5")}
# The library draws its samples in the dtype of the weights, and torch has no gamma variates of half precision.
DTYPES = ("float32",)
# As far as the host ever asks. The library itself has no limit.
HORIZON_LIMIT = 1024
SAMPLES_LIMIT = 4096


class Reach(Struct, frozen=True):
    """How far ahead, and how surely.

    Attributes:
        horizon_max: points; 0 for one patch of the model.
        samples: in each forecast; 0 for as many as the deadline allows.
    """

    horizon_max: int
    samples: int


def read(params: Params) -> tuple[ModelSettings, Reach]:
    """Settings from the host's parameters.

    Raises:
        BadParams: a key or a value that is not known.
    """
    settings = read_settings(params, "toto", SIZES, dtypes=DTYPES, extra=("horizon_max", "samples"))
    horizon_max = _whole(params, "horizon_max", HORIZON_LIMIT)
    samples = _whole(params, "samples", SAMPLES_LIMIT)
    if samples % SAMPLES_PER_BATCH:
        raise BadParams(
            f"samples is {samples}, but they are drawn {SAMPLES_PER_BATCH} at a time.",
            mend=f"Use a multiple of {SAMPLES_PER_BATCH}, or 0 for as many as the deadline allows.",
        )
    return settings, Reach(horizon_max, samples)


def _whole(params: Params, key: str, limit: int) -> int:
    value = params.values.get(key, 0)
    # Text is what the command line gives.
    if not str(value).isdecimal() or int(value) > limit:
        raise BadParams(f"{key} is {value!r}.", mend=f"Use a whole number from 0 to {limit}.")
    return int(value)

"""What the configuration may ask for: the one published size, and whether covariates are wanted."""

from chronotick.sdk import BadParams, Params
from chronotick.sdk.model_settings import ModelSettings, Published, read_settings

SIZES = {
    "200m": Published(
        "google/timesfm-2.5-200m-pytorch",
        "1d952420fba87f3c6dee4f240de0f1a0fbc790e3",
        "2f776efe6245e42b24bc4153ffdf61810140210e4bd3b01fb21f7aa779ab6ce8",
    )
}
# The library's own decoding is in single precision whatever the weights are in.
DTYPES = ("float32",)


def read(params: Params) -> tuple[ModelSettings, bool]:
    """Settings from the host's parameters, and whether to get ready for covariates.

    Raises:
        BadParams: a key or a value that is not known.
    """
    covariates = params.values.get("covariates", False)
    if not isinstance(covariates, bool):
        raise BadParams(f"covariates is {covariates!r}.", mend="Use covariates: true or covariates: false.")
    return read_settings(params, "timesfm", SIZES, dtypes=DTYPES, extra=("covariates",)), covariates

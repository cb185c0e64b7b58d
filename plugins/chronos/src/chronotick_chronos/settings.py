"""What the configuration may ask for: the built-in checkpoint, or the published sizes."""

from pathlib import Path

from msgspec.structs import replace

from chronotick.sdk import BadParams, Params
from chronotick.sdk.model_settings import ModelSettings, Published, read_settings

EMBEDDED = "embedded"
EMBEDDED_FOLDER = Path(__file__).parent / "weights"
# What it must hash to: a damaged or foreign file must not be called the project's own.
EMBEDDED_SHA256 = "88fda82f1e30fa22c95d83e62c03e4b74ed860651597d81be8dfc9f28182b93e"
# A configuration may name the family in `repo` and the member in `size`.
FAMILY = "amazon/chronos-bolt"
SIZES = {size: Published(f"{FAMILY}-{size}") for size in ("tiny", "mini", "small", "base")}


def read(params: Params) -> ModelSettings:
    """Settings from the host's parameters. No `path`, `repo` or `size`, or "embedded", is the built-in checkpoint.

    Raises:
        BadParams: a key or a value that is not known.
    """
    path, repo, size = params.text("path"), params.text("repo"), params.text("size")
    values = dict(params.values)
    embedded = path == EMBEDDED or (not path and (repo == EMBEDDED or not (repo or size)))
    if embedded:
        values |= {"path": str(EMBEDDED_FOLDER), "weights_sha256": params.text("weights_sha256", EMBEDDED_SHA256)}
    elif not path and repo == FAMILY:
        if not size:
            raise BadParams(f"repo {repo!r} is a family.", mend=f"Add a size: one of {', '.join(SIZES)}.")
        del values["repo"]
    settings = read_settings(replace(params, values=values), "chronos", SIZES)
    return replace(settings, name="chronotick/embedded") if embedded else settings

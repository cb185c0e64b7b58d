"""What the configuration asks for: which weights, where, on what. Pure; nothing is looked up."""

from pathlib import Path

from msgspec import Struct

from chronotick.sdk import BadParams, Params

EMBEDDED = "embedded"
EMBEDDED_FOLDER = Path(__file__).parent / "weights"
# The published family, for a configuration that names a size alone.
DEFAULT_FAMILY = "amazon/chronos-bolt"
SIZES = ("tiny", "mini", "small", "base", "large")
DTYPES = ("float32", "bfloat16", "float16")
_KNOWN = {"repo", "size", "revision", "path", "device", "dtype", "weights_sha256"}


class Settings(Struct, frozen=True):
    """Where weights come from and how they are run. Exactly one of `folder` and `repo` is set.

    Attributes:
        folder: absolute folder with config.json and safetensors.
        embedded: the folder is the package's own.
        repo: hub repository; revision: its branch, tag or commit, "" for the hub's default.
        device: as torch calls it; dtype: of the weights, one of DTYPES.
        weights_sha256: what the weights must hash to, "" for any.
    """

    folder: Path | None
    embedded: bool
    repo: str
    revision: str
    device: str
    dtype: str
    weights_sha256: str

    @property
    def model_id(self) -> str:
        """How the weights are called in answers and logs."""
        if self.embedded:
            return "chronotick/embedded"
        return self.repo or (self.folder.name if self.folder is not None else "")


def read(params: Params) -> Settings:
    """Settings from the host's parameters. `path` wins over `repo`; neither, or "embedded", is the built-in checkpoint.

    Raises:
        BadParams: a key or a value that is not known.
    """
    unknown = sorted(set(params.values) - _KNOWN)
    if unknown:
        raise BadParams(
            f"The chronos plugin has no parameter {', '.join(map(repr, unknown))}.",
            mend=f"Known are {', '.join(sorted(_KNOWN))}.",
        )
    dtype = params.text("dtype", "float32")
    if dtype not in DTYPES:
        raise BadParams(f"dtype {dtype!r} is not known.", mend=f"Use one of {', '.join(DTYPES)}.")
    path, repo, size = params.text("path"), params.text("repo"), params.text("size")
    folder: Path | None = None
    if path and path != EMBEDDED:
        # Absolute: libraries take a relative folder that does not exist for a repository and ask the hub.
        folder, repo = Path(path).expanduser().absolute(), ""
    elif path == EMBEDDED or repo == EMBEDDED or not (repo or size):
        folder, repo = EMBEDDED_FOLDER, ""
    else:
        repo = _with_size(repo, size)
    return Settings(
        folder=folder,
        embedded=folder == EMBEDDED_FOLDER,
        repo=repo,
        revision=params.text("revision") if repo else "",
        device=params.text("device", "cpu"),
        dtype=dtype,
        weights_sha256=params.text("weights_sha256").lower(),
    )


def _with_size(repo: str, size: str) -> str:
    """The repository of a size: `amazon/chronos-bolt` and `tiny` make `amazon/chronos-bolt-tiny`.

    Raises:
        BadParams: the size is not known, or the repository's name says another one.
    """
    if not size:
        return repo
    if size not in SIZES:
        raise BadParams(
            f"size {size!r} is not known.", mend=f"Use one of {', '.join(SIZES)}, or name the repo in full."
        )
    if not repo:
        return f"{DEFAULT_FAMILY}-{size}"
    named = repo.rsplit("-", 1)[-1]
    if named == size:
        return repo
    if named in SIZES:
        raise BadParams(f"repo {repo!r} and size {size!r} contradict each other.", mend="Remove one of them.")
    return f"{repo}-{size}"

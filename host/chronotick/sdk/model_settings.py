"""The parameters that every plugin with a model from a hub or a folder understands, read and checked. Pure."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from chronotick.sdk.errors import BadParams
from chronotick.sdk.forecaster import Params

DTYPES: Final = ("float32", "bfloat16", "float16")
_KNOWN: Final = frozenset({"repo", "size", "revision", "path", "device", "dtype", "weights_sha256"})


class Published(Struct, frozen=True):
    """Weights on the hub.

    Attributes:
        repo: repository; revision: branch, tag or commit there, "" for the hub's default.
        sha256: what the weights at that revision hash to, "" where that is not known.
    """

    repo: str
    revision: str = ""
    sha256: str = ""


class ModelSettings(Struct, frozen=True, kw_only=True):
    """Where weights come from and how they are run. Exactly one of `folder` and `repo` is set.

    Attributes:
        folder: absolute folder with config.json and safetensors.
        repo: hub repository; revision: its branch, tag or commit, "" for the hub's default.
        device: as torch calls it, or auto; dtype: of the weights, as torch calls it.
        weights_sha256: what the weights must hash to, as configured or as published; "" for any.
        name: of the weights, where neither repository nor folder says it.
    """

    folder: Path | None
    repo: str
    revision: str
    device: str
    dtype: str
    weights_sha256: str
    name: str = ""

    @property
    def model_id(self) -> str:
        """How the weights are called in answers and logs."""
        return self.name or self.repo or (self.folder.name if self.folder is not None else "")


def read_settings(
    params: Params,
    plugin: str,
    sizes: Mapping[str, Published],
    *,
    dtypes: Collection[str] = DTYPES,
    extra: Collection[str] = (),
) -> ModelSettings:
    """Settings from the host's parameters. `path` wins over `repo`; neither is the first of `sizes`.

    Args:
        plugin: its name, for sentences.
        sizes: what each `size` stands for, the default first.
        dtypes: that the model runs in, the default first.
        extra: further keys that the plugin reads itself.

    Raises:
        BadParams: a key or a value that is not known.
    """
    known = _KNOWN | set(extra)
    unknown = sorted(set(params.values) - known)
    if unknown:
        raise BadParams(
            f"The {plugin} plugin has no parameter {', '.join(map(repr, unknown))}.",
            mend=f"Known are {', '.join(sorted(known))}.",
        )
    dtype = params.text("dtype", next(iter(dtypes)))
    if dtype not in dtypes:
        raise BadParams(f"dtype {dtype!r} is not known.", mend=f"Use one of {', '.join(dtypes)}.")
    path = params.text("path")
    # Absolute: libraries take a relative folder that does not exist for a repository and ask the hub.
    folder = Path(path).expanduser().absolute() if path else None
    published = Published("") if folder else _published(params, sizes)
    return ModelSettings(
        folder=folder,
        repo=published.repo,
        revision=published.revision,
        device=params.text("device", "cpu"),
        dtype=dtype,
        weights_sha256=params.text("weights_sha256", published.sha256).lower(),
    )


def _published(params: Params, sizes: Mapping[str, Published]) -> Published:
    repo, size, revision = params.text("repo"), params.text("size"), params.text("revision")
    if size and size not in sizes:
        raise BadParams(
            f"size {size!r} is not known.", mend=f"Use one of {', '.join(sizes)}, or name the repo in full."
        )
    meant = sizes[size or next(iter(sizes))]
    if repo and size and repo != meant.repo:
        raise BadParams(
            f"repo {repo!r} and size {size!r} contradict each other: that size is in {meant.repo}.",
            mend="Remove one of them.",
        )
    chosen = Published(repo, revision) if repo and not size else Published(meant.repo, revision or meant.revision)
    known = (one for one in sizes.values() if (one.repo, one.revision) == (chosen.repo, chosen.revision))
    return next(known, chosen)

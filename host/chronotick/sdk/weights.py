"""From settings to a folder of weights on this machine, checked; quick to say so when there is none.

Weights are read from safetensors only: a pickle can run code. Needs `huggingface_hub` in the plugin's environment for
repositories, and nothing at all for folders.
"""

import hashlib
import importlib
import json
import os
import struct
from pathlib import Path
from typing import Any, Final

from chronotick.sdk.errors import WeightsMismatch, WeightsMissing
from chronotick.sdk.model_settings import ModelSettings

# A hub that does not answer within this is not there, s. The hub library alone would go on trying for half a minute.
HUB_TIMEOUT_S: Final = 5.0
_FILES: Final = ("config.json", "*.safetensors", "*.safetensors.index.json")
_MEND: Final = "Set path to a folder with config.json and *.safetensors; with a network, check repo and revision."


def locate(settings: ModelSettings, *, config: bool = True, mend: str = "") -> tuple[Path, str]:
    """The folder with the weights, and the commit they are of ("" for a local folder).

    Args:
        config: a config.json must be there, too.
        mend: what else helps where they are missing, one sentence.

    Raises:
        WeightsMissing: they are not here and can not be fetched.
    """
    try:
        return _located(settings, config)
    except WeightsMissing as fault:
        if mend:
            raise WeightsMissing(fault.message, mend=f"{fault.mend} {mend}") from fault
        raise


def _located(settings: ModelSettings, config: bool) -> tuple[Path, str]:
    if settings.folder is not None:
        folder, commit = settings.folder, ""
    else:
        folder, commit = _from_hub(settings.repo, settings.revision or None, config)
    if not folder.is_dir():
        raise WeightsMissing(f"There is no folder {folder}.", mend=_MEND)
    if config and not (folder / "config.json").is_file():
        raise WeightsMissing(f"{folder} has no config.json.", mend=_MEND)
    if not files(folder):
        raise WeightsMissing(f"{folder} has no *.safetensors; weights in pickle files are never loaded.", mend=_MEND)
    return folder, commit


def files(folder: Path) -> list[Path]:
    """The files that hold tensors, in the order that the hash takes them."""
    return sorted(folder.glob("*.safetensors"))


def sha256(folder: Path) -> str:
    """Hash of the weights: of the file where it is one, else of the files' hashes in order of their names."""
    digests = [_digest(path) for path in files(folder)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def checked_sha256(folder: Path, expected: str) -> str:
    """The hash of the weights, which must be `expected` unless that is "".

    Raises:
        WeightsMismatch: it is another one.
    """
    digest = sha256(folder)
    if expected and digest != expected:
        raise WeightsMismatch(
            f"The weights in {folder} have SHA-256 {digest}, expected {expected}.",
            mend="Correct weights_sha256, or fetch again.",
        )
    return digest


def tensor_names(folder: Path) -> set[str]:
    """Names of the tensors that the files hold.

    Raises:
        WeightsMismatch: a file is damaged.
    """
    found: set[str] = set()
    for path in files(folder):
        try:
            with path.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                if length > 100_000_000:
                    raise ValueError(f"a header of {length} bytes")
                header: dict[str, Any] = json.loads(file.read(length))
        except (OSError, ValueError, struct.error) as error:
            raise WeightsMismatch(f"{path} is not a safetensors file: {error}.", mend="Fetch it again.") from error
        found |= header.keys() - {"__metadata__"}
    return found


def check_complete(model: Any, folder: Path) -> None:
    """Refuse a checkpoint that lacks tensors: most libraries would leave them random and say nothing.

    Args:
        model: torch module with the names of the files. A tensor that shares its memory with one that is there (tied
            weights) is there, too.

    Raises:
        WeightsMismatch: it lacks some.
    """
    found = tensor_names(folder)
    state = model.state_dict()
    held = {state[name].data_ptr() for name in found & state.keys()}
    missing = sorted(name for name in state.keys() - found if state[name].data_ptr() not in held)
    if missing:
        raise WeightsMismatch(
            f"The weights in {folder} lack {len(missing)} tensors, {missing[0]} first.", mend="Fetch them again."
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_hub(repo: str, revision: str | None, config: bool) -> tuple[Path, str]:
    """A snapshot from the hub's cache on this machine, else from the hub."""
    # By name: the host's own environment, where this module is checked and tested, has no hub library.
    hub = importlib.import_module("huggingface_hub")
    errors = importlib.import_module("huggingface_hub.errors")
    wanted = f"{repo} at {revision}" if revision else repo
    try:
        found = hub.snapshot_download(repo, revision=revision, allow_patterns=list(_FILES), local_files_only=True)
        if files(Path(found)) and (not config or (Path(found) / "config.json").is_file()):
            return Path(found), Path(found).name
    except errors.HFValidationError as error:
        raise WeightsMissing(f"{repo!r} is no name of a hub repository: {error}", mend=_MEND) from error
    except OSError:
        pass  # not in the cache
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise WeightsMissing(
            f"The weights {wanted} are not on this machine and HF_HUB_OFFLINE forbids to fetch them.", mend=_MEND
        )
    try:
        commit = hub.HfApi().model_info(repo, revision=revision, timeout=HUB_TIMEOUT_S).sha
        found = hub.snapshot_download(repo, revision=commit, allow_patterns=list(_FILES))
    except (errors.GatedRepoError, errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise WeightsMissing(f"The hub has no {wanted} for you ({type(error).__name__}).", mend=_MEND) from error
    # The HTTP library's exceptions are not OSErrors and change with the hub library's version.
    except Exception as error:
        raise WeightsMissing(
            f"The weights {wanted} are not on this machine and the hub can not be reached: {_cause(error)}.", mend=_MEND
        ) from error
    return Path(found), commit or ""


def _cause(error: BaseException) -> str:
    """What began it, in a few words: the libraries in between wrap it in paragraphs."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return (str(error).splitlines() or [type(error).__name__])[0][:200].rstrip(".")

"""What is in a plugin's environment, without starting anything: versions, size on disk, whether weights are here."""

import os
from collections.abc import Mapping
from pathlib import Path

from chronotick.plugins.manifest import Manifest

_TORCH_ROOT = "torch"


def library_versions(manifest: Manifest) -> dict[str, str]:
    """{distribution: version} of transformers and of what provides the modules that plugin.toml imports, but torch."""
    roots = {name.split(".")[0] for name in manifest.environment.imports} - {_TORCH_ROOT}
    versions: dict[str, str] = {}
    for info in sorted(manifest.venv.glob("lib/python*/site-packages/*.dist-info")):
        name, _, version = info.name.removesuffix(".dist-info").rpartition("-")
        if name == "transformers" or (name != _TORCH_ROOT and roots & _modules(info)):
            versions[name] = version
    return versions


def disk_bytes(folder: Path) -> int:
    """What a folder takes. Much of an environment is shared with uv's cache and the other environments."""
    total, pending = 0, [folder]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue  # gone, or not ours to read
    return total


def weights_state(manifest: Manifest, environ: Mapping[str, str] = os.environ) -> str:
    """ "here", "not here", or "" where plugin.toml does not say which."""
    weights = manifest.weights
    if weights.path == "embedded":
        return "here"
    if weights.path:
        return "here" if any((manifest.folder / weights.path).glob("*.safetensors")) else "not here"
    if not weights.repo:
        return ""
    folder = _hub_cache(environ) / f"models--{weights.repo.replace('/', '--')}" / "snapshots" / weights.revision
    return "here" if any(folder.glob("*.safetensors")) else "not here"


def _hub_cache(environ: Mapping[str, str]) -> Path:
    """Where the hub's client keeps what it fetched."""
    if given := environ.get("HF_HUB_CACHE"):
        return Path(given)
    home = environ.get("HF_HOME") or Path(environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(home).expanduser() / "hub"


def _modules(info: Path) -> set[str]:
    """Names that a distribution can be imported by."""
    try:
        lines = (info / "RECORD").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return {line.split("/", 1)[0] for line in lines if "/__init__.py," in line}

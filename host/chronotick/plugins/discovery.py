"""Find plugins: the checkout's plugins/ folder, and the folders that CHRONOTICK_PLUGIN_PATH names."""

import os
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

import chronotick
from chronotick.errors import PluginError
from chronotick.plugins.manifest import FILE_NAME, Manifest, load_manifest

PATH_VARIABLE = "CHRONOTICK_PLUGIN_PATH"


class Discovery(Struct, frozen=True):
    """What was found.

    Attributes:
        manifests: in order of discovery, names unique.
        problems: one sentence for each plugin.toml that could not be used.
        searched: folders that were looked into.
    """

    manifests: tuple[Manifest, ...]
    problems: tuple[str, ...]
    searched: tuple[Path, ...]

    def find(self, name: str) -> Manifest:
        """The manifest of that name.

        Raises:
            PluginError: there is none; says what there is and where was looked.
        """
        for manifest in self.manifests:
            if manifest.name == name:
                return manifest
        known = ", ".join(m.name for m in self.manifests) or "none"
        where = ", ".join(str(folder) for folder in self.searched) or "no folder"
        raise PluginError(
            f"There is no plugin named `{name}` (found: {known}; searched: {where}).",
            mend=f"Correct the name, or name the plugin's folder in {PATH_VARIABLE}.",
        )


def project_root() -> Path | None:
    """The checkout that this package was imported from; None when it is installed without one."""
    root = Path(chronotick.__file__).absolute().parents[2]
    return root if (root / "pyproject.toml").is_file() and (root / "plugins").is_dir() else None


def discover(environ: Mapping[str, str] = os.environ, root: Path | None = None) -> Discovery:
    """Read all plugin.toml files.

    CHRONOTICK_PLUGIN_PATH (folders, separated by colons) is searched before `root`/plugins; each folder is a plugin or
    holds plugins. The first of two plugins with one name wins, the other is reported.
    """
    root = root or project_root()
    folders = [Path(part).absolute() for part in environ.get(PATH_VARIABLE, "").split(os.pathsep) if part]
    if root is not None:
        folders.append(root / "plugins")
    manifests: dict[str, Manifest] = {}
    problems: list[str] = []
    for folder in folders:
        files = _files(folder)
        if not files and PATH_VARIABLE in environ and (root is None or folder != root / "plugins"):
            problems.append(f"{folder} (from {PATH_VARIABLE}) holds no {FILE_NAME}.")
        for file in files:
            try:
                manifest = load_manifest(file)
            except PluginError as error:
                problems.append(str(error))
                continue
            other = manifests.setdefault(manifest.name, manifest)
            if other is not manifest and other.folder != manifest.folder:
                problems.append(f"{file}: the name `{manifest.name}` is taken by {other.folder}; this one is not used.")
    return Discovery(manifests=tuple(manifests.values()), problems=tuple(problems), searched=tuple(folders))


def _files(folder: Path) -> list[Path]:
    if (folder / FILE_NAME).is_file():
        return [folder / FILE_NAME]
    return sorted(folder.glob(f"*/{FILE_NAME}"))

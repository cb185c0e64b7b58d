"""plugin.toml: what a plugin says about itself before anything of it runs.

schema = 1
name = "echo"                       # also the folder's name and the default module, chronotick_echo
version = "0.1.0"
summary = "one line for `plugins list`"
licence = "Apache-2.0"              # of the code
protocol = [1]                      # majors of the wire protocol that it speaks

[process]
argv = ["{python}", "-I", "-m", "chronotick_echo"]   # {python}, {folder}, {name}
env = { TOKENIZERS_PARALLELISM = "false" }

[environment]
kind = "own"                        # "host": runs with the host's own interpreter, nothing is built
python = ">=3.11,<3.14"
lock = "requirements.lock"
torch = "2.13.0"                    # "" for none
imports = ["torch"]                 # smoke import beside the plugin's own module

[weights]
repo = "" ; revision = ""           # a hub repository at a commit, or
path = "embedded"                   # weights inside the package, or a folder relative to plugin.toml
licence = "Apache-2.0"

[limits]
start_timeout_s = 120

[claims]                            # READY must confirm each of them
context_max = 2048
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from chronotick.errors import PluginError

FILE_NAME = "plugin.toml"
SCHEMA = 1

PluginName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
Whole = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0, le=3600)]
PythonRange = Annotated[str, Meta(pattern=r"^(>=|<=|>|<)\d+\.\d+(,(>=|<=|>|<)\d+\.\d+)*$")]


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all tables: frozen, and a key that it does not know is an error."""


class Process(Section, frozen=True):
    """How the plugin is started. Values of `argv` may hold {python}, {folder} and {name}."""

    argv: Annotated[tuple[str, ...], Meta(min_length=1)] = ("{python}", "-I", "-m", "chronotick_{name}")
    env: dict[str, str] = field(default_factory=dict)


class Environment(Section, frozen=True):
    """What the plugin runs in: its own `.venv` built from its lock, or the host's interpreter."""

    kind: Literal["own", "host"] = "own"
    python: PythonRange = ">=3.11"
    lock: str = "requirements.lock"
    torch: str = ""
    imports: tuple[str, ...] = ()


class Weights(Section, frozen=True):
    """Default weights: a hub repository at a commit, a folder, or "embedded"; all empty where there are none."""

    repo: str = ""
    revision: Annotated[str, Meta(pattern=r"^([0-9a-f]{40})?$")] = ""
    path: str = ""
    licence: str = ""


class Training(Section, frozen=True):
    """How `chronotick train` fine-tunes it.

    Attributes:
        module: run in the plugin's environment on a folder, as `sdk.tune` says; "" where it can not be trained.
        context: points of a window.
        horizon: points ahead.
    """

    module: Annotated[str, Meta(pattern=r"^([A-Za-z_][A-Za-z0-9_.]*)?$")] = ""
    context: Whole = 256
    horizon: Whole = 64


class Limits(Section, frozen=True):
    """How long and how much.

    Attributes:
        start_timeout_s: from the start of the process to READY. Imports alone took 52 s on a loaded machine.
        hang_s: a computation that runs this long past its deadline, or a silence this long, ends in a restart.
        shutdown_s: between SHUTDOWN and SIGKILL.
        queue: requests in flight; more are refused as busy.
        memory_mb: resident size at which the plugin is ended; 0 for no limit.
    """

    start_timeout_s: Seconds = 120.0
    hang_s: Seconds = 60.0
    shutdown_s: Seconds = 5.0
    queue: Whole = 4
    memory_mb: Annotated[int, Meta(ge=0)] = 0


class Claims(Section, frozen=True):
    """What READY's capabilities must confirm: at least these sizes and levels, exactly these words. None: no claim."""

    context_max: Whole | None = None
    horizon_max: Whole | None = None
    batch_max: Whole | None = None
    levels: tuple[float, ...] | None = None
    covariates: bool | None = None
    deterministic: bool | None = None


class _File(Section, frozen=True, kw_only=True):
    """The file as written."""

    schema: int
    name: PluginName
    version: str
    summary: str = ""
    licence: str
    protocol: Annotated[tuple[Whole, ...], Meta(min_length=1)]
    process: Process = field(default_factory=Process)
    environment: Environment = field(default_factory=Environment)
    weights: Weights = field(default_factory=Weights)
    training: Training = field(default_factory=Training)
    limits: Limits = field(default_factory=Limits)
    claims: Claims = field(default_factory=Claims)


class Manifest(Struct, frozen=True, kw_only=True):
    """A plugin as its plugin.toml describes it. `folder` is absolute; all else as in the file."""

    folder: Path
    name: str
    version: str
    summary: str
    licence: str
    protocol: tuple[int, ...]
    process: Process
    environment: Environment
    weights: Weights
    training: Training
    limits: Limits
    claims: Claims

    @property
    def venv(self) -> Path:
        """Folder of the plugin's own environment, whether it exists or not."""
        return self.folder / ".venv"

    @property
    def python(self) -> Path:
        """The interpreter that runs the plugin."""
        return Path(sys.executable) if self.environment.kind == "host" else self.venv / "bin" / "python"

    @property
    def lock(self) -> Path:
        """The plugin's lock file."""
        return self.folder / self.environment.lock

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line, placeholders filled in."""
        return tuple(_fill(word, self) for word in self.process.argv)


def load_manifest(path: Path) -> Manifest:
    """Read one plugin.toml.

    Raises:
        PluginError: the file can not be read, is not TOML, or a key is unknown, missing or out of range.
    """
    where = path.absolute()
    try:
        raw = tomllib.loads(where.read_text(encoding="utf-8"))
    except OSError as error:
        raise PluginError(f"{where}: can not be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PluginError(f"{where}: is not TOML: {error}.") from error
    if raw.get("schema") != SCHEMA:
        raise PluginError(
            f"{where}: key `schema` is {raw.get('schema')!r}, this ChronoTick reads {SCHEMA}.",
            mend="Use a plugin and a ChronoTick of the same age.",
        )
    try:
        file = msgspec.convert(raw, _File, strict=True)
    except msgspec.ValidationError as error:
        raise PluginError(f"{where}: {_explain(str(error))}") from error
    manifest = Manifest(
        folder=where.parent,
        **{name: getattr(file, name) for name in _File.__struct_fields__ if name != "schema"},
    )
    _check_whole(manifest, where)
    return manifest


def claims_unmet(claims: Claims, capabilities: Any) -> str | None:
    """The first claim that READY's capabilities do not confirm, as a sentence; None where all hold."""
    for name in ("context_max", "horizon_max", "batch_max"):
        wanted, got = getattr(claims, name), getattr(capabilities, name)
        if wanted is not None and got < wanted:
            return f"plugin.toml claims {name} = {wanted}, READY says {got}."
    if claims.levels is not None:
        missing = [a for a in claims.levels if not any(abs(a - b) < 1e-6 for b in capabilities.levels)]
        if missing:
            return f"plugin.toml claims the levels {missing}, which READY does not list."
    for name in ("covariates", "deterministic"):
        wanted, got = getattr(claims, name), getattr(capabilities, name)
        if wanted is not None and bool(got) != wanted:
            return f"plugin.toml claims {name} = {str(wanted).lower()}, READY says {got!r}."
    return None


def python_fits(wanted: str, version: tuple[int, int]) -> bool:
    """Whether a Python (major, minor) lies in a range such as ">=3.11,<3.14"."""
    for part in wanted.split(","):
        match = re.fullmatch(r"(>=|<=|>|<)(\d+)\.(\d+)", part)
        assert match is not None, wanted
        bound = (int(match[2]), int(match[3]))
        fits = {">=": version >= bound, "<=": version <= bound, ">": version > bound, "<": version < bound}
        if not fits[match[1]]:
            return False
    return True


def _fill(word: str, manifest: Manifest) -> str:
    for key, value in (("python", manifest.python), ("folder", manifest.folder), ("name", manifest.name)):
        word = word.replace("{" + key + "}", str(value))
    return word


def _explain(text: str) -> str:
    """msgspec's sentence with the key first: "Expected `int`, got `str` - at `$.limits.queue`"."""
    sentence, _, place = text.partition(" - at ")
    if unknown := re.fullmatch(r"Object contains unknown field `(.+)`", sentence):
        return f"key `{_join(place, unknown[1])}` is not known."
    if missing := re.fullmatch(r"Object missing required field `(.+)`", sentence):
        return f"key `{_join(place, missing[1])}` is missing."
    return f"key `{_join(place, '')}`: {sentence[0].lower()}{sentence[1:]}."


def _join(place: str, key: str) -> str:
    return ".".join(part for part in (place.strip("`").removeprefix("$").strip("."), key) if part)


def _check_whole(manifest: Manifest, where: Path) -> None:
    """What no single key can say."""
    if manifest.weights.repo and manifest.weights.path:
        raise PluginError(f"{where}: keys `weights.repo` and `weights.path` are both set; give one.")
    if manifest.weights.repo and not manifest.weights.revision:
        raise PluginError(
            f"{where}: key `weights.revision` is missing.",
            mend="Name the commit (40 hexadecimal digits) of the weights.",
        )
    if manifest.environment.kind == "host" and manifest.environment.torch:
        raise PluginError(f'{where}: key `environment.torch` needs `environment.kind = "own"`; the host has no torch.')

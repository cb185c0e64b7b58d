"""plugin.toml and where it is found."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from chronotick.errors import PluginError
from chronotick.plugins.discovery import discover
from chronotick.plugins.manifest import Claims, claims_unmet, load_manifest, python_fits

LEAST = 'schema = 1\nname = "echo"\nversion = "0.1"\nlicence = "Apache-2.0"\nprotocol = [1]\n'


def write(folder: Path, text: str = LEAST) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "plugin.toml"
    path.write_text(text)
    return path


def test_the_least_manifest_has_the_defaults_of_the_documentation(tmp_path: Path) -> None:
    manifest = load_manifest(write(tmp_path))
    assert manifest.folder == tmp_path
    assert manifest.argv == (str(tmp_path / ".venv/bin/python"), "-I", "-m", "chronotick_echo")
    assert manifest.limits.start_timeout_s == 120
    assert manifest.environment.python == ">=3.11"
    assert manifest.lock == tmp_path / "requirements.lock"


def test_placeholders_of_the_command_line_are_filled_in(tmp_path: Path) -> None:
    text = (
        LEAST + '[process]\nargv = ["{python}", "-I", "{folder}/run.py", "--as={name}"]\n[environment]\nkind = "host"\n'
    )
    manifest = load_manifest(write(tmp_path, text))
    assert manifest.argv == (sys.executable, "-I", f"{tmp_path}/run.py", "--as=echo")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("schema = 2\n", "key `schema` is 2, this ChronoTick reads 1"),
        ("x = [", "is not TOML"),
        (LEAST.replace('name = "echo"\n', ""), "key `name` is missing"),
        (LEAST.replace('"echo"', '"Echo!"'), "key `name`: expected `str` matching regex"),
        (LEAST + "colour = 1\n", "key `colour` is not known"),
        (LEAST + "[limits]\nstart_timeout = 3\n", "key `limits.start_timeout` is not known"),
        (LEAST + '[limits]\nqueue = "four"\n', "key `limits.queue`: expected `int`, got `str`"),
        (LEAST + "[limits]\nhang_s = 0\n", "key `limits.hang_s`: expected `float` > 0"),
        (LEAST + "[process]\nargv = []\n", "key `process.argv`"),
        (LEAST + '[process]\nargv = ["a", 1]\n', "key `process.argv[1]`: expected `str`, got `int`"),
        (LEAST + '[environment]\npython = "3.11"\n', "key `environment.python`"),
        (LEAST + '[weights]\nrepo = "a/b"\n', "key `weights.revision` is missing"),
        (LEAST + f'[weights]\nrepo = "a/b"\nrevision = "{"0" * 40}"\npath = "c"\n', "are both set"),
        (LEAST + '[weights]\nrepo = "a/b"\nrevision = "main"\n', "key `weights.revision`"),
        (LEAST + '[environment]\nkind = "host"\ntorch = "2.13.0"\n', "key `environment.torch`"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_file_and_key(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(PluginError) as caught:
        load_manifest(path)
    assert str(path) in str(caught.value)
    assert told in str(caught.value)


def test_a_missing_manifest_is_refused_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"plugin\.toml: can not be read: No such file"):
        load_manifest(tmp_path / "plugin.toml")


@pytest.mark.parametrize(
    ("wanted", "version", "fits"),
    [
        (">=3.11", (3, 11), True),
        (">=3.11", (3, 10), False),
        (">=3.11,<3.14", (3, 13), True),
        (">=3.11,<3.14", (3, 14), False),
        (">3.11,<=3.12", (3, 11), False),
        (">3.9,<=3.12", (3, 12), True),
    ],
)
def test_python_ranges_compare_numbers_not_text(wanted: str, version: tuple[int, int], fits: bool) -> None:
    assert python_fits(wanted, version) is fits


@pytest.mark.parametrize(
    ("claim", "told"),
    [
        ({"context_max": 512}, None),
        ({"context_max": 513}, "claims context_max = 513, READY says 512"),
        ({"batch_max": 5}, "batch_max"),
        ({"levels": (0.1, 0.9)}, None),
        ({"levels": (0.1, 0.99)}, r"[0.99]"),
        ({"deterministic": True}, None),
        ({"covariates": True}, "covariates"),
    ],
)
def test_ready_must_confirm_each_claim(claim: dict[str, object], told: str | None) -> None:
    said = SimpleNamespace(
        context_max=512, horizon_max=64, batch_max=4, levels=(0.1, 0.5, 0.9), covariates=False, deterministic=True
    )
    unmet = claims_unmet(Claims(**claim), said)  # type: ignore[arg-type]
    assert (unmet is None) if told is None else (unmet is not None and told in unmet)


def test_plugins_are_found_in_the_checkout_and_on_the_path_and_the_path_wins(tmp_path: Path) -> None:
    write(tmp_path / "root/plugins/echo")
    write(tmp_path / "root/plugins/other", LEAST.replace("echo", "other"))
    write(tmp_path / "mine/echo")
    write(tmp_path / "single", LEAST.replace("echo", "single"))
    (tmp_path / "empty").mkdir()
    path = ":".join(str(tmp_path / name) for name in ("mine", "single", "empty"))
    found = discover({"CHRONOTICK_PLUGIN_PATH": path}, tmp_path / "root")
    assert {m.name: m.folder.relative_to(tmp_path).as_posix() for m in found.manifests} == {
        "echo": "mine/echo",
        "single": "single",
        "other": "root/plugins/other",
    }
    assert len(found.problems) == 2
    assert "empty (from CHRONOTICK_PLUGIN_PATH) holds no plugin.toml" in found.problems[0]
    assert "the name `echo` is taken by" in found.problems[1]


def test_one_broken_manifest_does_not_hide_the_others(tmp_path: Path) -> None:
    write(tmp_path / "plugins/bad", "nonsense")
    write(tmp_path / "plugins/echo")
    found = discover({}, tmp_path)
    assert [m.name for m in found.manifests] == ["echo"]
    assert len(found.problems) == 1


def test_an_unknown_name_is_refused_with_what_there_is(tmp_path: Path) -> None:
    write(tmp_path / "plugins/echo")
    with pytest.raises(PluginError, match=r"no plugin named `chronis` \(found: echo;"):
        discover({}, tmp_path).find("chronis")

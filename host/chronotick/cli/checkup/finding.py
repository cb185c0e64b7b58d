"""What a check found out, and what checks are given."""

import traceback
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct

from chronotick.config.schema import Config


class Verdict(StrEnum):
    """OK: as it should be, or of no consequence. WARN: it works, less well. FAIL: something will not work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(Struct, frozen=True, kw_only=True):
    """One line of the doctor's report.

    Attributes:
        name: of what was looked at; several findings may share it.
        verdict: how it is. sentence: what was found. mend: what to do about it, "" for nothing.
        facts: the values behind it, for programs.
    """

    name: str
    verdict: Verdict
    sentence: str
    mend: str = ""
    facts: dict[str, Any] = {}


class Patient(Struct, frozen=True, kw_only=True):
    """What is examined.

    Attributes:
        config_file, overrides: as on the command line; config: what they come to, None where that is nothing sound.
        config_error: why it is not.
        notes: what the configuration's reader said.
        runtime_dir: as on the command line, else as configured; "" for the usual place.
        root: of the file system; another one in tests.
    """

    config: Config | None = None
    config_file: Path | None = None
    config_error: str = ""
    notes: tuple[str, ...] = ()
    runtime_dir: str = ""
    root: Path = Path("/")


Check = Callable[[Patient], Iterable[Finding]]


def ok(name: str, sentence: str, **facts: Any) -> Finding:
    return Finding(name=name, verdict=Verdict.OK, sentence=sentence, facts=facts)


def warn(name: str, sentence: str, mend: str = "", **facts: Any) -> Finding:
    return Finding(name=name, verdict=Verdict.WARN, sentence=sentence, mend=mend, facts=facts)


def fail(name: str, sentence: str, mend: str = "", **facts: Any) -> Finding:
    return Finding(name=name, verdict=Verdict.FAIL, sentence=sentence, mend=mend, facts=facts)


def carried_out(check: Check, patient: Patient) -> list[Finding]:
    """A check's findings; a check that breaks is a finding itself, and keeps no other from being made."""
    try:
        return list(check(patient))
    except Exception as error:  # noqa: BLE001
        where = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error}, {Path(where.filename).name}:{where.lineno}"
        return [warn(check.__name__.replace("_", " "), f"This check itself failed ({what}).", "Please report it.")]


def first_line(path: Path) -> str:
    """The first line of a file, "" where it can not be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""

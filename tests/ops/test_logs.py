import json
import logging
from pathlib import Path

import pytest

from chronotick.config.schema import LogConfig
from chronotick.errors import ConfigError
from chronotick.ops import logs

LOGGER = logging.getLogger("chronotick.ntp")


@pytest.fixture(autouse=True)
def _quiet_again():
    yield
    logging.getLogger("chronotick").handlers.clear()
    logging.getLogger("chronotick").propagate = True


def test_text_lines_carry_level_name_message_and_fields(capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up(LogConfig())
    LOGGER.info("server answered", extra={"delay_ms": 1.5})
    line = capfd.readouterr().err
    assert line.count("\n") == 1
    assert line.split()[1:] == ["info", "ntp", "server", "answered", "delay_ms=1.5"]


def test_json_lines_are_objects(capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up(LogConfig(format="json"))
    LOGGER.warning("refused", extra={"server": "a"})
    body = json.loads(capfd.readouterr().err)
    assert {key: body[key] for key in ("level", "logger", "message", "server")} == {
        "level": "warning",
        "logger": "ntp",
        "message": "refused",
        "server": "a",
    }


def test_records_below_the_level_are_not_written(capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_up(LogConfig(level="warning"))
    LOGGER.info("not this")
    assert capfd.readouterr().err == ""


def test_the_file_stays_within_its_size(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "host.log"
    logs.set_up(LogConfig(file=str(file), max_mb=0.02))
    for number in range(1000):
        LOGGER.info("a line of some length, number %d", number)
    for handler in logging.getLogger("chronotick").handlers:
        handler.close()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 20_000
    assert "number 999" in file.read_text()


def test_a_file_that_can_not_be_opened_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"log\.file .* can not be opened: No such file or directory\."):
        logs.set_up(LogConfig(file=str(tmp_path / "absent" / "x.log")))

import socket
from pathlib import Path

from chronotick.ops.sdnotify import SdNotify


def _listener(address: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(address)
    listener.settimeout(5)
    return listener


def test_a_path_socket_receives_the_fields(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with _listener(path) as listener:
        assert SdNotify({"NOTIFY_SOCKET": path}).send(READY=1, STATUS="warm") is True
        assert listener.recv(4096) == b"READY=1\nSTATUS=warm"


def test_an_abstract_socket_receives_the_fields(tmp_path: Path) -> None:
    name = f"chronotick-test-{tmp_path.name}-{id(tmp_path)}"
    with _listener("\0" + name) as listener:
        assert SdNotify({"NOTIFY_SOCKET": "@" + name}).send(STOPPING=1) is True
        assert listener.recv(4096) == b"STOPPING=1"


def test_without_a_service_manager_nothing_is_sent() -> None:
    assert SdNotify({}).send(READY=1) is False


def test_a_vanished_service_manager_is_no_error(tmp_path: Path) -> None:
    assert SdNotify({"NOTIFY_SOCKET": str(tmp_path / "gone")}).send(READY=1) is False


def test_the_watchdog_period_is_read_in_seconds() -> None:
    assert SdNotify({"WATCHDOG_USEC": "2500000"}).watchdog_s == 2.5
    assert SdNotify({"WATCHDOG_USEC": "nonsense"}).watchdog_s is None

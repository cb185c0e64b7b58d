"""Version agreement and the table of error codes."""

import subprocess
import sys

import pytest

from chronotick.errors import ProtocolError
from chronotick.wire.codes import RULES, Code, Reaction, rule_for
from chronotick.wire.version import MAGIC, MAJOR, MINOR, check_magic, negotiate

LIGHT = """
import sys
import chronotick.wire.runtime_dir, chronotick.wire.version, chronotick.wire.limits
heavy = {"numpy", "msgspec", "zmq", "msgpack", "asyncio", "tempfile"} & set(sys.modules)
assert not heavy, heavy
"""


def test_the_magic_frame_is_ours() -> None:
    assert MAGIC == b"CTK1"
    check_magic(b"CTK1")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"CTK2", Code.VERSION_MISMATCH),
        (b"CTK10", Code.VERSION_MISMATCH),
        (b"CTK", Code.BAD_MAGIC),
        (b"CTKx", Code.BAD_MAGIC),
        (b"CTK11111", Code.BAD_MAGIC),
        (b"HTTP", Code.BAD_MAGIC),
        (b"", Code.BAD_MAGIC),
    ],
)
def test_another_magic_is_refused_and_another_major_by_name(frame: bytes, code: Code) -> None:
    with pytest.raises(ProtocolError) as caught:
        check_magic(frame)
    assert caught.value.code == code


def test_the_highest_common_version_is_agreed_on() -> None:
    assert negotiate([(MAJOR, MINOR)]) == (MAJOR, MINOR)
    assert negotiate([(MAJOR + 1, 0), (MAJOR, MINOR + 7)]) == (MAJOR, MINOR)


@pytest.mark.parametrize("offered", [[], [(MAJOR + 1, 0)], [(0, 9)]])
def test_without_a_common_major_there_is_no_agreement(offered: list[tuple[int, int]]) -> None:
    with pytest.raises(ProtocolError) as caught:
        negotiate(offered)
    assert caught.value.code == Code.VERSION_MISMATCH
    assert caught.value.mend


def test_every_code_has_a_rule() -> None:
    assert set(RULES) == set(Code)
    assert len(Code) == 26


def test_what_only_a_person_can_mend_is_not_retryable() -> None:
    final = {Reaction.REFUSE, Reaction.NEEDS_MENDING, Reaction.STOP_ASKING}
    assert not [code for code, rule in RULES.items() if rule.retryable and rule.reaction in final]


def test_what_may_pass_is_asked_again() -> None:
    again = {Reaction.SKIP, Reaction.SUSPECT, Reaction.RESTART}
    assert all(rule.reaction in again for rule in RULES.values() if rule.retryable)


def test_a_code_of_a_newer_peer_counts_as_internal() -> None:
    assert rule_for("gremlins") is RULES[Code.INTERNAL]


def test_the_light_client_can_import_its_part_without_msgspec_numpy_or_zmq() -> None:
    subprocess.run([sys.executable, "-c", LIGHT], check=True)

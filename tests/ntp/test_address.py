"""Server addresses as users write them."""

import pytest

from chronotick.errors import ConfigError
from chronotick.ntp.address import Endpoint, ServerAddress, parse_server, same_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("time.example.org", "time.example.org", 123),
        ("time.example.org:1123", "time.example.org", 1123),
        ("127.0.0.1", "127.0.0.1", 123),
        ("127.0.0.1:11123", "127.0.0.1", 11123),
        ("[::1]", "::1", 123),
        ("[::1]:11123", "::1", 11123),
        ("[fe80::1%eth0]:123", "fe80::1%eth0", 123),
        ("localhost", "localhost", 123),
    ],
)
def test_every_form_is_read(text: str, host: str, port: int) -> None:
    """Host or number, with or without a port; IPv6 in brackets."""
    assert parse_server(text) == ServerAddress(text=text, host=host, port=port)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the host is missing"),
        (":123", "the host is missing"),
        ("::1", "needs brackets"),
        ("fe80::1:123", "needs brackets"),
        ("[::1", "closing bracket"),
        ("[::1]123", "follows the bracket"),
        ("[time.example.org]", "not an IPv6 address"),
        ("time.example.org:", "not a number from 1 to 65535"),
        ("time.example.org:0", "not a number from 1 to 65535"),
        ("time.example.org:65536", "not a number from 1 to 65535"),
        ("time.example.org:ntp", "not a number from 1 to 65535"),
        ("192.0.2.400", "not an IPv4 address"),
        ("192.0.2", "not an IPv4 address"),
        ("time example", "not a host name"),
        ("-time.example.org", "not a host name"),
        ("a" * 64 + ".org", "not a host name"),
    ],
)
def test_errors_say_which_part_and_how_to_mend_it(text: str, what: str) -> None:
    """The message names the entry and the fault, and shows the right forms."""
    with pytest.raises(ConfigError, match=what) as caught:
        parse_server(text)
    assert f'"{text}"' in caught.value.message
    assert caught.value.mend is not None


def test_only_numbers_are_numeric() -> None:
    """A number needs no name service; a name does."""
    assert parse_server("[::1]").numeric
    assert parse_server("192.0.2.1").numeric
    assert not parse_server("localhost").numeric


def test_addresses_compare_by_value() -> None:
    """Spelling does not matter, families do, and nonsense is equal to nothing."""
    assert same_address("2001:db8::1", "2001:0db8:0:0:0:0:0:1")
    assert same_address("fe80::1%eth0", "fe80::1")
    assert not same_address("192.0.2.1", "::ffff:192.0.2.1")
    assert not same_address("x", "x")


def test_endpoints_know_their_family() -> None:
    """IPv6 carries its scope into the socket's address."""
    assert Endpoint("fe80::1", 123, 4).sockaddr() == ("fe80::1", 123, 0, 4)
    assert Endpoint("192.0.2.1", 123).sockaddr() == ("192.0.2.1", 123)

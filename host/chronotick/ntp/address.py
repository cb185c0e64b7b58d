"""Addresses of servers: as the user writes them, and as a socket takes them."""

import ipaddress
import re
from typing import Final

import msgspec

from chronotick.errors import ConfigError

NTP_PORT: Final = 123

_LABEL: Final = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST_NAME: Final = re.compile(rf"^(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*\.?$")
_MEND: Final = 'Write "host", "host:port", "[IPv6 address]" or "[IPv6 address]:port".'


class ServerAddress(msgspec.Struct, frozen=True):
    """A server as configured.

    Attributes:
        text: what the user wrote: the server's name everywhere.
        host: host name or numeric address, without brackets.
        port: UDP port, 1..65535.
    """

    text: str
    host: str
    port: int

    @property
    def numeric(self) -> bool:
        """Whether the host is an address already, so that no name service is needed."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return False
        return True


class Endpoint(msgspec.Struct, frozen=True):
    """Where packets go: a numeric address.

    Attributes:
        address: IPv4 or IPv6 address in its usual text form, without a scope.
        port: UDP port.
        scope: interface index of a link-local IPv6 address, else 0.
    """

    address: str
    port: int
    scope: int = 0

    @property
    def is_ipv6(self) -> bool:
        """Whether the address is an IPv6 one."""
        return ":" in self.address

    def sockaddr(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """The form that the socket module takes."""
        return (self.address, self.port, 0, self.scope) if self.is_ipv6 else (self.address, self.port)


def same_address(one: str, other: str) -> bool:
    """Whether two numeric addresses are the same, whatever their spelling; a scope is not looked at.

    Anything that is not a numeric address is equal to nothing.
    """
    try:
        return ipaddress.ip_address(one.partition("%")[0]) == ipaddress.ip_address(other.partition("%")[0])
    except ValueError:
        return False


def parse_server(text: str) -> ServerAddress:
    """Read one entry of `ntp.servers`.

    Raises:
        ConfigError: it is none of "host", "host:port", "[v6]", "[v6]:port"; says which part is wrong.
    """
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket:
            raise _error(text, "the closing bracket is missing")
        if rest and not rest.startswith(":"):
            raise _error(text, f'"{rest}" follows the bracket where a colon and a port may')
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise _error(text, f'"{host}" is not an IPv6 address') from None
        return ServerAddress(text=text, host=host, port=_port(text, rest[1:]) if rest else NTP_PORT)
    if text.count(":") > 1:
        raise _error(text, "an IPv6 address needs brackets")
    host, colon, port = text.partition(":")
    _check_host(text, host)
    return ServerAddress(text=text, host=host, port=_port(text, port) if colon else NTP_PORT)


def _check_host(text: str, host: str) -> None:
    if not _HOST_NAME.match(host):
        raise _error(text, f'"{host}" is not a host name' if host else "the host is missing")
    if host.rstrip(".").rpartition(".")[2].isdigit():
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise _error(text, f'"{host}" is not an IPv4 address') from None


def _port(text: str, digits: str) -> int:
    if not (digits.isascii() and digits.isdigit()) or not 1 <= int(digits) <= 65535:
        raise _error(text, f'the port "{digits}" is not a number from 1 to 65535')
    return int(digits)


def _error(text: str, what: str) -> ConfigError:
    return ConfigError(f'NTP server "{text}": {what}.', mend=_MEND)

"""CURVE keys of tcp endpoints, in pyzmq's certificate files."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq
import zmq.auth

from chronotick.errors import RuntimeDirError


@dataclass(frozen=True)
class ServerKeys:
    """The host's pair, Z85, and the public keys of those who may connect."""

    public: bytes
    secret: bytes
    allowed: frozenset[bytes]


@dataclass(frozen=True)
class ClientKeys:
    """A connecting side's pair and the host's public key, Z85."""

    public: bytes
    secret: bytes
    server: bytes


def create_pair(directory: Path, name: str) -> tuple[Path, Path]:
    """Write a new pair as NAME.key (to hand out) and NAME.key_secret (0600); returns both paths."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    public, secret = zmq.auth.create_certificates(directory, name)
    os.chmod(secret, 0o600)
    return Path(public), Path(secret)


def load_server_keys(secret_file: Path, allowed_dir: Path) -> ServerKeys:
    """The host's pair and every NAME.key in `allowed_dir`.

    Raises:
        RuntimeDirError: a file is missing, open to others, or holds no key.
    """
    public, secret = _load_secret(secret_file)
    allowed = frozenset(_load_public(path) for path in sorted(allowed_dir.glob("*.key")))
    return ServerKeys(public=public, secret=secret, allowed=allowed)


def load_client_keys(secret_file: Path, server_file: Path) -> ClientKeys:
    """A connecting side's pair, and the host's NAME.key.

    Raises:
        RuntimeDirError: a file is missing, open to others, or holds no key.
    """
    public, secret = _load_secret(secret_file)
    return ClientKeys(public=public, secret=secret, server=_load_public(server_file))


class AllowedKeys:
    """Answers libzmq's question whether a key may connect."""

    def __init__(self, keys: ServerKeys) -> None:
        self._allowed = keys.allowed

    def callback(self, domain: str, key: bytes) -> bool:
        """True for a key (Z85) among those allowed."""
        return key in self._allowed


def start_authenticator(context: "zmq.Context[Any]", keys: ServerKeys) -> Callable[[], None]:
    """Refuse every CURVE client of this context whose key is not allowed; returns what stops that.

    Must run before a tcp endpoint is bound: without it libzmq lets in whoever knows the host's public key.
    """
    from zmq.auth.thread import ThreadAuthenticator  # only tcp hosts pay for this thread

    # The authenticator's thread works with plain sockets, whatever kind of context the caller has.
    authenticator = ThreadAuthenticator(zmq.Context.shadow(context))
    authenticator.start()
    authenticator.configure_curve_callback(domain="*", credentials_provider=AllowedKeys(keys))
    return authenticator.stop


def _load_secret(path: Path) -> tuple[bytes, bytes]:
    public, secret = _load(path)
    if secret is None:
        raise RuntimeDirError(f"{path} holds no secret key.", mend="Name the file that ends in .key_secret.")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise RuntimeDirError(f"The secret key {path} can be read by others.", mend=f"chmod 600 {path}")
    return public, secret


def _load_public(path: Path) -> bytes:
    return _load(path)[0]


def _load(path: Path) -> tuple[bytes, bytes | None]:
    try:
        return zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise RuntimeDirError(f"{path} can not be used as a key file: {error}.") from error

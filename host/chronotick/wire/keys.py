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
    """Write a new pair as NAME.key (to hand out) and NAME.key_secret (0600); returns both paths.

    Raises:
        RuntimeDirError: one of them exists already and is kept, or they can not be written.
    """
    public, secret = directory / f"{name}.key", directory / f"{name}.key_secret"
    for path in (secret, public):
        if os.path.lexists(path):
            raise RuntimeDirError(
                f"{path} exists, and is kept: who was given its other half could not connect any more.",
                mend="Choose another name, or remove it first.",
            )
    public_key, secret_key = (key.decode() for key in zmq.curve_keypair())
    _write(secret, 0o600, f'curve\n    public-key = "{public_key}"\n    secret-key = "{secret_key}"\n')
    write_public(public, public_key)
    return public, secret


def write_public(path: Path, key: str) -> None:
    """Write a public key (Z85) in a new file that all may read.

    Raises:
        RuntimeDirError: the file exists, or can not be written.
    """
    _write(path, 0o644, f'curve\n    public-key = "{key}"\n')


def load_server_keys(secret_file: Path, allowed_dir: Path) -> ServerKeys:
    """The host's pair and every NAME.key in `allowed_dir`.

    Raises:
        RuntimeDirError: a file is missing, open to others, or holds no key.
    """
    public, secret = _load_secret(secret_file)
    allowed = frozenset(load_public(path) for path in sorted(allowed_dir.glob("*.key")))
    return ServerKeys(public=public, secret=secret, allowed=allowed)


def load_client_keys(secret_file: Path, server_file: Path) -> ClientKeys:
    """A connecting side's pair, and the host's NAME.key.

    Raises:
        RuntimeDirError: a file is missing, open to others, or holds no key.
    """
    public, secret = _load_secret(secret_file)
    return ClientKeys(public=public, secret=secret, server=load_public(server_file))


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


def problem_of(secret_file: Path) -> str | None:
    """What is wrong with a secret key file, and what mends it; None for nothing."""
    try:
        _load_secret(secret_file)
    except RuntimeDirError as error:
        return str(error)
    return None


def load_public(path: Path) -> bytes:
    """The public key in a file, Z85.

    Raises:
        RuntimeDirError: the file is missing or holds none.
    """
    return _load(path)[0]


def holds_secret(path: Path) -> bool:
    """Whether a key file holds a secret key, which must not leave its machine.

    Raises:
        RuntimeDirError: the file is missing or holds no key.
    """
    return _load(path)[1] is not None


def _load_secret(path: Path) -> tuple[bytes, bytes]:
    public, secret = _load(path)
    if secret is None:
        raise RuntimeDirError(f"{path} holds no secret key.", mend="Name the file that ends in .key_secret.")
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise RuntimeDirError(f"The secret key {path} can be read by others.", mend=f"chmod 600 {path}")
    return public, secret


def _load(path: Path) -> tuple[bytes, bytes | None]:
    try:
        return zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise RuntimeDirError(f"{path} can not be used as a key file: {error}.") from error


def _write(path: Path, mode: int, text: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made with its mode: a secret must not be open to others even for an instant.
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(file, "w", encoding="utf-8") as stream:
            os.fchmod(file, mode)
            stream.write(f"# ZeroMQ CURVE key of {path.stem}, made by chronotick\n{text}")
    except OSError as error:
        raise RuntimeDirError(f"{path} can not be written: {error.strerror}.") from error

"""HELLO and WELCOME: who may speak, in which version, and what to load. Pure."""

import hmac
from collections.abc import Mapping
from pathlib import Path

from chronotick.config.schema import PluginConfig
from chronotick.errors import ProtocolError
from chronotick.plugins.manifest import Manifest
from chronotick.wire.codes import Code
from chronotick.wire.messages import Hello, Scalar
from chronotick.wire.version import negotiate


def identity_of(name: str, instance: str) -> bytes:
    """ZeroMQ identity of an incarnation of a plugin."""
    return f"{name}:{instance}".encode()


def name_in(identity: bytes) -> str:
    """Name in an identity; "" where there is none."""
    name, colon, _ = identity.decode("ascii", "replace").partition(":")
    return name if colon else ""


def check_hello(hello: Hello, identity: bytes, *, token: str) -> tuple[int, int]:
    """The protocol version to speak with who said this.

    Args:
        identity: of the connection it came from.
        token: what this plugin must know; an empty one admits nobody.

    Raises:
        ProtocolError: `bad_manifest`, `bad_token` or `version_mismatch`.
    """
    if identity != identity_of(hello.name, hello.instance):
        raise ProtocolError(
            Code.BAD_MANIFEST, f"A connection named {identity!r} says it is {hello.name}:{hello.instance}."
        )
    if not token or not hmac.compare_digest(hello.token.encode(), token.encode()):
        raise ProtocolError(Code.BAD_TOKEN, f"The token of {hello.name} (process {hello.pid}) is not the one expected.")
    return negotiate(hello.protocols)


def model_params(manifest: Manifest, config: PluginConfig) -> dict[str, Scalar]:
    """What WELCOME asks the plugin to load: the configuration's weights, or the manifest's where it names none.

    Folders are absolute: given a relative one that does not exist, a model library asks its hub.
    """
    params: dict[str, Scalar] = {
        "repo": config.repo,
        "size": config.size,
        "revision": config.revision,
        "path": _absolute(Path(), config.path),
        "device": config.device,
    }
    if not (config.repo or config.size or config.path):
        weights = manifest.weights
        path = _absolute(manifest.folder, weights.path)
        params |= {"repo": weights.repo, "revision": config.revision or weights.revision, "path": path}
    extra: Mapping[str, Scalar] = config.params
    return {key: value for key, value in params.items() if value != ""} | dict(extra)


def _absolute(folder: Path, path: str) -> str:
    return path if path in ("", "embedded") else str((folder / Path(path).expanduser()).absolute())

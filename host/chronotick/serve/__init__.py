"""The host's answers over ZeroMQ: read-only questions on one socket, commands on another."""

from chronotick.serve.admin import AdminVerbs
from chronotick.serve.server import Server
from chronotick.serve.verbs import ClientVerbs, Sources

__all__ = ["AdminVerbs", "ClientVerbs", "Server", "Sources"]

"""The host's answers over ZeroMQ: read-only questions on one socket, commands on another."""

from chronotick.serve.admin import AdminVerbs
from chronotick.serve.outlook import Outlook
from chronotick.serve.past import Past
from chronotick.serve.server import Server
from chronotick.serve.signer import Signer
from chronotick.serve.verbs import ClientVerbs, Sources

__all__ = ["AdminVerbs", "ClientVerbs", "Outlook", "Past", "Server", "Signer", "Sources"]

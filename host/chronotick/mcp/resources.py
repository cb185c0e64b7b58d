"""The resources: the clock and the host's condition as JSON, for clients that read rather than call."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from mcp_types import Annotations, Resource

from chronotick.mcp import answers
from chronotick.mcp import status as status_of
from chronotick.mcp.access import HostAccess

MIME = "application/json"


class ResourceSpec(NamedTuple):
    """A resource: its URI, its words, and what it says now."""

    uri: str
    name: str
    description: str
    read: Callable[[HostAccess], dict[str, Any]]

    def listed(self) -> Resource:
        """As `resources/list` shows it."""
        return Resource(
            uri=self.uri,
            name=self.name,
            title=f"ChronoTick {self.name}",
            description=self.description,
            mime_type=MIME,
            annotations=Annotations(audience=["assistant"], priority=1.0 if self.name == "now" else 0.5),
        )


def _now(access: HostAccess) -> dict[str, Any]:
    reading, _ = access.now()
    return answers.time_reading(reading).model_dump(mode="json")


def _status(access: HostAccess) -> dict[str, Any]:
    return status_of.host_status(access.sections()).model_dump(mode="json")


def _sources(access: HostAccess) -> dict[str, Any]:
    sources: dict[str, Any] = access.sections()["sources"]
    return sources


def _models(access: HostAccess) -> dict[str, Any]:
    sections = access.sections()
    return {"models": sections["plugins"], "forecasts": sections["forecasts"]}


SPECS = (
    ResourceSpec("chronotick://now", "now", "Trusted UTC with its intervals, at the moment of reading.", _now),
    ResourceSpec("chronotick://status", "status", "The host's condition, section by section.", _status),
    ResourceSpec("chronotick://sources", "sources", "The time servers, how good each is, and the vote.", _sources),
    ResourceSpec("chronotick://models", "models", "The forecasting models, their state, weight and skill.", _models),
)

BY_URI = {spec.uri: spec for spec in SPECS}


def text(spec: ResourceSpec, access: HostAccess) -> str:
    """What the resource says now, as JSON.

    Raises:
        ClockError: as the host's answer, or that there is none.
    """
    return json.dumps(spec.read(access))

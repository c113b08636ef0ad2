"""What an investigation reads beside logs: deployments, their steps, states and settings, and other changes.

Variables are read by name and time only, never by value.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from async_lru import alru_cache
from pydantic import BaseModel, Field

from railmend.railway import parse
from railmend.railway.model import Answer, DeploymentRecord
from railmend.railway.transport import Transport

HISTORY = 20
STEPS = 50
FEED = 50
VARIABLES_PAGE = 500
# Manifest settings left out: they say what a build is made from, not how it is built and run.
LEFT_OUT = frozenset({"build.watchPatterns", "build.nixpacksPlan", "build.nixpacksVersion"})
META_SETTINGS = ("rootDirectory", "image", "branch", "configFile", "runtime", "buildOnly")
MAX_VALUE = 300
# Concurrent activities of one investigation ask for the same deployments: cached, so one request serves all.
SHARED_SECONDS, SHARED_SERVICES = 30, 256


class Deployed(BaseModel):
    """A deployment and its settings, flattened: `deploy.startCommand`, `build.builder` ..."""

    record: DeploymentRecord
    settings: dict[str, str]


class Step(Answer):
    """One step of a deployment; fields from `error` on are set where Railway gives details."""

    name: str = Field(alias="step")
    started: datetime = Field(alias="createdAt")
    ended: datetime | None = Field(None, alias="completedAt")
    error: str | None = None
    reason: str | None = None
    detail: str | None = None
    attempt: int | None = None
    attempts: int | None = Field(None, alias="maxAttempts")


class State(Answer):
    """State of a deployment; a crash loop with restarts left is `SUCCESS` with restarting instances."""

    status: str
    created_at: datetime
    changed_at: datetime | None = Field(alias="statusUpdatedAt")
    stopped: bool = Field(alias="deploymentStopped")
    instances: tuple[str, ...]  # the state of each


class ConfigurationChange(Answer):
    """An entry of the project's activity feed, without its payload, which may hold values of variables."""

    at: datetime = Field(alias="createdAt")
    action: str
    object: str
    severity: str


class Variable(Answer):
    name: str
    created_at: datetime
    updated_at: datetime


class Context:
    """Reader of an incident's context. Every method raises the errors of `railmend.railway.errors`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._shared_history = alru_cache(SHARED_SERVICES, ttl=SHARED_SECONDS)(self._history)

    async def history(self, project_id: str, environment_id: str, service_id: str) -> list[Deployed]:
        """Return the service's deployments, newest first, at most `SHARED_SECONDS` old.

        A deployment that is still being built has incomplete settings.
        """
        return list(await self._shared_history(project_id, environment_id, service_id))

    async def _history(self, project_id: str, environment_id: str, service_id: str) -> list[Deployed]:
        service = {"projectId": project_id, "environmentId": environment_id, "serviceId": service_id}
        data = await self._transport.execute("deployments", {"input": service, "first": HISTORY})
        return [deployed(node) for node in parse.nodes(data["deployments"])]

    async def state(self, deployment_id: str) -> State:
        data = await self._transport.execute("deployment_state", {"id": deployment_id})
        states = tuple(row["status"] for row in data["deployment"]["instances"])
        return State.model_validate({**data["deployment"], "instances": states})

    async def steps(self, deployment_id: str) -> list[Step]:
        """Return the deployment's steps in the order in which they began."""
        data = await self._transport.execute("deployment_events", {"id": deployment_id, "first": STEPS})
        nodes = parse.nodes(data["deploymentEvents"])
        steps = (Step.model_validate({**(node["payload"] or {}), **node}) for node in nodes)
        return sorted(steps, key=lambda step: step.started)

    async def changes(
        self, project_id: str, environment_id: str, service_id: str
    ) -> list[ConfigurationChange]:
        """Return this service's entries of the activity feed, newest first."""
        variables = {
            "projectId": project_id,
            "environmentId": environment_id,
            "serviceIds": [service_id],
            "first": FEED,
        }
        data = await self._transport.execute("activity_feed", variables)
        rows = map(ConfigurationChange.model_validate, parse.nodes(data["events"]))
        return sorted(rows, key=lambda change: change.at, reverse=True)

    async def variables(self, project_id: str, environment_id: str, service_id: str) -> list[Variable]:
        """Return names and times of this service's variables and of those shared by all services."""
        variables: list[Variable] = []
        after: str | None = None
        while True:
            page = {"environmentId": environment_id, "projectId": project_id, "after": after}
            data = await self._transport.execute("variable_names", {**page, "first": VARIABLES_PAGE})
            connection = data["environment"]["variables"]
            variables += [
                Variable.model_validate(node)
                for node in parse.nodes(connection)
                if node["serviceId"] in (None, service_id)
            ]
            after = connection["pageInfo"]["endCursor"]
            if not connection["pageInfo"]["hasNextPage"]:
                return variables


def deployed(node: Mapping[str, Any]) -> Deployed:
    """Parse a node of the deployments connection."""
    record = parse.deployment(dict(node))
    meta = node["meta"] or {}
    manifest = meta.get("serviceManifest") or {}
    settings = {name: _text(meta[name]) for name in META_SETTINGS if meta.get(name) not in (None, "")}
    for part in ("build", "deploy"):
        settings |= _flat(manifest.get(part) or {}, f"{part}.")
    return Deployed(record=record, settings={k: v for k, v in settings.items() if k not in LEFT_OUT})


def _flat(tree: Mapping[str, Any], prefix: str) -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value not in (None, [], ""):
            flat[f"{prefix}{key}"] = _text(value)
    return flat


def _text(value: Any) -> str:
    return str(value)[:MAX_VALUE]

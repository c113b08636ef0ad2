"""What an investigation asks beside logs: a deployment's steps and state, its settings, what else changed.

A variable's value is never asked for: names and times only.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from async_lru import alru_cache
from pydantic import BaseModel

from railmend.railway import parse
from railmend.railway.model import DeploymentRecord
from railmend.railway.transport import Transport

HISTORY = 20
STEPS = 50
FEED = 50
VARIABLES_PAGE = 500
# Of a deployment's manifest: what says how it is built and run, not what it was built from.
LEFT_OUT = frozenset({"build.watchPatterns", "build.nixpacksPlan", "build.nixpacksVersion"})
META_SETTINGS = ("rootDirectory", "image", "branch", "configFile", "runtime", "buildOnly")
MAX_VALUE = 300
# One investigation asks for its service's deployments several times at once; they are one request.
SHARED_SECONDS, SHARED_SERVICES = 30, 256


class Deployed(BaseModel):
    """A deployment and the settings it was made with, flat: `deploy.startCommand`, `build.builder` ..."""

    record: DeploymentRecord
    settings: dict[str, str]


class Step(BaseModel):
    """One step of a deployment; `error` and the rest where Railway says more."""

    name: str
    started: datetime
    ended: datetime | None = None
    error: str | None = None
    reason: str | None = None
    detail: str | None = None
    attempt: int | None = None
    attempts: int | None = None
    skipped: bool = False


class State(BaseModel):
    """How a deployment stands: a crash loop with restarts left is `SUCCESS` with instances that restart."""

    status: str
    created_at: datetime
    changed_at: datetime | None
    stopped: bool
    instances: tuple[str, ...]  # their states


class ConfigurationChange(BaseModel):
    """A line of the project's activity feed; its payload is not asked for, it may hold values."""

    at: datetime
    action: str
    object: str
    severity: str


class Variable(BaseModel):
    name: str
    created_at: datetime
    updated_at: datetime


class Context:
    """Every method raises the errors of `railmend.railway.errors`."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._shared_history = alru_cache(SHARED_SERVICES, ttl=SHARED_SECONDS)(self._history)

    async def history(self, project_id: str, environment_id: str, service_id: str) -> list[Deployed]:
        """Newest first; settings of one that is still being built are half filled, so they are left empty.

        As of at most `SHARED_SECONDS` ago.
        """
        return list(await self._shared_history(project_id, environment_id, service_id))

    async def _history(self, project_id: str, environment_id: str, service_id: str) -> list[Deployed]:
        wanted = {"projectId": project_id, "environmentId": environment_id, "serviceId": service_id}
        data = await self._transport.execute("deployments", {"input": wanted, "first": HISTORY})
        return [deployed(node) for node in parse.nodes(data["deployments"])]

    async def state(self, deployment_id: str) -> State:
        data = await self._transport.execute("deployment_state", {"id": deployment_id})
        found = data["deployment"]
        return State(
            status=found["status"],
            created_at=found["createdAt"],
            changed_at=found["statusUpdatedAt"],
            stopped=found["deploymentStopped"],
            instances=tuple(row["status"] for row in found["instances"]),
        )

    async def steps(self, deployment_id: str) -> list[Step]:
        """In the order in which they began."""
        data = await self._transport.execute("deployment_events", {"id": deployment_id, "first": STEPS})
        return sorted(map(_step, parse.nodes(data["deploymentEvents"])), key=lambda step: step.started)

    async def changes(
        self, project_id: str, environment_id: str, service_id: str
    ) -> list[ConfigurationChange]:
        """Of this service, newest first."""
        variables = {
            "projectId": project_id,
            "environmentId": environment_id,
            "serviceIds": [service_id],
            "first": FEED,
        }
        data = await self._transport.execute("activity_feed", variables)
        rows = [
            ConfigurationChange(
                at=node["createdAt"], **{name: node[name] for name in ("action", "object", "severity")}
            )
            for node in parse.nodes(data["events"])
        ]
        return sorted(rows, key=lambda change: change.at, reverse=True)

    async def variables(self, project_id: str, environment_id: str, service_id: str) -> list[Variable]:
        """Names of this service's variables and of those shared by all, with when they were set."""
        found: list[Variable] = []
        after: str | None = None
        while True:
            asked = {"environmentId": environment_id, "projectId": project_id, "after": after}
            data = await self._transport.execute("variable_names", {**asked, "first": VARIABLES_PAGE})
            connection = data["environment"]["variables"]
            found += [
                Variable(name=node["name"], created_at=node["createdAt"], updated_at=node["updatedAt"])
                for node in parse.nodes(connection)
                if node["serviceId"] in (None, service_id)
            ]
            after = connection["pageInfo"]["endCursor"]
            if not connection["pageInfo"]["hasNextPage"]:
                return found


def deployed(node: Mapping[str, Any]) -> Deployed:
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


def _step(node: Mapping[str, Any]) -> Step:
    payload = node["payload"] or {}
    return Step(
        name=node["step"],
        started=node["createdAt"],
        ended=node["completedAt"],
        error=payload.get("error"),
        reason=payload.get("reason"),
        detail=payload.get("detail"),
        attempt=payload.get("attempt"),
        attempts=payload.get("maxAttempts"),
        skipped=bool(payload.get("skipped")),
    )

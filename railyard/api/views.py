"""Services, deployments, their steps and events, and logs in the shapes of the schema."""

from collections.abc import Sequence
from datetime import datetime
from inspect import getmembers, ismethod
from typing import Any

from railyard.platform.model import Deployment, HttpRow, LogRow
from railyard.platform.service import ServiceRunner

Json = dict[str, Any]
STAMP = "2026-01-01T00:00:00Z"
ENDED = frozenset({"SUCCESS", "REMOVED", "CRASHED"})
ACTIONS = {
    "SUCCESS": ("deployed", "INFO"),
    "REMOVED": ("removed", "INFO"),
    "FAILED": ("failed", "WARNING"),
    "CRASHED": ("crashed", "CRITICAL"),
}


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def connection(nodes: Sequence[Json], first: int | None = None, after: str | None = None) -> Json:
    """A Relay connection; cursors are positions."""
    start = int(after) + 1 if after else 0
    page = list(nodes)[start:][: first if first is not None else 100]
    last = start + len(page) - 1
    return {
        "edges": [{"cursor": str(start + number), "node": node} for number, node in enumerate(page)],
        "pageInfo": {
            "hasNextPage": start + len(page) < len(nodes),
            "hasPreviousPage": start > 0,
            "startCursor": str(start) if page else None,
            "endCursor": str(last) if page else None,
        },
    }


def connected(nodes: Sequence[Json]) -> Any:
    """A field with paging arguments."""

    def resolve(_: Any, **arguments: Any) -> Json:
        return connection(nodes, arguments.get("first"), arguments.get("after"))

    return resolve


def root_of(resolvers: object) -> Json:
    """Return the root value: a field's resolver is the method of its name behind an underscore."""
    return {name.removeprefix("_"): method for name, method in getmembers(resolvers, ismethod)}


def token(project_id: str, environment_id: str) -> Json:
    ids = {"projectId": project_id, "environmentId": environment_id}
    return {"id": "token", "name": "demo", "displayToken": "****", "createdAt": STAMP, **ids}


def project(project_id: str, name: str) -> Json:
    return {"id": project_id, "name": name, "isPublic": False, "createdAt": STAMP, "updatedAt": STAMP}


def listed_project(project_id: str, name: str, environment_ids: Sequence[str]) -> Json:
    """A project as a list has it, with its environments."""
    environments = [environment(project_id, each) for each in environment_ids]
    return {**project(project_id, name), "environments": connected(environments)}


def environment(project_id: str, environment_id: str, **connections: Sequence[Json]) -> Json:
    """An environment; `connections`: the nodes of each."""
    names = ("serviceInstances", "deploymentTriggers", "deployments", "variables", "volumeInstances")
    return {
        "id": environment_id,
        "name": "production",
        "projectId": project_id,
        "canAccess": True,
        "isEphemeral": False,
        "unmergedChangesCount": 0,
        "createdAt": STAMP,
        "updatedAt": STAMP,
        **{name: connected(connections.get(name, ())) for name in names},
    }


def deployment(record: Deployment, project_id: str, environment_id: str) -> Json:
    return {
        "id": record.id,
        "status": record.status,
        "createdAt": iso(record.created_at),
        "updatedAt": iso(record.status_at),
        "statusUpdatedAt": iso(record.status_at),
        "deploymentStopped": record.status not in ("SUCCESS", "SLEEPING"),
        "canRedeploy": True,
        "canRollback": record.status == "REMOVED",
        # While it is being built, meta is incomplete.
        "meta": {"reason": "deploy"} if record.status == "BUILDING" else record.meta,
        "instances": [{"id": record.instance_id, "status": record.instance_status}],
        "environmentId": environment_id,
        "projectId": project_id,
        "serviceId": record.service_id,
        "url": None,
    }


def service_instance(runner: ServiceRunner, project_id: str, environment_id: str) -> Json:
    spec, deployments = runner.spec, runner.deployments
    shown = [deployment(record, project_id, environment_id) for record in deployments]
    active = [row for row, record in zip(shown, deployments, strict=True) if record is runner.serving]
    created = iso(deployments[0].created_at) if deployments else "1970-01-01T00:00:00Z"
    domain = f"127.0.0.1:{runner.address.port}"
    return instance(spec.service_id, spec.name, environment_id, spec.repo, domain) | {
        "createdAt": created,
        "updatedAt": created,
        "rootDirectory": spec.root_directory or None,
        "startCommand": " ".join(spec.start_command),
        "region": "us-west2",
        "latestDeployment": shown[-1] if shown else None,
        "activeDeployments": active,
    }


def instance(service_id: str, name: str, environment_id: str, repo: str, domain: str | None) -> Json:
    """A service of one process without deployments; `domain`: where it is reached from outside."""
    ids = {"environmentId": environment_id, "serviceId": service_id}
    shown = {
        "id": f"domain-{service_id}",
        "domain": domain,
        "targetPort": None,
        "syncStatus": "ACTIVE",
        **ids,
    }
    return {
        **ids,
        "id": f"instance-{service_id}",
        "serviceName": name,
        "createdAt": STAMP,
        "updatedAt": STAMP,
        "deletedAt": None,
        "builder": "RAILPACK",
        "isUpdatable": True,
        "source": {"repo": repo, "image": None},
        "numReplicas": 1,
        "restartPolicyType": "ON_FAILURE",
        "restartPolicyMaxRetries": 10,
        "sleepApplication": False,
        "watchPatterns": [],
        "domains": {"serviceDomains": [shown] if domain else [], "customDomains": []},
        "latestDeployment": None,
        "activeDeployments": [],
    }


def trigger(service_id: str, repository: str, branch: str, project_id: str, environment_id: str) -> Json:
    return {
        "id": f"trigger-{service_id}",
        "serviceId": service_id,
        "environmentId": environment_id,
        "projectId": project_id,
        "provider": "github",
        "repository": repository,
        "branch": branch,
        "checkSuites": False,
        "validCheckSuites": 0,
        "baseEnvironmentOverrideId": None,
    }


def log(row: LogRow, tags: Json) -> Json:
    # Attribute values are JSON text, so strings carry quotes.
    level = {"key": "level", "value": f'"{row.severity}"'}
    return {
        "timestamp": iso(row.at),
        "message": row.message,
        "severity": row.severity,
        "attributes": [level],
        "tags": tags,
    }


def http_log(row: HttpRow, instance_id: str) -> Json:
    return {
        "timestamp": iso(row.at),
        "deploymentId": row.deployment_id,
        "deploymentInstanceId": instance_id,
        "method": row.method,
        "path": row.path,
        "httpStatus": row.status,
        "totalDuration": round(row.total_ms),
        "upstreamRqDuration": round(row.upstream_ms),
        "requestId": row.request_id,
        "responseDetails": row.details,
        "clientUa": "",
        "downstreamProto": "HTTP/1.1",
        "edgeRegion": "us-west2",
        "host": "127.0.0.1",
        "rxBytes": 0,
        "srcIp": "192.0.2.1",
        "txBytes": 0,
        "upstreamAddress": "",
        "upstreamErrors": "",
        "upstreamProto": "HTTP/1.1",
    }


def steps(deployment: Deployment) -> list[Json]:
    """Return the steps; all begin and end with the deployment, of which only these times are recorded."""
    built = deployment.status not in ("INITIALIZING", "BUILDING") and not _build_failed(deployment)
    names = ["SNAPSHOT_CODE", "BUILD_IMAGE"]
    if built:
        names += ["CREATE_CONTAINER", "HEALTHCHECK"]
    rows = [_step(deployment, name) for name in names]
    if deployment.status in ("FAILED", "CRASHED"):
        last = (deployment.build_logs if _build_failed(deployment) else deployment.logs) or None
        rows[-1]["payload"] = {"error": last[-1].message if last else deployment.status}
    return rows


def _build_failed(deployment: Deployment) -> bool:
    return deployment.status == "FAILED" and not deployment.logs


def _step(deployment: Deployment, name: str) -> Json:
    ended = deployment.status in ENDED or deployment.status == "FAILED"
    return {
        "id": f"{deployment.id}-{name}",
        "step": name,
        "createdAt": iso(deployment.created_at),
        "completedAt": iso(deployment.status_at) if ended else None,
        "payload": None,
    }


def events(deployment: Deployment, project_id: str, environment_id: str) -> list[Json]:
    """Return one event for the creation and one for the end."""
    base = {"object": "Deployment", "projectId": project_id, "environmentId": environment_id}
    rows: list[Json] = [
        {
            "id": f"{deployment.id}-created",
            "action": "created",
            "severity": "INFO",
            "createdAt": iso(deployment.created_at),
        }
    ]
    if deployment.status in ACTIONS:
        action, severity = ACTIONS[deployment.status]
        rows.append(
            {
                "id": f"{deployment.id}-{action}",
                "action": action,
                "severity": severity,
                "createdAt": iso(deployment.status_at),
            }
        )
    return [{**base, **row} for row in rows]

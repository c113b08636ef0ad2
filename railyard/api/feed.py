"""A deployment's steps and the project's activity feed, derived from the platform's records."""

from railyard.api.views import Json, iso
from railyard.platform.model import Deployment

ENDED = frozenset({"SUCCESS", "REMOVED", "CRASHED"})
ACTIONS = {
    "SUCCESS": ("deployed", "INFO"),
    "REMOVED": ("removed", "INFO"),
    "FAILED": ("failed", "WARNING"),
    "CRASHED": ("crashed", "CRITICAL"),
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

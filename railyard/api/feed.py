"""A deployment's steps and the project's activity feed, told from what the platform remembers."""

from railyard.api.views import Json, iso
from railyard.platform.model import Deployment

ENDED = frozenset({"SUCCESS", "REMOVED", "CRASHED"})
ACTIONS = {
    "SUCCESS": ("deployed", "INFO"),
    "REMOVED": ("removed", "INFO"),
    "FAILED": ("failed", "WARNING"),
    "CRASHED": ("crashed", "CRITICAL"),
}


def steps(one: Deployment) -> list[Json]:
    """Only the times of the first and the last change are remembered, so steps begin and end with these."""
    built = one.status not in ("INITIALIZING", "BUILDING") and not _build_failed(one)
    names = ["SNAPSHOT_CODE", "BUILD_IMAGE"]
    if built:
        names += ["CREATE_CONTAINER", "HEALTHCHECK"]
    rows = [_step(one, name) for name in names]
    if one.status in ("FAILED", "CRASHED"):
        last = (one.build_logs if _build_failed(one) else one.logs) or None
        rows[-1]["payload"] = {"error": last[-1].message if last else one.status}
    return rows


def _build_failed(one: Deployment) -> bool:
    return one.status == "FAILED" and not one.logs


def _step(one: Deployment, name: str) -> Json:
    ended = one.status in ENDED or one.status == "FAILED"
    return {
        "id": f"{one.id}-{name}",
        "step": name,
        "createdAt": iso(one.created_at),
        "completedAt": iso(one.status_at) if ended else None,
        "payload": None,
    }


def events(one: Deployment, project_id: str, environment_id: str) -> list[Json]:
    """One when it was made, one for how it ended."""
    base = {"object": "Deployment", "projectId": project_id, "environmentId": environment_id}
    rows: list[Json] = [
        {"id": f"{one.id}-created", "action": "created", "severity": "INFO", "createdAt": iso(one.created_at)}
    ]
    if one.status in ACTIONS:
        action, severity = ACTIONS[one.status]
        rows.append(
            {
                "id": f"{one.id}-{action}",
                "action": action,
                "severity": severity,
                "createdAt": iso(one.status_at),
            }
        )
    return [{**base, **row} for row in rows]

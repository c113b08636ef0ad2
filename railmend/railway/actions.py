"""Roll back or restart after a person's approval; each is idempotent by reading the state first.

An action is identified by its deployment and the time of its approval: what happened to the service since
then tells whether an earlier attempt has done it already.
"""

from datetime import datetime
from typing import Any

from railmend.railway import parse
from railmend.railway.errors import RailwayError
from railmend.railway.model import DeploymentRecord
from railmend.railway.transport import Transport

# Newest deployments searched for the one that an earlier attempt made.
HISTORY = 20
LIVE_STATUSES = frozenset({"SUCCESS", "BUILDING", "DEPLOYING", "INITIALIZING", "QUEUED", "WAITING"})


class ActionRefused(RailwayError):
    """Railway does not allow the action now; the message says why and what to do instead."""


def _refuse_over_staged_changes(deployment: dict[str, Any]) -> None:
    """Do nothing to an environment that a person is just changing."""
    staged = deployment["environment"]["unmergedChangesCount"] or 0
    if staged:
        changes = "1 change is" if staged == 1 else f"{staged} changes are"
        raise ActionRefused(
            f"{changes} staged in this environment and not deployed: somebody is changing it. Deploy or "
            "discard them in Railway, then do this there; the next scan that finds it needed offers it again."
        )


class Actions:
    """Approved actions. What happened after `approved_at` is taken as the work of an earlier attempt."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def rollback(self, deployment_id: str, approved_at: datetime) -> DeploymentRecord | None:
        """Restore image and variables of an earlier deployment, as a new one.

        Return the new deployment, or None until the service's history shows it: Railway returns no id.
        """
        target = await self._deployment(deployment_id)
        deployment = await self._since(target, approved_at)
        if deployment is None:
            _refuse_over_staged_changes(target)
            if not target["canRollback"]:
                raise ActionRefused("Its image is no longer kept. Redeploy the commit instead.")
            await self._run("rollback", {"id": deployment_id})
            deployment = await self._since(target, approved_at)
        return deployment

    async def restart(self, deployment_id: str, approved_at: datetime) -> bool:
        """Restart the deployment's process; return False if it was restarted since the approval already."""
        target = await self._deployment(deployment_id)
        if target["status"] == "SLEEPING":
            raise ActionRefused("It is asleep: a request wakes it, a restart is not possible.")
        changed = target["statusUpdatedAt"]
        if changed and datetime.fromisoformat(changed) > approved_at:
            return False
        _refuse_over_staged_changes(target)
        await self._run("restart", {"id": deployment_id})
        return True

    async def _run(self, document: str, variables: dict[str, Any]) -> dict[str, Any]:
        return await self._transport.execute(document, variables, urgent=True)

    async def _deployment(self, deployment_id: str) -> dict[str, Any]:
        data = await self._run("deployment", {"id": deployment_id})
        deployment: dict[str, Any] = data["deployment"]
        return deployment

    async def _since(self, target: dict[str, Any], approved_at: datetime) -> DeploymentRecord | None:
        """Return a deployment of the same commit, made after the approval, that is live or coming up."""
        wanted = {key: target[key] for key in ("projectId", "environmentId", "serviceId")}
        data = await self._run("deployments", {"input": wanted, "first": HISTORY})
        records = (parse.deployment(node) for node in parse.nodes(data["deployments"]))
        commit = (target["meta"] or {}).get("commitHash")
        for record in records:
            same = record.commit in (None, commit)  # None while it is being built
            if (
                record.id != target["id"]
                and record.created_at > approved_at
                and same
                and record.status in LIVE_STATUSES
            ):
                return record
        return None

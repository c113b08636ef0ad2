"""Rollback, redeploy, restart: used after a person's approval, each idempotent by re-reading state.

An action is named by the deployment it concerns and the moment it was approved: what happened to the
service since that moment tells whether an earlier attempt has done it already.
"""

from datetime import datetime
from typing import Any

from railmend.railway import parse
from railmend.railway.errors import RailwayError
from railmend.railway.model import DeploymentRecord
from railmend.railway.transport import Transport

# How far back the service's history is searched for what an earlier attempt left.
HISTORY = 20
LIVING = frozenset({"SUCCESS", "BUILDING", "DEPLOYING", "INITIALIZING", "QUEUED", "WAITING"})


class ActionRefused(RailwayError):
    """Railway does not allow it now; the message says why and what to do instead."""


class Actions:
    """`approved_at`: what was done after it is taken for this action's doing."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def rollback(self, deployment_id: str, approved_at: datetime) -> DeploymentRecord | None:
        """Restore image and variables of an earlier deployment, as a new one.

        Railway does not tell the new one's id; it is None until it shows in the service's history.
        """
        target = await self._deployment(deployment_id)
        done = await self._since(target, approved_at)
        if done is None:
            if not target["canRollback"]:
                raise ActionRefused("Its image is no longer kept. Redeploy the commit instead.")
            await self._run("rollback", {"id": deployment_id})
            done = await self._since(target, approved_at)
        return done

    async def redeploy(self, deployment_id: str, approved_at: datetime) -> DeploymentRecord | None:
        """The same code and settings once more, as a new deployment."""
        target = await self._deployment(deployment_id)
        done = await self._since(target, approved_at)
        if done is None:
            if not target["canRedeploy"]:
                raise ActionRefused("Railway cannot redeploy it. Push a commit, or redeploy a newer one.")
            await self._run("redeploy", {"id": deployment_id})
            done = await self._since(target, approved_at)
        return done

    async def restart(self, deployment_id: str, approved_at: datetime) -> bool:
        """Restart its process; False when it was restarted since the approval already."""
        target = await self._deployment(deployment_id)
        if target["status"] == "SLEEPING":
            raise ActionRefused("It is asleep: a request wakes it, a restart is not possible.")
        changed = target["statusUpdatedAt"]
        if changed and datetime.fromisoformat(changed) > approved_at:
            return False
        await self._run("restart", {"id": deployment_id})
        return True

    async def _run(self, document: str, variables: dict[str, Any]) -> dict[str, Any]:
        return await self._transport.execute(document, variables, urgent=True)

    async def _deployment(self, deployment_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self._run("deployment", {"id": deployment_id}))["deployment"]
        return found

    async def _since(self, target: dict[str, Any], approved_at: datetime) -> DeploymentRecord | None:
        """A deployment of the same commit, made after the approval, that lives or comes up."""
        wanted = {key: target[key] for key in ("projectId", "environmentId", "serviceId")}
        data = await self._run("deployments", {"input": wanted, "first": HISTORY})
        records = (parse.deployment(node) for node in parse.nodes(data["deployments"]))
        commit = (target["meta"] or {}).get("commitHash")
        for record in records:
            same = record.commit in (None, commit)  # half-filled while it is built
            if (
                record.id != target["id"]
                and record.created_at > approved_at
                and same
                and record.status in LIVING
            ):
                return record
        return None

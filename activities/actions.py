"""Rollback and restart, after a person's approval."""

from datetime import datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.heartbeat import working
from railmend.contracts.action import (
    ActionKind,
    ActionOrder,
    ActionRequest,
    ActionResult,
    ActionState,
    RollbackOffer,
    RollbackQuestion,
)
from railmend.railway.actions import Actions
from railmend.railway.model import DeploymentRecord
from railmend.railway.pool import RailwayPool

# How far back a deployment that served is looked for.
HISTORY = 20
# Served at some time: Railway removes a deployment when a newer one takes over.
SERVED = frozenset({"SUCCESS", "REMOVED", "SLEEPING"})
# What has a process that can be started again; a service that sleeps is woken by a request.
RESTARTED = frozenset({"SUCCESS", "CRASHED"})


class ActionActivities:
    def __init__(self, railway: RailwayPool) -> None:
        self._railway = railway

    @activity.defn
    async def find_rollback(self, question: RollbackQuestion) -> RollbackOffer:
        """Find the newest deployment that served before the one to get away from."""
        records = await self._deployments(question)
        return _offer(question, ActionKind.ROLLBACK, rollback_target(records, question.deployment_id))

    @activity.defn
    async def find_restart(self, question: RollbackQuestion) -> RollbackOffer:
        """Find the newest deployment that is up, or has crashed: a restart may help it."""
        records = await self._deployments(question)
        target = next((record for record in records if record.status in RESTARTED), None)
        return _offer(question, ActionKind.RESTART, target)

    async def _deployments(self, question: RollbackQuestion) -> list[DeploymentRecord]:
        async with working():
            client = await self._railway.client_for(question.environment_id)
            return await client.deployments(
                question.project_id, question.environment_id, question.service_id, HISTORY
            )

    @activity.defn
    async def perform(self, order: ActionOrder) -> ActionResult:
        """Perform the action. Idempotent: what an earlier attempt did since the approval is found again."""
        request = order.request
        async with working():
            client = await self._railway.client_for(request.environment_id)
            done, detail = await _run(client.actions, request, order.approved_at)
        return ActionResult(state=ActionState.DONE, detail=detail, deployment_id=done, at=order.approved_at)


def _offer(question: RollbackQuestion, kind: ActionKind, target: DeploymentRecord | None) -> RollbackOffer:
    if target is None:
        return RollbackOffer()
    return RollbackOffer(
        request=ActionRequest(
            kind=kind,
            project_id=question.project_id,
            environment_id=question.environment_id,
            service_id=question.service_id,
            service_name=question.service_name,
            deployment_id=target.id,
            reason=question.reason,
        )
    )


async def _run(actions: Actions, request: ActionRequest, at: datetime) -> tuple[str | None, str]:
    if request.kind is ActionKind.RESTART:
        fresh = await actions.restart(request.deployment_id, at)
        return request.deployment_id, "Restarted." if fresh else "It was restarted already."
    if request.kind is not ActionKind.ROLLBACK:
        raise ApplicationError(
            f"This worker cannot carry out {request.kind.value!r}: a newer version offered it. Start workers "
            "of that version; it is tried again."
        )
    record = await actions.rollback(request.deployment_id, at)
    return (record.id if record else None), f"Rolled back to deployment {request.deployment_id}."


def rollback_target(records: list[DeploymentRecord], away_from: str | None) -> DeploymentRecord | None:
    """Return the newest older record that served, with another commit where both commits are known.

    `records`: newest first.
    """
    if not records:
        return None
    bad = next((record for record in records if record.id == away_from), records[0])
    for record in records:
        older = record.created_at < bad.created_at
        same = record.commit is not None and record.commit == bad.commit
        if older and not same and record.status in SERVED:
            return record
    return None

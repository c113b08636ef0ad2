"""Reserve before a model or an agent is asked, say afterwards what it came to."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.ledger import LedgerActivities
    from railmend.contracts.ledger import (
        Reserve,
        ReserveAnswer,
        ReserveRequest,
        Spend,
        SpendingKind,
        SpendRequest,
    )
    from railmend.contracts.policy import Policy
    from workflows.shared import policies


class Purse:
    """One run's spending for some fingerprints; ids are made of the run's, so that a replay repeats them."""

    def __init__(self, project_id: str, policy: Policy, fingerprints: tuple[str, ...]) -> None:
        self._project_id = project_id
        self._policy = policy
        self._fingerprints = fingerprints
        self._asked = 0
        self._open: ReserveRequest | None = None

    async def reserve(self, kind: SpendingKind) -> ReserveAnswer:
        """Each call is a new question: a refused one may be granted later."""
        self._asked += 1
        info, policy = workflow.info(), self._policy
        request = ReserveRequest(
            reserve_id=f"{info.workflow_id}/{info.run_id}/{self._asked}",
            fingerprints=self._fingerprints,
            kind=kind,
            usd=policy.diagnosis_usd if kind is SpendingKind.DIAGNOSIS else policy.session_usd,
            budget=policy.budget,
            at=workflow.now(),
        )
        answer = await workflow.execute_activity_method(
            LedgerActivities.reserve,
            Reserve(project_id=self._project_id, reservation=request),
            **policies.LEDGER,
        )
        self._open = request if answer.granted else None
        return answer

    async def wait_and_reserve(self, kind: SpendingKind) -> None:
        """For a repair, which may wait for its budget; a scan never does."""
        while not (answer := await self.reserve(kind)).granted:
            again_at = answer.again_at or workflow.now() + policies.BUDGET_PAUSE
            when = f"{again_at:%Y-%m-%d %H:%M} UTC"
            workflow.set_current_details(
                f"Waits for budget until {when}: the limit of {answer.limit} is reached."
            )
            await workflow.sleep(max(again_at - workflow.now(), policies.BUDGET_PAUSE), summary="budget")

    async def spend(self, usd: float | None) -> None:
        """None: nobody can tell, after a failure; then the reserved sum stays."""
        if self._open is None or usd is None:
            return
        spending = SpendRequest(reserve_id=self._open.reserve_id, usd=usd)
        self._open = None
        await workflow.execute_activity_method(
            LedgerActivities.spend,
            Spend(project_id=self._project_id, spending=spending),
            **policies.LEDGER,
        )

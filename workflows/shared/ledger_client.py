"""How workflows use their project's ledger: claims, settlements, and money reserved before it is spent."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow

from activities.ledger import LedgerActivities
from railmend.contracts.incident import Incident, IncidentRequest
from railmend.contracts.ledger import (
    ClaimAnswer,
    ClaimBatch,
    ClaimRequest,
    Reserve,
    ReserveAnswer,
    ReserveRequest,
    SettlementBatch,
    SettleRequest,
    Spend,
    SpendingKind,
    SpendRequest,
)
from railmend.contracts.policy import Policy
from railmend.contracts.track_record import AutonomyDecision, AutonomyQuery, FixRecord
from workflows.shared import policies


def incident_id(incident: Incident) -> str:
    return f"incident/{incident.environment_id}/{incident.service.service_id}"


def settlement(
    fingerprints: Sequence[str],
    holder: str,
    outcome: str,
    detail: str,
    cooldown: timedelta = policies.COOLDOWN,
    unchanged: timedelta = policies.COOLDOWN_UNCHANGED,
    pull_request: str = "",
    fixes: tuple[FixRecord, ...] = (),
) -> SettleRequest:
    """Return what ends the claim that `holder` has on `fingerprints` in this run.

    They stay quiet for `cooldown`, and for `unchanged` while the same deployment serves.
    """
    return SettleRequest(
        settle_id=f"settle/{workflow.info().run_id}/{holder}",
        fingerprints=tuple(fingerprints),
        holder=holder,
        outcome=outcome,
        detail=detail[:500],
        cooldown_seconds=int(cooldown.total_seconds()),
        unchanged_cooldown_seconds=int(unchanged.total_seconds()),
        at=workflow.now(),
        pull_request=pull_request,
        fixes=fixes,
    )


class LedgerClient:
    """The ledger as one run uses it. Ids are made of the run's id, so that a replay repeats them."""

    def __init__(self, project_id: str) -> None:
        self._project_id = project_id
        self._reservations = 0
        self._open: ReserveRequest | None = None

    @property
    def has_reservation(self) -> bool:
        """Whether a reservation waits for its cost."""
        return self._open is not None

    async def claim(self, incidents: Sequence[IncidentRequest]) -> tuple[ClaimAnswer, ...]:
        """Claim each incident for its investigation; return one answer each, in order."""
        return await self._claim(
            [
                _claim_request(incident, incident_id(incident), policies.INCIDENT_LEASE)
                for incident in incidents
            ]
        )

    async def transfer(
        self, incidents: Sequence[Incident], repair_id: str, query: AutonomyQuery
    ) -> AutonomyDecision | None:
        """Hand the investigations' claims to the repair that takes them all; return how far it may go."""
        claims = [
            _claim_request(incident, repair_id, policies.REPAIR_LEASE).model_copy(
                update={"takes_over_from": incident_id(incident), "autonomy_query": query}
            )
            for incident in incidents
        ]
        answers = await self._claim(claims)
        return answers[0].autonomy

    async def settle(self, *settlements: SettleRequest) -> None:
        """End claims, and keep their fingerprints quiet for a while."""
        for start in range(0, len(settlements), policies.CLAIMS_AT_ONCE):
            some = settlements[start : start + policies.CLAIMS_AT_ONCE]
            await workflow.execute_activity_method(
                LedgerActivities.settle,
                SettlementBatch(project_id=self._project_id, settlements=some),
                **policies.LEDGER,
            )

    async def reserve(
        self, kind: SpendingKind, policy: Policy, fingerprints: tuple[str, ...]
    ) -> ReserveAnswer:
        """Reserve the most that one diagnosis or session may cost. A refused one may be granted later."""
        self._reservations += 1
        info = workflow.info()
        request = ReserveRequest(
            reserve_id=f"{info.workflow_id}/{info.run_id}/{self._reservations}",
            fingerprints=fingerprints,
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

    async def wait_and_reserve(
        self, kind: SpendingKind, policy: Policy, fingerprints: tuple[str, ...]
    ) -> None:
        """As `reserve`, for a repair, which may wait for its budget; a scan never does."""
        while not (answer := await self.reserve(kind, policy, fingerprints)).granted:
            again_at = answer.again_at or workflow.now() + policies.BUDGET_PAUSE
            workflow.set_current_details(
                f"Waits for budget until {again_at:%Y-%m-%d %H:%M} UTC: "
                f"the limit of {answer.limit} is reached."
            )
            await workflow.sleep(max(again_at - workflow.now(), policies.BUDGET_PAUSE), summary="budget")

    async def record_spend(self, usd: float | None) -> None:
        """Replace the open reservation by its cost. None: nobody can tell, so the reserved sum stays."""
        if self._open is None or usd is None:
            return
        spending = SpendRequest(reserve_id=self._open.reserve_id, usd=usd)
        self._open = None
        await workflow.execute_activity_method(
            LedgerActivities.spend,
            Spend(project_id=self._project_id, spending=spending),
            **policies.LEDGER,
        )

    async def _claim(self, claims: list[ClaimRequest]) -> tuple[ClaimAnswer, ...]:
        answers: list[ClaimAnswer] = []
        for start in range(0, len(claims), policies.CLAIMS_AT_ONCE):
            some = tuple(claims[start : start + policies.CLAIMS_AT_ONCE])
            batch = await workflow.execute_activity_method(
                LedgerActivities.claim,
                ClaimBatch(project_id=self._project_id, claims=some),
                **policies.LEDGER,
            )
            answers += batch.answers
        return tuple(answers)


def _claim_request(incident: Incident, holder: str, lease: timedelta) -> ClaimRequest:
    return ClaimRequest(
        claim_id=f"claim/{workflow.info().run_id}/{incident_id(incident)}/{holder}",
        fingerprints=incident.fingerprints,
        holder=holder,
        at=workflow.now(),
        lease_seconds=int(lease.total_seconds()),
        deployment=incident.service.active_deployment_id,
    )

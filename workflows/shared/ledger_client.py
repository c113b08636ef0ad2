"""How workflows use their project's ledger: claims, settlements, and money reserved before it is spent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.ledger import LedgerActivities
from railmend.contracts.incident import Incident
from railmend.contracts.ledger import (
    ClaimAnswer,
    ClaimBatch,
    ClaimRequest,
    ClaimState,
    Reserve,
    ReserveAnswer,
    ReserveRequest,
    SettlementBatch,
    SettleRequest,
    Spend,
    SpendingKind,
    SpendRequest,
    spending_key,
)
from railmend.contracts.policy import Policy
from railmend.contracts.scan import CHRONIC
from railmend.contracts.track_record import AutonomyQuery, FixRecord
from workflows.shared import details, policies

T = TypeVar("T")


class ClaimLost(ApplicationError):
    """Somebody else has the claim now: whoever had it does nothing more to the outside."""

    def __init__(self, answer: ClaimAnswer) -> None:
        super().__init__(
            f"The claim on {answer.fingerprint} is lost, so nothing more is done: {answer.detail}",
            type=type(self).__name__,
            non_retryable=True,
        )


@dataclass(frozen=True)
class _Held:
    """A claim that this run answers for, by the name that holds it: its own, or that of a repair to come."""

    incident: Incident
    holder: str
    first_run_id: str
    grant: int


@dataclass(frozen=True)
class HandOver:
    """Claims of a scan for the repair that it is about to start; `query`: how far that may go."""

    incidents: tuple[Incident, ...]
    repair_id: str
    query: AutonomyQuery


def incident_id(incident: Incident) -> str:
    return f"incident/{incident.environment_id}/{incident.service.service_id}"


def settlement(
    fingerprints: Sequence[str],
    outcome: str,
    detail: str,
    cooldown: timedelta = policies.COOLDOWN,
    unchanged: timedelta | None = None,
    pull_request: str = "",
    fixes: tuple[FixRecord, ...] = (),
) -> SettleRequest:
    """Return what ends the claim that this workflow has on `fingerprints`.

    They stay quiet for `cooldown`, and for `unchanged` while the same deployment serves; without it the
    policies' time: what was always bad is looked at once per deployment.
    """
    if unchanged is None:
        always = all(fingerprint.endswith(CHRONIC) for fingerprint in fingerprints)
        unchanged = policies.COOLDOWN_CHRONIC if always else policies.COOLDOWN_UNCHANGED
    info = workflow.info()
    return SettleRequest(
        settle_id=f"settle/{info.run_id}/{spending_key(fingerprints[0])}",
        fingerprints=tuple(fingerprints),
        holder=info.workflow_id,
        first_run_id=info.first_execution_run_id,
        outcome=outcome,
        detail=detail[:500],
        cooldown_seconds=int(cooldown.total_seconds()),
        unchanged_cooldown_seconds=int(unchanged.total_seconds()),
        at=workflow.now(),
        pull_request=pull_request,
        fixes=fixes,
    )


class LedgerClient:
    """The ledger as one run uses it. Ids are made of the run's id, so that a replay repeats them.

    `patience`: how long an answer is waited for.
    """

    def __init__(self, project_id: str, patience: policies.LedgerCall = policies.LEDGER) -> None:
        self._project_id = project_id
        self._patience = patience
        self._reservations = self._confirmations = 0
        self._open: ReserveRequest | None = None
        self._held: dict[str, _Held] = {}  # by incident id

    @property
    def has_reservation(self) -> bool:
        """Whether a reservation waits for its cost."""
        return self._open is not None

    async def claim(
        self, incidents: Sequence[Incident], *, by_person: bool = False
    ) -> tuple[ClaimAnswer, ...]:
        """Claim each incident for this workflow; return one answer each, in order.

        `by_person`: somebody wants them looked at now, whatever their cool-down.
        """
        info = workflow.info()
        holder = info.workflow_id, info.first_execution_run_id
        requests = [
            _claim_request(incident, *holder).model_copy(update={"by_person": by_person})
            for incident in incidents
        ]
        return await self._claim(incidents, requests)

    async def transfer(self, over: Sequence[HandOver]) -> list[tuple[ClaimAnswer, ...]]:
        """Hand claims to the repairs that are about to start; return one answer an incident, in order.

        Refused is what somebody else has meanwhile. The answers tell how far the repairs may go.
        """
        info = workflow.info()
        incidents = [incident for each in over for incident in each.incidents]
        requests = [
            _claim_request(incident, each.repair_id).model_copy(
                update={
                    "replaces": tuple(held.grant for held in self._held_of(incident)),
                    "handed_by": info.workflow_id,
                    "handed_by_run": info.first_execution_run_id,
                    "autonomy_query": each.query,
                }
            )
            for each in over
            for incident in each.incidents
        ]
        answers = iter(await self._claim(incidents, requests))
        return [tuple(islice(answers, len(each.incidents))) for each in over]

    def forget(self, incidents: Sequence[Incident]) -> None:
        """Leave claims to the repair that was started: it settles them."""
        for incident in incidents:
            self._held.pop(incident_id(incident), None)

    def forget_all(self) -> None:
        """Give up settling; what is held is free as soon as this workflow has ended."""
        self._held.clear()

    async def confirm(self, fingerprints: Sequence[str]) -> None:
        """Ask before each step that others see: whether the claim is still held, and nobody paused Railmend.

        While paused it waits. Raises `ClaimLost` where somebody else has the claim.
        """
        self._confirmations += 1
        info = workflow.info()
        claim = ClaimRequest(
            claim_id=f"confirm/{info.run_id}/{self._confirmations}",
            fingerprints=tuple(fingerprints),
            holder=info.workflow_id,
            first_run_id=info.first_execution_run_id,
            at=workflow.now(),
            again=True,
        )
        answer = await workflow.execute_activity_method(
            LedgerActivities.confirm,
            ClaimBatch(project_id=self._project_id, claims=(claim,)),
            **self._patience,
        )
        if answer.state is not ClaimState.GRANTED:
            raise ClaimLost(answer)

    async def settle(self, *settlements: SettleRequest) -> None:
        """End claims, and keep their fingerprints quiet for a while."""
        for batch in _batches(settlements):
            await workflow.execute_activity_method(
                LedgerActivities.settle,
                SettlementBatch(project_id=self._project_id, settlements=tuple(batch)),
                **self._patience,
            )
            settled = {fingerprint for each in batch for fingerprint in each.fingerprints}
            self._held = {
                key: held
                for key, held in self._held.items()
                if settled.isdisjoint(held.incident.fingerprints)
            }

    async def release(self) -> None:
        """End what this workflow still holds, as if it had never been claimed."""
        await self.settle(
            *(
                settlement(held.incident.fingerprints, "", "").model_copy(
                    update={
                        "settle_id": f"release/{workflow.info().run_id}/{key}",
                        "holder": held.holder,
                        "first_run_id": held.first_run_id,
                    }
                )
                for key, held in self._held.items()
            )
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
            **self._patience,
        )
        self._open = request if answer.granted else None
        return answer

    async def wait_and_reserve(
        self, kind: SpendingKind, policy: Policy, fingerprints: tuple[str, ...]
    ) -> None:
        """As `reserve`, for a repair, which may wait for its budget; a scan never does."""
        while True:
            await self.confirm(fingerprints)
            answer = await self.reserve(kind, policy, fingerprints)
            if answer.granted:
                return
            again_at = answer.again_at or workflow.now() + policies.BUDGET_PAUSE
            details.show(
                "Waits for budget until {:%Y-%m-%d %H:%M} UTC: the limit of {} is reached.",
                again_at,
                answer.limit,
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
            **self._patience,
        )

    async def _claim(
        self, incidents: Sequence[Incident], requests: Sequence[ClaimRequest]
    ) -> tuple[ClaimAnswer, ...]:
        """Send the claims, and note what was granted and what is held no longer."""
        answers: list[ClaimAnswer] = []
        for batch in _batches(requests):
            sent = await workflow.execute_activity_method(
                LedgerActivities.claim,
                ClaimBatch(project_id=self._project_id, claims=tuple(batch)),
                **self._patience,
            )
            answers += sent.answers
        for incident, answer in zip(incidents, answers, strict=True):
            self.forget([incident])
            if answer.state is ClaimState.GRANTED:
                self._held[incident_id(incident)] = _Held(
                    incident, answer.holder, answer.first_run_id, answer.grant
                )
        return tuple(answers)

    def _held_of(self, incident: Incident) -> list[_Held]:
        held = self._held.get(incident_id(incident))
        return [held] if held else []


def _claim_request(incident: Incident, holder: str, first_run_id: str = "") -> ClaimRequest:
    return ClaimRequest(
        claim_id=f"claim/{workflow.info().run_id}/{incident_id(incident)}/{holder}",
        fingerprints=incident.fingerprints,
        holder=holder,
        first_run_id=first_run_id,
        at=workflow.now(),
        deployment=incident.service.active_deployment_id,
    )


def _batches(items: Sequence[T]) -> list[Sequence[T]]:
    most = policies.CLAIMS_AT_ONCE
    return [items[start : start + most] for start in range(0, len(items), most)]

"""A scan's talk with the ledger: claims for incidents, handed on to repairs, and how they ended."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.ledger import LedgerActivities
    from railmend.contracts.incident import IncidentRequest
    from railmend.contracts.ledger import (
        ClaimAnswer,
        ClaimBatch,
        ClaimRequest,
        SettlementBatch,
        SettleRequest,
    )
    from railmend.contracts.track_record import AutonomyDecision, AutonomyQuery
    from workflows.shared import policies


def incident_id(incident: IncidentRequest) -> str:
    return f"incident/{incident.environment_id}/{incident.service.service_id}"


class ClaimDesk:
    """Of one scan and one project. Settlements are collected, and sent together."""

    def __init__(self, project_id: str) -> None:
        self._project_id = project_id
        self._settlements: list[SettleRequest] = []

    async def claim(self, incidents: Sequence[IncidentRequest]) -> tuple[ClaimAnswer, ...]:
        """One answer per incident, in order."""
        return await self._send(
            [self._claim(one, incident_id(one), policies.INCIDENT_LEASE) for one in incidents]
        )

    async def transfer(
        self, incidents: Sequence[IncidentRequest], repair_id: str, autonomy_query: AutonomyQuery
    ) -> AutonomyDecision | None:
        """From the investigations to the repair that takes them all; how far that may go."""
        lease, asked = policies.REPAIR_LEASE, {"earning": autonomy_query}
        claims = [self._claim(one, repair_id, lease, incident_id(one)) for one in incidents]
        answers = await self._send([claim.model_copy(update=asked) for claim in claims])
        return answers[0].earned

    def settle(
        self, incident: IncidentRequest, outcome: str, detail: str, until: datetime | None = None
    ) -> None:
        """`until`: quiet for exactly so long; else until something changes, within the policies' bounds."""
        silence, unchanged = policies.COOLDOWN, policies.COOLDOWN_UNCHANGED
        if until is not None:
            silence = unchanged = max(until - workflow.now(), timedelta(0))
        self._settlements.append(
            SettleRequest(
                settle_id=f"settle/{workflow.info().run_id}/{incident_id(incident)}",
                fingerprints=_fingerprints(incident),
                holder=incident_id(incident),
                outcome=outcome,
                detail=detail[:500],
                cooldown_seconds=int(silence.total_seconds()),
                unchanged_cooldown_seconds=int(unchanged.total_seconds()),
                at=workflow.now(),
            )
        )

    async def send_settlements(self) -> None:
        if self._settlements:
            await workflow.execute_activity_method(
                LedgerActivities.settle,
                SettlementBatch(project_id=self._project_id, settlements=tuple(self._settlements)),
                **policies.LEDGER,
            )

    def _claim(
        self, incident: IncidentRequest, holder: str, lease: timedelta, takes_over_from: str | None = None
    ) -> ClaimRequest:
        return ClaimRequest(
            claim_id=f"claim/{workflow.info().run_id}/{incident_id(incident)}/{holder}",
            fingerprints=_fingerprints(incident),
            holder=holder,
            at=workflow.now(),
            lease_seconds=int(lease.total_seconds()),
            takes_over_from=takes_over_from,
            deployment=incident.service.active_deployment_id,
        )

    async def _send(self, claims: list[ClaimRequest]) -> tuple[ClaimAnswer, ...]:
        if not claims:
            return ()
        sent = await workflow.execute_activity_method(
            LedgerActivities.claim,
            ClaimBatch(project_id=self._project_id, claims=tuple(claims)),
            **policies.LEDGER,
        )
        return sent.answers


def _fingerprints(incident: IncidentRequest) -> tuple[str, ...]:
    return tuple(finding.fingerprint for finding in incident.findings)

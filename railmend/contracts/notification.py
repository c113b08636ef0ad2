"""Notifications to people: one per change of state."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256

from pydantic import Field

from railmend.contracts.action import ActionRequest
from railmend.contracts.base import Contract, OpenEnum
from railmend.contracts.incident import Incident, IncidentRequest
from railmend.contracts.repair import RepairOutcome, RepairRequest
from railmend.contracts.scan import ServiceRow, Severity

MAX_SUMMARY = 600
MAX_SYMPTOMS = 5


class NotificationKind(OpenEnum):
    INCIDENT = "incident"  # a service is in trouble, and what the verdict is
    APPROVAL = "approval"  # a plan waits for a person
    PULL_REQUEST = "pull_request"
    OUTCOME = "outcome"  # a repair ended in another way
    MISSED_SCANS = "missed_scans"  # scans of a project fail, or are skipped, in a row
    ACTION = "action"  # a rollback, or a restart, waits for a person


class Notification(Contract):
    """Ids and bounded facts; the channel that sends it words them.

    `notification_id` is deterministic: the same change always has the same. `threads`: the incidents
    it belongs to, so that everything about one incident can be kept together. `proof`: what was proved of the
    change in a pull request. `last`: the hour's limit is reached, and further messages are left out.
    """

    notification_id: str
    kind: NotificationKind
    threads: tuple[str, ...]
    services: tuple[str, ...]
    summary: str = Field("", max_length=MAX_SUMMARY)
    symptoms: tuple[str, ...] = Field((), max_length=MAX_SYMPTOMS)
    verdict: str = ""
    outcome: str = ""
    repository: str = ""
    pull_request: str = ""  # its address
    workflow_id: str
    plan: str = ""  # the hash of the plan that waits
    issue: str = ""  # the address of the issue where it can be decided by a comment
    severity: str = ""
    project: str = ""
    environment: str = ""
    proof: str = ""
    last: bool = False


class NotificationBatch(Contract):
    """Many notifications in one call: a wide scan keeps a short history."""

    notifications: tuple[Notification, ...]


class MissedScans(Contract):
    """Scans of a schedule that failed, or were skipped because one runs on and on; the newest is named."""

    project: str  # its name in the settings
    environment_id: str
    count: int
    skipped: bool
    since: datetime
    reason: str
    workflow_id: str

    @property
    def sentence(self) -> str:
        what = "was skipped" if self.skipped else "failed"
        many = f"scan {what}" if self.count == 1 else f"{self.count} scans {what.replace('was', 'were')}"
        return f"The last {many}, since {self.since:%Y-%m-%d %H:%M} UTC: {self.reason}"

    @property
    def next_step(self) -> str:
        if self.skipped:
            return (
                f"End it, and the next begins: temporal workflow terminate --workflow-id {self.workflow_id}"
            )
        return "Put that right; then `starter.py schedule trigger` scans at once."


def missed_scans_notification(missed: MissedScans, run_id: str) -> Notification:
    """Return the notification of one streak. `run_id`: of the alarm, which is open as long as the streak."""
    return Notification(
        notification_id=f"{NotificationKind.MISSED_SCANS.value}/{missed.environment_id}/{run_id}",
        kind=NotificationKind.MISSED_SCANS,
        threads=(sha256(run_id.encode()).hexdigest()[:12],),
        services=(missed.project,),
        summary=f"{missed.sentence} {missed.next_step}"[:MAX_SUMMARY],
        workflow_id=missed.workflow_id,
        severity=Severity.CRITICAL.value,
        project=missed.project,
    )


def action_notification(action: ActionRequest, run_id: str) -> Notification:
    """Return the notification of an action that waits for a person. `verdict`: which one.

    `run_id`: of the offer; a later one may offer the same.
    """
    return Notification(
        notification_id=f"{action.kind.value}/{action.service_id}/{action.deployment_id}/{run_id}",
        kind=NotificationKind.ACTION,
        threads=(sha256(action.workflow_id.encode()).hexdigest()[:12],),
        services=(action.service_name,),
        verdict=action.kind.value,
        summary=action.reason[:MAX_SUMMARY],
        workflow_id=action.workflow_id,
    )


def thread_of(incident: Incident) -> str:
    """Return the thread of an incident (12 hex digits): the same for the same findings and deployment."""
    fingerprints = sorted(incident.fingerprints)
    text = "\n".join([*fingerprints, incident.service.active_deployment_id or ""])
    return sha256(text.encode()).hexdigest()[:12]


def incident_notification(
    incident: IncidentRequest, row: ServiceRow, workflow_id: str, run_id: str
) -> Notification:
    """Return the notification of one report row. `run_id`: of the scan; a later one may find the same."""
    return Notification(
        notification_id=f"{NotificationKind.INCIDENT.value}/{thread_of(incident)}/{run_id}",
        kind=NotificationKind.INCIDENT,
        threads=(thread_of(incident),),
        services=(incident.service.name,),
        summary=row.detail[:MAX_SUMMARY],
        symptoms=tuple(finding.sentence for finding in incident.findings[:MAX_SYMPTOMS]),
        verdict=row.verdict,
        repository=incident.service.repository or "",
        workflow_id=workflow_id,
        **_place([incident]),
    )


def _place(incidents: Sequence[Incident]) -> dict[str, str]:
    """Return where the incidents are, and how bad the worst is."""
    critical = any(f.severity is Severity.CRITICAL for incident in incidents for f in incident.findings)
    return {
        "severity": (Severity.CRITICAL if critical else Severity.WARNING).value,
        "project": incidents[0].project_name,
        "environment": incidents[0].environment_name,
    }


def approval_notification(repair: RepairRequest, workflow_id: str, run_id: str) -> Notification:
    summary = repair.incidents[0].diagnosis.summary
    why = f"A {repair.bounded_by}. " if repair.bounded_by else ""
    notification = _repair_notification(repair, NotificationKind.APPROVAL, workflow_id, run_id, why + summary)
    return notification.model_copy(update={"plan": repair.plan_hash})


def outcome_notification(
    repair: RepairRequest, outcome: str, detail: str, workflow_id: str, run_id: str, proof: str = ""
) -> Notification:
    """Return the notification of a repair's end. `detail`: the pull request's URL, or why there is none."""
    if outcome == RepairOutcome.PULL_REQUEST.value:
        notification = _repair_notification(
            repair, NotificationKind.PULL_REQUEST, workflow_id, run_id, repair.incidents[0].diagnosis.summary
        )
        return notification.model_copy(update={"pull_request": detail, "outcome": outcome, "proof": proof})
    notification = _repair_notification(repair, NotificationKind.OUTCOME, workflow_id, run_id, detail)
    return notification.model_copy(
        update={"outcome": outcome, "notification_id": f"{notification.notification_id}/{outcome}"},
    )


def _repair_notification(
    repair: RepairRequest, kind: NotificationKind, workflow_id: str, run_id: str, summary: str
) -> Notification:
    return Notification(
        notification_id=f"{kind.value}/{repair.key}/{run_id}",
        kind=kind,
        threads=tuple(thread_of(incident.request) for incident in repair.incidents),
        services=tuple(incident.request.service.name for incident in repair.incidents),
        summary=summary[:MAX_SUMMARY],
        repository=repair.repository,
        workflow_id=workflow_id,
        **_place([incident.request for incident in repair.incidents]),
    )

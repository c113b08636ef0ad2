"""How a repair and an incident stand, in the words of every screen, page, message and comment.

Nothing else names a state to a person: command line, Web UI, report, notification and pull request take their
words from here, and escape what others wrote (`detail`) as their medium needs.
"""

from collections.abc import Sequence
from datetime import datetime

from railmend.contracts.base import Contract, OpenEnum
from railmend.contracts.repair import Approval, RepairOutcome, RepairResult


class Phase(OpenEnum):
    """What a repair does now. Each phase has one handler, which returns the next one."""

    APPROVAL = "approval"  # a person decides, where that is asked for
    CODING = "coding"  # a session makes the change, the guard and the checks look at it
    PROOF = "proof"  # it is measured on the base and on the change whether the fix fixes
    PUBLISHING = "publishing"  # commit, branch, pull request
    REVIEW = "review"  # people decide on the pull request
    DEPLOYMENT = "deployment"  # the merge is built and starts to serve
    MEASUREMENT = "measurement"  # production shows whether the fix holds
    DONE = "done"


WAITS_FOR_APPROVAL = "the plan waits for your approval"
ROLLBACK_WAITS = "a rollback waits for your approval"
RESTART_WAITS = "a restart waits for your approval"
WAITS_FOR_REVIEW = "the pull request waits for review"
CANCELLED = "cancelled"
PHASES = {
    Phase.APPROVAL: "about to start",
    Phase.CODING: "a fix is being written",
    Phase.PROOF: "the fix is being tested",
    Phase.PUBLISHING: "the pull request is being opened",
    Phase.REVIEW: WAITS_FOR_REVIEW,
    Phase.DEPLOYMENT: "merged, not in production yet",
    Phase.MEASUREMENT: "in production, being measured",
}
# By the outcome's value: how a repair, an investigation or a claim ended.
ENDINGS = {
    RepairOutcome.PULL_REQUEST.value: WAITS_FOR_REVIEW,
    RepairOutcome.NO_CHANGE.value: "the agent proposes no change",
    RepairOutcome.REFUSED.value: "the change was refused",
    RepairOutcome.FAILED.value: "failed",
    RepairOutcome.NOT_ALLOWED.value: "not carried out",
    RepairOutcome.RELATED.value: "another pull request is about it",
    RepairOutcome.CLOSED.value: "the pull request was closed without a merge",
    RepairOutcome.NOT_DEPLOYED.value: "merged, but not in production",
    RepairOutcome.HELD.value: "the fix holds",
    RepairOutcome.NOT_HELD.value: "the fix did not hold",
    RepairOutcome.WORSE.value: "it is worse than before",
    RepairOutcome.CANNOT_TELL.value: "it is not clear whether the fix holds",
    CANCELLED: "cancelled by a person",
    "waiting_for_budget": "waits for its budget",
    "released": "released by a person",
}
# By the value of `ServiceRow.action`: what a scan did about an affected service.
ACTIONS = {
    "none": "reported only",
    "linked": "another service is the cause",
    "running": "being investigated already",
    "held": "being worked on already",
    "suppressed": "in its cool-down",
    "paused": "Railmend is paused",
    "full": "the ledger has no room for it",
    "look_again": "will be looked at again",
    "waiting_for_budget": "waits for its budget",
    "repair": "a repair was started",
    "rollback_offered": ROLLBACK_WAITS,
    "restart_offered": RESTART_WAITS,
    "failed": "the investigation failed",
    CANCELLED: "cancelled by a person",
}


class RepairStatus(Contract):
    """How a repair stands now. `label`: ours alone; `detail`: more, which others may have written.

    `waits`: a person has to decide. `command`: what answers it. `link`: address of the pull request.
    `answered`: False where no worker told the label.
    """

    label: str
    detail: str = ""
    waits: bool = False
    command: str = ""
    link: str = ""
    ended: bool = False
    answered: bool = True

    @property
    def sentence(self) -> str:
        """Return label and detail as one text; the label begins it."""
        return f"{capitalized(self.label)}.{f' {self.detail}' if self.detail else ''}"


UNANSWERED = RepairStatus(
    label="open; no worker answers, so its phase is not known", detail="Start `worker.py`.", answered=False
)


def capitalized(label: str) -> str:
    return label[:1].upper() + label[1:]


def listed(names: Sequence[str], most: int) -> str:
    """Return the first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def ending_label(outcome: str) -> str:
    """Return the words for how a repair or an incident ended; a verdict is its own name."""
    return ENDINGS.get(outcome, outcome.replace("_", " "))


def action_label(action: str) -> str:
    return ACTIONS.get(action, action.replace("_", " "))


def so_far(outcome: str) -> str:
    """Return the words for a measurement that is not the last."""
    return f"{PHASES[Phase.MEASUREMENT]}: {ending_label(outcome)} so far"


def status_of_result(result: RepairResult) -> RepairStatus:
    """Return the status of a repair that has ended, or whose pull request has just been opened."""
    pull_request = result.pull_request
    opened = result.outcome is RepairOutcome.PULL_REQUEST
    draft = "It is a draft." if pull_request and pull_request.draft else ""
    return RepairStatus(
        label=ending_label(result.outcome.value),
        detail=draft if opened else result.reason,
        waits=opened,
        link=pull_request.url if pull_request else "",
        ended=True,
    )


def status_of_failure(*, cancelled: bool, reason: str) -> RepairStatus:
    """Return the status of a repair that ended without a result."""
    label = ending_label(CANCELLED if cancelled else RepairOutcome.FAILED.value)
    return RepairStatus(label=label, detail=reason, ended=True)


def action_status(
    workflow_id: str, service: str, decision: Approval | None, *, restart: bool = False
) -> RepairStatus:
    """Return the status of an open action, which a person approves as a plan."""
    if decision is None:
        return RepairStatus(
            label=RESTART_WAITS if restart else ROLLBACK_WAITS,
            detail=f"Of {service}.",
            waits=True,
            command=f"starter.py approve {workflow_id}",
        )
    done = "approved, being carried out" if decision.approved else "rejected"
    return RepairStatus(label=done, detail=f"Decided by {decision.by}.")


def incident_label(state: str, outcome: str, until: datetime | None, repair: RepairStatus | None) -> str:
    """Return the words for one fault of the ledger: its repair's, while one works on it."""
    if state == "open":
        return repair.label if repair else "being investigated"
    label = ending_label(outcome) if outcome else "closed"
    return f"{label}; quiet until {until:%Y-%m-%d %H:%M} UTC" if state == "suppressed" and until else label

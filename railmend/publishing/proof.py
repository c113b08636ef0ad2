"""What follows from a proof for a pull request: title, state, labels, and the check on its head."""

from dataclasses import dataclass
from datetime import datetime

from railmend.contracts.proof import Proof, ProofOutcome
from railmend.contracts.repair import PublishRequest
from railmend.evidence.safe_text import PlainText
from railmend.publishing import markdown

# The label of what no proof has shown to fix its fault.
UNPROVEN = "unproven"


@dataclass(frozen=True)
class HeadCheck:
    """What Railmend says of a commit. `details`: for the page of a check run.

    `conclusion`: of the check run; empty: it is still running. `state`: of the commit status instead of it.
    """

    conclusion: str
    state: str
    said: str
    details: str = ""


# As https://docs.github.com/rest/commits/statuses has it, an error is what could not be found out. Where a
# check run is required, `neutral` would pass: what is not proven must not.
OUTCOMES = {
    ProofOutcome.PROVEN: (
        *("success", "success"),
        "Proven: the fault shows without this change, and not with it.",
    ),
    ProofOutcome.FAILED: ("failure", "failure", "Not proven: a proof failed."),
    ProofOutcome.UNPROVEN: ("action_required", "error", "Not proven: the fault could not be shown."),
}
NEEDS_APPROVAL = ("action_required", "pending", "Needs approval: the pull request says why it is a draft.")
NO_PROOF = HeadCheck("neutral", "pending", "No proof was made of this commit.")
RUNNING = "Proof running: Railmend has been answering the review since "


def running(since: datetime) -> HeadCheck:
    return HeadCheck("", "pending", f"{RUNNING}{since:%H:%M} UTC.")


def head_check(proof: Proof | None, doubts: tuple[str, ...] = ()) -> HeadCheck | None:
    """Return the check of a commit; None: there is nothing to say of it."""
    if doubts and not (proof and proof.failed):
        shown = NEEDS_APPROVAL
    elif proof is None:
        return None
    else:
        shown = OUTCOMES.get(proof.outcome, OUTCOMES[ProofOutcome.UNPROVEN])
    return HeadCheck(*shown, details=markdown.text("head_check", proof=proof, doubts=doubts))


def marked(title: PlainText, publish: PublishRequest) -> PlainText:
    """Return the title, which tells of a failed proof."""
    failed = publish.proof is not None and publish.proof.failed
    return PlainText.of("Proof failed: {}", title) if failed else title


def is_draft(publish: PublishRequest) -> bool:
    """Return whether a person must look twice, or its proof keeps it from being ready for review."""
    proof = publish.proof
    unproven = proof is not None and not proof.proven
    always = proof is not None and bool(proof.failed)
    return bool(publish.doubts) or always or (unproven and publish.repair.policy.follow_up.draft_unproven)


def labels(publish: PublishRequest) -> tuple[str, ...]:
    """Return the labels that are set, and the one that says what the proof has not shown."""
    own = (UNPROVEN,) if publish.proof is not None and not publish.proof.proven else ()
    return (*publish.repair.policy.follow_up.labels, *own)

"""What follows from a proof for a pull request: its title, its state and its labels."""

from railmend.contracts.repair import PublishRequest
from railmend.evidence.safe_text import PlainText

# The label of what no proof has shown to fix its fault.
UNPROVEN = "unproven"


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

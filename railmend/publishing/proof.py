"""What a pull request says of its proof, first of all."""

from collections.abc import Iterator

from railmend.contracts.proof import Proof, ProofVerdict
from railmend.contracts.repair import PublishRequest
from railmend.evidence.safe_text import MarkdownText, PlainText

# The label of what no proof has shown to fix its fault.
UNPROVEN = "unproven"
WORDS = {
    ProofVerdict.PASSED: "passed",
    ProofVerdict.FAILED: "**failed**",
    ProofVerdict.NOT_HAD: "could not be had",
}
HEAD = "| what | base | change | verdict |\n| --- | --- | --- | --- |"
PROVEN = (
    "## Proven: the fault shows without this change, and not with it\nRailmend ran this itself, each in a "
    "clean checkout without network. The agent wrote the test: read it as you read the fix."
)
FAILED = "## Not proven: a proof failed"
NOT_HAD = "## Not proven: the fault could not be shown"


def proof_table(proof: Proof | None) -> Iterator[MarkdownText]:
    """Yield what was measured on the base and on the change, a row each."""
    if proof is None:
        return
    yield MarkdownText.of(PROVEN if proof.proven else FAILED if proof.failed else NOT_HAD)
    rows = [
        MarkdownText.of(
            "| {} | {} | {} | {}{} |",
            row.what,
            row.base,
            row.change,
            MarkdownText.of(WORDS.get(row.verdict, "could not be had")),
            MarkdownText.of(": {}", row.reason) if row.reason else MarkdownText(),
        )
        for row in proof.rows
    ]
    yield MarkdownText.joined([MarkdownText.of(HEAD), *rows], "\n")


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

"""What a pull request says of its proof, first of all."""

from collections.abc import Iterator

from railmend.contracts.proof import Proof, ProofVerdict
from railmend.contracts.repair import PublishRequest
from railmend.evidence.safe_text import MarkdownText, PlainText

# The label of what no proof has shown to fix its fault.
UNPROVEN = "unproven"
WORDS = {
    ProofVerdict.PASSED: MarkdownText.of("passed"),
    ProofVerdict.FAILED: MarkdownText.of("**failed**"),
    ProofVerdict.NOT_HAD: MarkdownText.of("could not be had"),
}


def proof_table(proof: Proof | None) -> Iterator[MarkdownText]:
    """Yield what was measured on the base and on the change, a row each."""
    if proof is None:
        return
    if proof.proven:
        yield MarkdownText.of(
            "## Proven: the fault shows without this change, and not with it\nRailmend ran this itself, in "
            "clean checkouts without network. The agent wrote the test: read it as you read the fix."
        )
    elif proof.failed:
        yield MarkdownText.of("## Not proven: a proof failed")
    else:
        yield MarkdownText.of("## Not proven: the fault could not be shown")
    rows = [
        MarkdownText.of(
            "| {} | {} | {} | {}{} |",
            row.what,
            row.base,
            row.change,
            WORDS.get(row.verdict, WORDS[ProofVerdict.NOT_HAD]),
            MarkdownText.of(": {}", row.reason) if row.reason else MarkdownText(),
        )
        for row in proof.rows
    ]
    head = MarkdownText.of("| what | base | change | verdict |\n| --- | --- | --- | --- |")
    yield MarkdownText.joined([head, *rows], "\n")


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

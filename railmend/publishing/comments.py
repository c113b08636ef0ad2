"""Texts of the comments on a pull request, before and after it is merged or closed. Pure code."""

from railmend.contracts.comments import MeasurementComment, NotDeployedComment
from railmend.contracts.measurement import MeasurementResult, MeasurementStatus
from railmend.contracts.repair import RelatedComment, RepairOutcome
from railmend.contracts.review import AnswersRequest, MergeMethod
from railmend.contracts.status import ENDINGS, PHASES, Phase, capitalized, ending_label, so_far
from railmend.evidence.redact import redact
from railmend.evidence.safe_text import MarkdownText
from railmend.measurement.evaluation import short
from railmend.publishing import markdown
from railmend.publishing.charts import TITLES, before_after
from railmend.publishing.text import MAX_BODY, PublishedMaterial, body

WAYS = {MergeMethod.MERGE: "a merge commit", MergeMethod.SQUASH: "a squash", MergeMethod.REBASE: "a rebase"}


def label_of(status: MeasurementStatus) -> str:
    return f"railmend: {status.value.replace('_', ' ')}"


def format_measurement_comment(comment: MeasurementComment) -> MarkdownText:
    """Give the status; per service a sentence, numbers before and after, and charts; then the next step."""
    label = so_far(comment.status.value) if comment.again_at else ending_label(comment.status.value)
    merge = comment.merge
    parts = markdown.parts(
        "measurement",
        label=capitalized(label),
        comment=comment,
        measurements=[(result, _charts(result)) for result in comment.measurements],
        number=_number,
        way=WAYS.get(merge.method, merge.method.value),
    )
    return MarkdownText.bounded(parts, MAX_BODY)


def format_reply(request: AnswersRequest) -> MarkdownText:
    """Say what became of a reviewer's note; what the agent says is quoted."""
    said = markdown.account(redact(request.agent_summary))
    return MarkdownText.bounded(markdown.parts("reply", request=request, agent_account=said), MAX_BODY)


def _charts(result: MeasurementResult) -> list[MarkdownText]:
    before, after = result.before, result.after
    if before is None or after is None:
        return []
    drawn = (before_after(result.service_name, series, before, after) for series in TITLES)
    return [chart for chart in drawn if chart][:3]


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:.1%}" if unit.startswith("of ") else f"{short(value)} {unit}".strip()


def format_not_deployed_comment(comment: NotDeployedComment) -> MarkdownText:
    """Say that the merge did not reach production, and that nothing else was changed."""
    ended = comment.waits_until is None
    label = ENDINGS[RepairOutcome.NOT_DEPLOYED] if ended else PHASES[Phase.DEPLOYMENT]
    return markdown.text("not_deployed", label=capitalized(label), comment=comment)


def format_revert_body(number: int, reason: str) -> MarkdownText:
    return MarkdownText.of(
        "Reverts #{:d} exactly: the tree is what it was before, apart from what was merged since.\n\n"
        "{}\n\nQuicker than a merge: roll the service back to its previous deployment in "
        "Railway, or approve the rollback that Railmend offers.",
        number,
        reason,
    )


def format_related_comment(request: RelatedComment, material: PublishedMaterial) -> MarkdownText:
    """Give the diagnosis and the change that would have been proposed to whoever is already working on it."""
    return MarkdownText.of(
        "Railmend was about to propose a fix of its own. {} Here is what it found, instead of a second pull "
        "request.\n\n{}",
        request.why,
        body(request.publish, material),
    )


def format_plan_answer(obstacle: str, plan: str) -> MarkdownText:
    """Tell a writer why a command decided nothing, and which one does. `plan`: the hash of what waits."""
    return MarkdownText.of(
        "This decides nothing. {} A new comment does: `/railmend approve {}`, or "
        "`/railmend reject {} REASON`.",
        obstacle,
        plan,
        plan,
    )

"""Texts of the comments on a pull request, before and after it is merged or closed. Pure code."""

from collections.abc import Sequence

from railmend.contracts.comments import MeasurementComment, NotDeployedComment
from railmend.contracts.measurement import MeasurementResult, MeasurementRow, MeasurementStatus
from railmend.contracts.repair import RelatedComment
from railmend.contracts.review import AnswersRequest, MergeMethod
from railmend.evidence.escaping import fenced, visible
from railmend.evidence.redact import redact
from railmend.measurement.evaluation import short
from railmend.publishing.charts import TITLES, before_after
from railmend.publishing.text import PublishedMaterial, body

HEADS = {
    MeasurementStatus.HELD: "The fix holds",
    MeasurementStatus.NOT_HELD: "The fix did not hold",
    MeasurementStatus.WORSE: "It is worse than before",
    MeasurementStatus.CANNOT_TELL: "It cannot be told whether the fix holds",
}
MARKS = {True: "yes", False: "**no**", None: "cannot be told"}
WAYS = {MergeMethod.MERGE: "a merge commit", MergeMethod.SQUASH: "a squash", MergeMethod.REBASE: "a rebase"}


def label_of(status: MeasurementStatus) -> str:
    return f"railmend: {status.value.replace('_', ' ')}"


def format_measurement_comment(comment: MeasurementComment) -> str:
    """Give the status; per service a sentence, numbers before and after, and charts; then the next step."""
    head = HEADS.get(comment.status, HEADS[MeasurementStatus.CANNOT_TELL])
    parts = [f"## {head}{' so far' if comment.again_at else ''}"]
    for result in comment.measurements:
        parts += [visible(result.sentence), _table(result.rows), *_charts(result)]
    merge = comment.merge
    way = WAYS.get(merge.method, merge.method.value)
    how = f"Merged by {merge.by or 'somebody'} as {way} (`{merge.sha[:12]}`)"
    parts.append(how + (", with changes by people." if comment.edited else "."))
    parts.append(_next(comment))
    return "\n\n".join(part for part in parts if part)


def _next(comment: MeasurementComment) -> str:
    steps = []
    if comment.again_at:
        steps.append(f"It is measured again at {comment.again_at:%Y-%m-%d %H:%M} UTC.")
    if comment.revert:
        steps.append(f"{comment.revert} undoes it, ready to merge.")
    if comment.obstacle:
        steps.append(f"It cannot be reverted automatically, a person has to: {visible(comment.obstacle)}")
    if comment.action:
        steps.append(f"Quicker: `starter.py approve {comment.action}` rolls the service back.")
    if comment.retried:
        steps.append("Railmend tries once more, with these numbers as evidence.")
    elif comment.status is MeasurementStatus.NOT_HELD:
        steps.append("Railmend does not try again: a person has to look.")
    elif comment.status is MeasurementStatus.CANNOT_TELL and not comment.again_at:
        steps.append("Railmend does not measure again.")
    return f"**Next:** {' '.join(steps)}" if steps else ""


def format_reply(request: AnswersRequest) -> str:
    """Say what became of a reviewer's note; the agent's summary is quoted in a fence."""
    parts = []
    if request.commit:
        parts.append(f"Done in {request.commit}.")
    elif request.limit:
        parts.append(f"Not done: {request.limit}. A person has to go on from here.")
    elif request.refused:
        parts.append("Not done. What the coding agent made was refused:")
        parts.append("\n".join(f"- {visible(sentence)}" for sentence in request.refused))
    else:
        parts.append("Nothing was changed.")
    if request.agent_summary:
        parts.append("Agent summary:\n\n" + fenced(visible(redact(request.agent_summary))))
    return "\n\n".join(parts)


def _table(rows: Sequence[MeasurementRow]) -> str:
    if not rows:
        return ""
    head = ["| | before | after | holds when | holds |", "| --- | --- | --- | --- | --- |"]
    body = [
        f"| {row.name} | {_number(row.before, row.unit)} | {_number(row.after, row.unit)} | {row.bound} "
        f"| {MARKS[row.good]} |"
        for row in rows
    ]
    return "\n".join([*head, *body])


def _charts(result: MeasurementResult) -> list[str]:
    before, after = result.before, result.after
    if before is None or after is None:
        return []
    drawn = (before_after(result.service_name, series, before, after) for series in TITLES)
    return [chart for chart in drawn if chart][:3]


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:.1%}" if unit.startswith("of ") else f"{short(value)} {unit}".strip()


def format_not_deployed_comment(comment: NotDeployedComment) -> str:
    """Say that the merge did not reach production, and that nothing else was changed."""
    which = f" `{comment.deployment_id}`" if comment.deployment_id else ""
    head = f"The deployment{which} of {comment.service_name} that carries this merge {comment.what}."
    return "\n\n".join(
        [
            "## Not in production",
            f"{head} {visible(comment.detail)}".rstrip(),
            "The earlier deployment goes on serving. Railmend has changed nothing: see the build log in "
            "Railway, and push what it needs.",
        ]
    )


def format_revert_body(number: int, reason: str) -> str:
    return (
        f"Reverts #{number} exactly: the tree is what it was before, apart from what was merged since.\n\n"
        f"{visible(reason)}\n\nQuicker than a merge: roll the service back to its previous deployment in "
        "Railway, or approve the rollback that Railmend offers."
    )


def format_related_comment(request: RelatedComment, material: PublishedMaterial) -> str:
    """Give the diagnosis and the change that would have been proposed to whoever is already working on it."""
    return (
        f"Railmend was about to propose a fix of its own. {visible(request.why)} So here is "
        f"what it found, and no second pull request.\n\n{body(request.publish, material)}"
    )

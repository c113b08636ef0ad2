"""What is said on a pull request after it was merged or closed. Pure."""

from collections.abc import Sequence

from railmend.contracts.comments import MeasurementComment, NotDeployedComment
from railmend.contracts.measurement import MeasurementResult, MeasurementRow, MeasurementStatus
from railmend.contracts.repair import RelatedComment
from railmend.contracts.review import AnswersRequest, MergeMethod
from railmend.evidence.escaping import fenced, visible
from railmend.evidence.redact import redact
from railmend.measurement.evaluation import short
from railmend.publishing.charts import TITLES, before_after
from railmend.publishing.text import body

HEADS = {
    MeasurementStatus.HELD: "The fix holds",
    MeasurementStatus.NOT_HELD: "The fix did not hold",
    MeasurementStatus.WORSE: "It is worse than before",
    MeasurementStatus.CANNOT_TELL: "It cannot be told whether the fix holds",
}
LABELS = {outcome: f"railmend: {outcome.value.replace('_', ' ')}" for outcome in MeasurementStatus}
MARKS = {True: "yes", False: "**no**", None: "cannot be told"}
WAYS = {MergeMethod.MERGE: "a merge commit", MergeMethod.SQUASH: "a squash", MergeMethod.REBASE: "a rebase"}


def outcome_comment(notice: MeasurementComment) -> str:
    """Verdict, then per service a sentence, the numbers before and after, and charts; then what is next."""
    parts = [f"## {HEADS[notice.outcome]}{' so far' if notice.again_at else ''}"]
    for one in notice.measurements:
        parts += [visible(one.sentence), _table(one.rows), *_charts(one)]
    merge = notice.merge
    how = f"Merged by {merge.by or 'somebody'} as {WAYS[merge.method]} (`{merge.sha[:12]}`)"
    parts.append(how + (", with changes by people." if notice.edited else "."))
    parts.append(_next(notice))
    return "\n\n".join(part for part in parts if part)


def _next(notice: MeasurementComment) -> str:
    steps = []
    if notice.again_at:
        steps.append(f"It is measured again at {notice.again_at:%Y-%m-%d %H:%M} UTC.")
    if notice.revert:
        steps.append(f"{notice.revert} undoes it, ready to merge.")
    if notice.obstacle:
        steps.append(f"It cannot be reverted automatically, a person has to: {visible(notice.obstacle)}")
    if notice.action:
        steps.append(f"Quicker: `starter.py approve {notice.action}` rolls the service back.")
    if notice.retried:
        steps.append("Railmend tries once more, with these numbers as evidence.")
    elif notice.outcome is MeasurementStatus.NOT_HELD:
        steps.append("Railmend does not try again: a person has to look.")
    elif notice.outcome is MeasurementStatus.CANNOT_TELL and not notice.again_at:
        steps.append("Railmend does not measure again.")
    return f"**Next:** {' '.join(steps)}" if steps else ""


def answer_text(request: AnswersRequest) -> str:
    """The agent's words are shown as its own, fenced."""
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
        parts.append("The coding agent's own words:\n\n" + fenced(visible(redact(request.agent_summary))))
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


def _charts(one: MeasurementResult) -> list[str]:
    before, after = one.before, one.after
    if before is None or after is None:
        return []
    drawn = (before_after(one.service_name, series, before, after) for series in TITLES)
    return [chart for chart in drawn if chart][:3]


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:.1%}" if unit.startswith("of ") else f"{short(value)} {unit}".strip()


def not_deployed_comment(notice: NotDeployedComment) -> str:
    """The merge did not get into production: told, and nothing else is touched."""
    which = f" `{notice.deployment_id}`" if notice.deployment_id else ""
    head = f"The deployment{which} of {notice.service_name} that carries this merge {notice.what}."
    return "\n\n".join(
        [
            "## Not in production",
            f"{head} {visible(notice.detail)}".rstrip(),
            "The earlier deployment goes on serving. Railmend has changed nothing: see the build log in "
            "Railway, and push what it needs.",
        ]
    )


def revert_body(number: int, reason: str) -> str:
    return (
        f"Reverts #{number} exactly: the tree is what it was before, apart from what was merged since.\n\n"
        f"{visible(reason)}\n\nQuicker than a merge: roll the service back to its previous deployment in "
        "Railway, or approve the rollback that Railmend offers."
    )


def related_comment(request: RelatedComment) -> str:
    """The diagnosis and the change that would have been proposed, for whoever works on it already."""
    return (
        f"Railmend was about to propose a fix of its own. {visible(request.why)} So here is "
        f"what it found, and no second pull request.\n\n{body(request.publish)}"
    )

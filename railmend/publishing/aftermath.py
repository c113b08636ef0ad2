"""What is said on a pull request after it was merged or closed. Pure."""

from collections.abc import Sequence

from railmend.contracts.outcome import Judgement, Outcome, Row
from railmend.contracts.review import Merge, MergeMethod
from railmend.evidence.packet import visible
from railmend.publishing.charts import TITLES, before_after

HEADS = {
    Outcome.HELD: "The fix holds",
    Outcome.NOT_HELD: "The fix did not hold",
    Outcome.WORSE: "It is worse than before",
    Outcome.CANNOT_TELL: "It cannot be told whether the fix holds",
}
LABELS = {outcome: f"railmend: {outcome.value.replace('_', ' ')}" for outcome in Outcome}
MARKS = {True: "yes", False: "**no**", None: "cannot be told"}
WAYS = {MergeMethod.MERGE: "a merge commit", MergeMethod.SQUASH: "a squash", MergeMethod.REBASE: "a rebase"}


def outcome_comment(
    outcome: Outcome, judgements: Sequence[Judgement], merge: Merge, *, edited: bool, next_step: str
) -> str:
    """Verdict, then per service a sentence, the numbers before and after, and charts."""
    parts = [f"## {HEADS[outcome]}"]
    for one in judgements:
        parts += [visible(one.sentence), _table(one.rows), *_charts(one)]
    how = f"Merged by {merge.by or 'somebody'} as {WAYS[merge.method]} (`{merge.sha[:12]}`)"
    parts.append(how + (", with changes by people." if edited else "."))
    if next_step:
        parts.append(f"**Next:** {next_step}")
    return "\n\n".join(part for part in parts if part)


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    head = ["| | before | after | holds when | holds |", "| --- | --- | --- | --- | --- |"]
    body = [
        f"| {row.name} | {_number(row.before, row.unit)} | {_number(row.after, row.unit)} | {row.bound} "
        f"| {MARKS[row.good]} |"
        for row in rows
    ]
    return "\n".join([*head, *body])


def _charts(one: Judgement) -> list[str]:
    before, after = one.before, one.after
    if before is None or after is None:
        return []
    drawn = (before_after(one.service_name, series, before, after) for series in TITLES)
    return [chart for chart in drawn if chart][:3]


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    return f"{value:.1%}" if unit.startswith("of ") else f"{value:.3g} {unit}".strip()


def not_deployed_comment(service: str, state: str, detail: str, deployment_id: str | None) -> str:
    """The merge did not get into production: told, and nothing else is touched."""
    which = f" `{deployment_id}`" if deployment_id else ""
    return (
        f"## Not in production\n\nThe deployment{which} of {service} that carries this merge {state}. "
        f"{visible(detail)}\n\nThe earlier deployment goes on serving. Railmend has changed nothing: see the "
        "build log in Railway, and push what it needs."
    )


def revert_body(number: int, reason: str) -> str:
    return (
        f"Reverts #{number} exactly: the tree is what it was before, apart from what was merged since.\n\n"
        f"{visible(reason)}\n\nQuicker than a merge: roll the service back to its previous deployment in "
        "Railway, or approve the rollback that Railmend offers."
    )

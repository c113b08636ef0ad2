"""Texts of pull requests, reports and incidents. Pure code."""

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from railmend.contracts.incident import Diagnosis, EvidencePacket, IncidentReport
from railmend.contracts.measurement import WindowMetrics
from railmend.contracts.repair import CheckRun, PublishRequest, RepairRequest, Verification
from railmend.contracts.scan import HealthReport, ServiceRow
from railmend.evidence.escaping import fenced, visible
from railmend.evidence.redact import redact
from railmend.publishing.charts import chart, shown_by

BOT = ("Railmend", "railmend@users.noreply.github.com")
MAX_BODY = 60_000  # GitHub refuses bodies over 65,536 characters
MAX_TITLE = 72
# Temporal keeps at most 20,000 bytes of current details.
MAX_DETAILS = 18_000
REHEARSAL = "rehearsal"
EVIDENCE_GONE = "The evidence that these causes cite is no longer stored."
LEFT_OUT = (
    "One repair takes the worst services of a repository. What it changes may help these too; a later scan "
    "takes up what still shows after it."
)


@dataclass(frozen=True)
class PublishedMaterial:
    """What a pull request shows beside the diagnoses, by incident; a packet is None where it is gone.

    `measured`: the numbers of each incident's window, or none at all.
    """

    packets: tuple[EvidencePacket | None, ...]
    measured: tuple[WindowMetrics, ...] = ()


def marker(key: str, head: str, incidents: Sequence[str] = ()) -> str:
    """Return a hidden comment for the body, which identifies the repair and its incidents."""
    content = {"key": key, "head": head, **({"incidents": list(incidents)} if incidents else {})}
    return f"<!-- railmend {json.dumps(content)} -->"


def is_rehearsal(repair: RepairRequest) -> bool:
    return any(REHEARSAL in incident.diagnosis.model for incident in repair.incidents)


def title(repair: RepairRequest) -> str:
    first = repair.incidents[0]
    text = first.diagnosis.summary.removeprefix(f"[{REHEARSAL}]").strip().split("\n")[0]
    text = f"{first.request.service.name}: {text}"
    return text if len(text) <= MAX_TITLE else text[: MAX_TITLE - 1].rstrip() + "…"


def commit_message(repair: RepairRequest) -> str:
    """Return the message, which is the same on every attempt, so that a retry makes the same commit."""
    causes = [f"- {cause.text}" for incident in repair.incidents for cause in incident.diagnosis.causes]
    name, mail = BOT
    return "\n".join([title(repair), "", *causes, "", f"Signed-off-by: {name} <{mail}>"])


def follow_up_message(publish: PublishRequest) -> str:
    """Return the message of a commit that answers reviewers and checks, naming them."""
    who = ", ".join(dict.fromkeys(note.author for note in publish.notes))
    name, mail = BOT
    first = f"Answer the review of {who}"
    short = first if len(first) <= MAX_TITLE else first[: MAX_TITLE - 1] + "…"
    return "\n".join([short, "", f"Signed-off-by: {name} <{mail}>"])


def body(publish: PublishRequest, material: PublishedMaterial) -> str:
    """Return the body for a reviewer: what was wrong, why, what changed, checks, risk, limits, cost."""
    repair = publish.repair
    parts: list[str] = []
    if is_rehearsal(repair):
        parts.append(
            "> **Rehearsal.** The diagnosis and the edit were made by the demo's stand-in model, not by a "
            "real one."
        )
    parts += [_doubts(publish), f"> A {repair.bounded_by}." if repair.bounded_by else ""]
    for number, (incident, packet) in enumerate(zip(repair.incidents, material.packets, strict=True)):
        charts = _charts(incident, material.measured[number : number + 1])
        parts += [_wrong(incident), *charts, _why(incident, packet)]
    parts += [_left_out(repair), _changed(publish), _checked(publish), _risk(repair)]
    parts += [_unseen(material.packets), _cost(publish)]
    text = "\n\n".join(part for part in parts if part)
    end = "\n\n" + marker(repair.key, "", repair.fingerprints)
    return text[: MAX_BODY - len(end)] + end


def _wrong(incident: IncidentReport) -> str:
    rows = [
        f"- **{finding.kind.value}** ({finding.severity.value}) since {finding.onset:%Y-%m-%d %H:%M:%S} UTC: "
        f"{finding.sentence}"
        for finding in incident.request.findings
    ]
    return "\n".join([f"## What was wrong: {incident.request.service.name}", *rows])


def _charts(incident: IncidentReport, measured: Sequence[WindowMetrics]) -> list[str]:
    """Chart the measured series in which the incident shows."""
    name, findings = incident.request.service.name, incident.request.findings
    drawn = (chart(name, series, metrics) for metrics in measured for series in shown_by(findings))
    return [picture for picture in drawn if picture]


def _why(incident: IncidentReport, packet: EvidencePacket | None) -> str:
    gone = [] if packet else [EVIDENCE_GONE]
    return "\n\n".join(["## Why", incident.diagnosis.summary, *_causes(incident.diagnosis, packet), *gone])


def _causes(diagnosis: Diagnosis, packet: EvidencePacket | None) -> Iterable[str]:
    """Yield each cause with the evidence it cites, verbatim."""
    items = {item.id: item for item in packet.items} if packet else {}
    for cause in diagnosis.causes:
        yield f"**{cause.text}** ({', '.join(cause.evidence)})"
        for item in (items[i] for i in cause.evidence if i in items):
            yield f"<details><summary>{item.id}: {item.source}</summary>\n\n{fenced(item.text)}\n\n</details>"


def _changed(publish: PublishRequest) -> str:
    rows = [
        f"| `{change.path}` | {change.status} | +{change.additions} −{change.deletions} |"
        for change in publish.change.files
    ]
    table = ["| file | | lines |", "| --- | --- | --- |", *rows]
    if publish.change.more_files:
        table.append(f"| and {publish.change.more_files} more files | | |")
    summary = fenced(visible(redact(publish.coding.text)))
    return "\n".join(["## What changed", "", *table, "", "Agent summary:", "", summary])


def _doubts(publish: PublishRequest) -> str:
    if not publish.doubts:
        return ""
    rows = [f"> - {visible(doubt)}" for doubt in publish.doubts]
    return "\n".join(["> **A draft, because of:**", *rows])


def _checked(publish: PublishRequest) -> str:
    """Give Railmend's own runs of the repository's checks, then how anyone can verify the fix."""
    how = [f"- {i.diagnosis.verify}" for i in publish.repair.incidents if i.diagnosis.verify]
    parts = ["## How it was checked", _verdict(publish.verification)]
    parts += [_run(now, then) for now, then in publish.verification.pairs()]
    if how:
        parts += ["How to tell that it worked:\n" + "\n".join(how)]
    return "\n\n".join(parts)


def _verdict(verification: Verification) -> str:
    if verification.verified:
        return "Railmend ran the repository's own checks with the change, without network: **they pass**."
    if verification.regressions:
        return (
            "Railmend ran the repository's own checks: **some that passed before fail with the change**, "
            "or run fewer tests."
        )
    if verification.after.runs:
        return (
            "Railmend ran the repository's own checks; **they do not all pass, with or without the change**."
        )
    why = (verification.after.unverified or "No checks were run.").split("\n")[0]
    return f"**Not verified by Railmend**: {visible(why)}"


def _run(now: CheckRun, then: CheckRun | None) -> str:
    words = {True: "passes", False: "fails", None: "could not be run"}
    before = words[then.passed] if then else "was not run"
    name = html.escape(visible(now.name))
    if now.added:
        head = f"<code>{name}</code>, with the change's own tests, {words[now.passed]} ({_numbers(now)})"
    else:
        head = f"<code>{name}</code> {words[now.passed]} ({_numbers(now)}); before the change it {before}"
        head += f" ({_numbers(then)})" if then and then.ran is not None else ""
    return f"<details><summary>{head}</summary>\n\n{fenced(visible(now.output))}\n\n</details>"


def _numbers(run: CheckRun) -> str:
    skipped = f", {run.skipped} skipped" if run.skipped else ""
    tests = "" if run.ran is None else f"{run.ran} tests ran{skipped}, "
    return f"{tests}{run.seconds:.0f} s"


def _risk(repair: RepairRequest) -> str:
    rows = [f"- {i.diagnosis.risk}" for i in repair.incidents if i.diagnosis.risk]
    back = "To roll back: revert this commit, or roll the service back to its previous deployment in Railway."
    return "\n".join(["## Risk and roll back", *rows, "", back])


def _left_out(repair: RepairRequest) -> str:
    """Name what this repair leaves to people and later scans."""
    if not repair.left_out:
        return ""
    rows = [f"- {s.name}: {', '.join(kind.value for kind in s.kinds)}" for s in repair.left_out]
    return "\n".join([f"## In trouble too, not looked at here ({len(rows)})", LEFT_OUT, "", *rows])


def _unseen(packets: Iterable[EvidencePacket | None]) -> str:
    rows = [f"- {sentence}" for packet in packets if packet for sentence in packet.unseen]
    return "\n".join(["## What Railmend could not see", *rows]) if rows else ""


def _cost(publish: PublishRequest) -> str:
    diagnoses = [incident.diagnosis for incident in publish.repair.incidents]
    cost = publish.coding.cost_usd + sum(diagnosis.cost_usd or 0.0 for diagnosis in diagnoses)
    tokens = publish.coding.tokens + sum(diagnosis.tokens for diagnosis in diagnoses)
    calls = publish.coding.model_calls
    return f"---\n{calls} model calls, {tokens} tokens, {cost:.2f} USD as far as the providers told."


def report_markdown(report: HealthReport) -> str:
    """Return one row per affected service and the number of all services, for the Web UI."""
    troubled = [row for row in report.rows if row.findings]
    rows = [
        f"| {row.name} | {' '.join(finding.sentence or finding.kind.value for finding in row.findings)} "
        f"| `{row.verdict}` | {_link(row)} |"
        for row in troubled
    ]
    count = len(report.rows) + len(report.healthy) + len(report.asleep)
    head = f"**{report.project_name} / {report.environment_name}**: {count} services"
    table = (
        ["| service | found | verdict | what is done |", "| --- | --- | --- | --- |", *rows] if rows else []
    )
    unseen = [f"- Could not be seen: {sentence}" for sentence in report.unseen]
    parts = [f"{head}, {len(troubled)} in trouble.", "\n".join(table), "\n".join(unseen)]
    return visible("\n\n".join(part for part in parts if part))[:MAX_DETAILS]


def _link(row: ServiceRow) -> str:
    if not row.repair_workflow_id:
        return row.action
    return f"`{row.repair_workflow_id}`" + (f" (a {row.bounded_by})" if row.bounded_by else "")


def incident_markdown(report: IncidentReport, packet: EvidencePacket | None) -> str:
    """Return the diagnosis with its citations resolved, for the Web UI."""
    diagnosis = report.diagnosis
    head = f"**{report.request.service.name}**: `{diagnosis.verdict.value}` ({diagnosis.confidence:.0%})"
    plan = [f"{number}. {step}" for number, step in enumerate(diagnosis.plan, start=1)]
    charts = [fenced(item.text) for item in packet.items if item.kind == "chart"] if packet else []
    steps = ["## Plan", "\n".join(plan)] if plan else []
    return "\n\n".join([head, _wrong(report), *charts, _why(report, packet), *steps])[:MAX_DETAILS]

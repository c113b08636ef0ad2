"""Texts of pull requests, reports and incidents. Pure code."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from railmend.contracts.approval import PlanIssueRequest
from railmend.contracts.incident import Diagnosis, EvidencePacket, IncidentReport
from railmend.contracts.measurement import WindowMetrics
from railmend.contracts.repair import CheckRun, PublishRequest, RepairRequest, Verification
from railmend.contracts.status import WAITS_FOR_APPROVAL, capitalized
from railmend.evidence.redact import redact
from railmend.evidence.safe_text import MarkdownText, PlainText
from railmend.publishing.charts import chart, shown_by
from railmend.publishing.proof import proof_table
from railmend.publishing.report import MAX_DETAILS

Author = tuple[str, str]
# The author of commits of 0.1.0, whatever its account; now it is `GitHubClient.author`.
BOT: Author = ("Railmend", "railmend@users.noreply.github.com")
MAX_BODY = 60_000  # GitHub refuses bodies over 65,536 characters
MAX_TITLE = 72
REHEARSAL = "rehearsal"
EVIDENCE_GONE = "The evidence that these causes cite is no longer stored."
LEFT_OUT = (
    "One repair takes the worst services of a repository. What it changes may help these too; a later scan "
    "takes up what still shows after it."
)


@dataclass(frozen=True)
class PublishedMaterial:
    """What a pull request shows beside the diagnoses, by incident; a packet is None where it is gone.

    `measured`: the numbers of each incident's window, or none at all. `unseen`: what GitHub does not show.
    """

    packets: tuple[EvidencePacket | None, ...]
    measured: tuple[WindowMetrics, ...] = ()
    unseen: tuple[str, ...] = ()


def marker(key: str, head: str, incidents: Sequence[str] = ()) -> MarkdownText:
    """Return a hidden comment for the body, which identifies the repair and its incidents."""
    content = {"key": key, "head": head, **({"incidents": list(incidents)} if incidents else {})}
    return MarkdownText.comment("railmend", json.dumps(content))


def is_rehearsal(repair: RepairRequest) -> bool:
    return any(REHEARSAL in incident.diagnosis.model for incident in repair.incidents)


def title(repair: RepairRequest) -> PlainText:
    first = repair.incidents[0]
    text = first.diagnosis.summary.removeprefix(f"[{REHEARSAL}]").strip().split("\n")[0]
    return PlainText.of("{}: {}", first.request.service.name, text).cut(MAX_TITLE)


def commit_message(repair: RepairRequest, author: Author = BOT) -> PlainText:
    """Return the message, which is the same on every attempt, so that a retry makes the same commit."""
    causes = [cause.text for incident in repair.incidents for cause in incident.diagnosis.causes]
    listed = PlainText.joined((PlainText.of("- {}", cause) for cause in causes), "\n")
    return _signed(author, title(repair), listed)


def follow_up_message(publish: PublishRequest, author: Author = BOT) -> PlainText:
    """Return the message of a commit that answers reviewers and checks, naming them."""
    who = ", ".join(dict.fromkeys(note.author for note in publish.notes))
    return _signed(author, PlainText.of("Answer the review of {}", who).cut(MAX_TITLE))


def revert_title(of: str) -> PlainText:
    return PlainText.of("Revert: {}", of).cut(MAX_TITLE)


def revert_message(of: str, sha: str, reason: str, author: Author = BOT) -> PlainText:
    return _signed(author, revert_title(of), PlainText.of("This reverts commit {}.\n\n{}", sha, reason))


def _signed(author: Author, subject: PlainText, *paragraphs: PlainText) -> PlainText:
    return PlainText.joined([subject, *paragraphs, PlainText.of("Signed-off-by: {} <{}>", *author)])


def body(publish: PublishRequest, material: PublishedMaterial) -> MarkdownText:
    """Return the body for a reviewer: what was wrong, why, what changed, checks, risk, limits, cost."""
    end = marker(publish.repair.key, "", publish.repair.fingerprints)
    return MarkdownText.joined([MarkdownText.bounded(_sections(publish, material), MAX_BODY - len(end)), end])


def _sections(publish: PublishRequest, material: PublishedMaterial) -> Iterator[MarkdownText]:
    repair = publish.repair
    if is_rehearsal(repair):
        yield MarkdownText.of(
            "> **Rehearsal.** The diagnosis and the edit were made by the demo's stand-in model, not by a "
            "real one."
        )
    yield from proof_table(publish.proof)
    yield _doubts(publish)
    if repair.bounded_by:
        yield MarkdownText.of("> A {}.", repair.bounded_by)
    for number, (incident, packet) in enumerate(zip(repair.incidents, material.packets, strict=True)):
        yield _wrong(incident)
        yield from _charts(incident, material.measured[number : number + 1])
        yield from _why(incident, packet)
    yield _left_out(repair)
    yield from _changed(publish)
    yield from _checked(publish)
    yield _risk(repair)
    yield _unseen([s for packet in material.packets if packet for s in packet.unseen] + [*material.unseen])
    yield _cost(publish)


def _lines(parts: Iterable[MarkdownText]) -> MarkdownText:
    return MarkdownText.joined(parts, "\n")


def _folded(summary: MarkdownText, text: str) -> MarkdownText:
    return MarkdownText.of(
        "<details><summary>{}</summary>\n\n{}\n\n</details>", summary, MarkdownText.block(text)
    )


def _wrong(incident: IncidentReport) -> MarkdownText:
    rows = [
        MarkdownText.of(
            "- **{}** ({}) since {:%Y-%m-%d %H:%M:%S} UTC: {}",
            finding.kind.value,
            finding.severity.value,
            finding.onset,
            finding.sentence,
        )
        for finding in incident.request.findings
    ]
    return _lines([MarkdownText.of("## What was wrong: {}", incident.request.service.name), *rows])


def _charts(incident: IncidentReport, measured: Sequence[WindowMetrics]) -> list[MarkdownText]:
    """Chart the measured series in which the incident shows."""
    name, findings = incident.request.service.name, incident.request.findings
    drawn = (chart(name, series, metrics) for metrics in measured for series in shown_by(findings))
    return [picture for picture in drawn if picture]


def _why(incident: IncidentReport, packet: EvidencePacket | None) -> Iterator[MarkdownText]:
    yield MarkdownText.of("## Why")
    yield MarkdownText(incident.diagnosis.summary)
    yield from _causes(incident.diagnosis, packet)
    if packet is None:
        yield MarkdownText(EVIDENCE_GONE)


def _causes(diagnosis: Diagnosis, packet: EvidencePacket | None) -> Iterator[MarkdownText]:
    """Yield each cause with the evidence it cites."""
    items = {item.id: item for item in packet.items} if packet else {}
    for cause in diagnosis.causes:
        yield MarkdownText.of("**{}** ({})", cause.text, ", ".join(cause.evidence))
        for item in (items[i] for i in cause.evidence if i in items):
            yield _folded(MarkdownText.of("{}: {}", item.id, item.source), item.text)


def _changed(publish: PublishRequest) -> Iterator[MarkdownText]:
    head = MarkdownText.of("| file | | lines |\n| --- | --- | --- |")
    rows = [
        MarkdownText.of(
            "| {} | {} | +{} −{} |",
            MarkdownText.code(change.path),
            change.status,
            change.additions,
            change.deletions,
        )
        for change in publish.change.files
    ]
    if publish.change.more_files:
        rows.append(MarkdownText.of("| and {} more files | | |", publish.change.more_files))
    yield MarkdownText.of("## What changed")
    yield _lines([head, *rows])
    yield MarkdownText.of("Agent summary:")
    yield MarkdownText.block(redact(publish.coding.text))


def _doubts(publish: PublishRequest) -> MarkdownText:
    if not publish.doubts:
        return MarkdownText()
    head = MarkdownText.of("> **A draft, because of:**")
    return _lines([head, *(MarkdownText.of("> - {}", doubt) for doubt in publish.doubts)])


def _checked(publish: PublishRequest) -> Iterator[MarkdownText]:
    """Give Railmend's own runs of the repository's checks, then how anyone can verify the fix."""
    how = [i.diagnosis.verify for i in publish.repair.incidents if i.diagnosis.verify]
    yield MarkdownText.of("## How it was checked")
    yield _verdict(publish.verification)
    for now, then in publish.verification.pairs():
        yield _run(now, then)
    if how:
        head = MarkdownText.of("How to tell that it worked:")
        yield _lines([head, *(MarkdownText.of("- {}", way) for way in how)])


def _verdict(verification: Verification) -> MarkdownText:
    """Tell what the checks say. That one could not be run, or fails either way, is not called their fault."""
    after = verification.after
    if verification.verified:
        return MarkdownText.of(
            "Railmend ran the repository's own checks with the change, without network: **they pass**."
        )
    if verification.regressions:
        return MarkdownText.of(
            "Railmend ran the repository's own checks: **some that passed before fail with the change**, "
            "or run fewer tests."
        )
    if any(run.added and not run.passed for run in after.runs):
        return MarkdownText.of(
            "Railmend ran the repository's own checks: they pass, but **the change's own tests fail**."
        )
    if any(run.passed is False for run, _ in verification.judged):
        return MarkdownText.of(
            "**Not verified by Railmend**: some checks fail in its sandbox, with the change and without it. "
            "The sandbox has no network and no services, so they may well pass elsewhere."
        )
    reasons = [after.unverified, *(run.not_run for run in after.runs), "No checks were run."]
    return MarkdownText.of(
        "**Not verified by Railmend**: {}", next(reason for reason in reasons if reason).split("\n")[0]
    )


def _run(now: CheckRun, then: CheckRun | None) -> MarkdownText:
    words = {True: "passes", False: "fails", None: "could not be run"}
    if now.not_run is not None and not (then and then.passed):
        return _folded(MarkdownText.of("<code>{}</code> was not run: {}", now.name, now.not_run), now.output)
    before = words[then.passed] if then else "was not run"
    if now.added:
        head = MarkdownText.of(
            "<code>{}</code>, with the change's own tests, {} ({})",
            now.name,
            words[now.passed],
            _numbers(now),
        )
    else:
        head = MarkdownText.of(
            "<code>{}</code> {} ({}); before the change it {}",
            now.name,
            words[now.passed],
            _numbers(now),
            before,
        )
        if then and then.ran is not None:
            head += MarkdownText.of(" ({})", _numbers(then))
    return _folded(head, now.output)


def _numbers(run: CheckRun) -> str:
    skipped = f", {run.skipped} skipped" if run.skipped else ""
    tests = "" if run.ran is None else f"{run.ran} tests ran{skipped}, "
    return f"{tests}{run.seconds:.0f} s"


def _risk(repair: RepairRequest) -> MarkdownText:
    rows = [MarkdownText.of("- {}", i.diagnosis.risk) for i in repair.incidents if i.diagnosis.risk]
    back = MarkdownText.of(
        "\nTo roll back: revert this commit, or roll the service back to its previous deployment in Railway."
    )
    return _lines([MarkdownText.of("## Risk and roll back"), *rows, back])


def _left_out(repair: RepairRequest) -> MarkdownText:
    """Name what this repair leaves to people and later scans."""
    if not repair.left_out:
        return MarkdownText()
    rows = [
        MarkdownText.of("- {}: {}", service.name, ", ".join(kind.value for kind in service.kinds))
        for service in repair.left_out
    ]
    head = MarkdownText.of("## In trouble too, not looked at here ({})\n{}\n\n", len(rows), LEFT_OUT)
    return head + _lines(rows)


def _unseen(sentences: Iterable[str]) -> MarkdownText:
    rows = [MarkdownText.of("- {}", sentence) for sentence in sentences]
    return _lines([MarkdownText.of("## What Railmend could not see"), *rows]) if rows else MarkdownText()


def _cost(publish: PublishRequest) -> MarkdownText:
    diagnoses = [incident.diagnosis for incident in publish.repair.incidents]
    cost = publish.coding.cost_usd + sum(diagnosis.cost_usd or 0.0 for diagnosis in diagnoses)
    tokens = publish.coding.tokens + sum(diagnosis.tokens for diagnosis in diagnoses)
    return MarkdownText.of(
        "---\n{} model calls, {} tokens, {:.2f} USD as far as the providers told.",
        publish.coding.model_calls,
        tokens,
        cost,
    )


def incident_markdown(report: IncidentReport, packet: EvidencePacket | None) -> MarkdownText:
    """Return the diagnosis with its citations resolved, for the Web UI."""
    diagnosis = report.diagnosis
    head = MarkdownText.of(
        "**{}**: {} ({:.0%})",
        report.request.service.name,
        MarkdownText.code(diagnosis.verdict.value),
        diagnosis.confidence,
    )
    items = packet.items if packet else ()
    charts = [MarkdownText.block(item.text) for item in items if item.kind == "chart"]
    steps = _steps(diagnosis)
    return MarkdownText.bounded([head, _wrong(report), *charts, *_why(report, packet), *steps], MAX_DETAILS)


def _steps(diagnosis: Diagnosis) -> list[MarkdownText]:
    plan = [MarkdownText.of("{:d}. {}", number, step) for number, step in enumerate(diagnosis.plan, start=1)]
    return [MarkdownText.of("## Plan"), _lines(plan)] if plan else []


def format_plan_issue(request: PlanIssueRequest) -> MarkdownText:
    """Return all that an approval binds, and how to give it."""
    parts = [*_how_to_decide(request), *_plan(request.repair), _left_out(request.repair)]
    return MarkdownText.bounded(parts, MAX_BODY)


def _how_to_decide(request: PlanIssueRequest) -> Iterator[MarkdownText]:
    repair, plan = request.repair, request.repair.plan_hash
    base = f"{repair.base_branch or 'its default branch'} {(repair.commit or '')[:12]}".strip()
    yield MarkdownText.of(
        "**{}**, until {:%Y-%m-%d %H:%M} UTC. It changes {} from {}.",
        capitalized(WAITS_FOR_APPROVAL),
        request.until,
        MarkdownText.code(repair.repository),
        MarkdownText.code(base),
    )
    if repair.bounded_by:
        yield MarkdownText.of("A {}.", repair.bounded_by)
    yield MarkdownText.of(
        "Whoever may write to this repository decides, by a comment that is one of these lines alone:\n\n"
        "- `/railmend approve {}`\n- `/railmend reject {} REASON`",
        *(plan, plan),
    )
    yield MarkdownText.of(
        "or by `starter.py approve` or `reject`, {} `--plan {}`. An edited comment, or one of a bot or an "
        "app, decides nothing; a rejection outweighs approvals. Another plan has another hash.",
        MarkdownText.code(request.notification.workflow_id),
        plan,
    )


def _plan(repair: RepairRequest) -> Iterator[MarkdownText]:
    for incident in repair.incidents:
        diagnosis = incident.diagnosis
        yield _wrong(incident)
        yield MarkdownText.of("## Why")
        yield MarkdownText(diagnosis.summary)
        yield from _causes(diagnosis, None)
        yield from _steps(diagnosis)
        rest = (
            ("Files", ", ".join(diagnosis.suspected_files)),
            ("How to tell that it worked", diagnosis.verify),
            ("Risk", diagnosis.risk),
            ("Rests on", diagnosis.assumes),
        )
        yield _lines(MarkdownText.of("- {}: {}", what, said) for what, said in rest if said)

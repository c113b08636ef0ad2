"""Texts of pull requests, reports and incidents. Pure code."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from railmend.contracts.approval import PlanIssueRequest
from railmend.contracts.incident import REMOVED_UNSEEN, EvidenceItem, EvidencePacket, IncidentReport
from railmend.contracts.measurement import WindowMetrics
from railmend.contracts.repair import PublishRequest, RepairRequest
from railmend.contracts.status import WAITS_FOR_APPROVAL, capitalized
from railmend.evidence.redact import redact
from railmend.evidence.safe_text import MarkdownText, PlainText
from railmend.publishing import markdown
from railmend.publishing.charts import chart, shown_by
from railmend.publishing.report import MAX_DETAILS

Author = tuple[str, str]
# The author of commits of 0.1.0, whatever its account; now it is `GitHubClient.author`.
BOT: Author = ("Railmend", "railmend@users.noreply.github.com")
MAX_BODY = 60_000  # GitHub refuses bodies over 65,536 characters
MAX_TITLE = 72
REHEARSAL = "rehearsal"
MOST_FILES = 8  # with more, what comes next would be below the first screen


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
    """Return what the fix does, after the name of the service: of pull request and commit."""
    first = repair.incidents[0]
    text = first.diagnosis.headline.removeprefix(f"[{REHEARSAL}]").strip(" ,;:")
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
    """Return the body for a reviewer: cause, proof and change first, then evidence, checks, what is next."""
    repair, coding = publish.repair, publish.coding
    measured = [material.measured[n : n + 1] for n in range(len(repair.incidents))]
    diagnoses = [incident.diagnosis for incident in repair.incidents]
    parts = markdown.parts(
        "pull_request",
        publish=publish,
        repair=repair,
        proof=publish.proof,
        rehearsal=is_rehearsal(repair),
        incidents=[
            (incident, _charts(incident, metrics))
            for incident, metrics in zip(repair.incidents, measured, strict=True)
        ],
        evidence=[cited(*pair) for pair in zip(repair.incidents, material.packets, strict=True)],
        gone=None in material.packets,
        agent_account=markdown.account(redact(coding.text)),
        files_shown=MOST_FILES,
        more_files=max(len(publish.change.files) - MOST_FILES, 0) + publish.change.more_files,
        run=f"repair/{repair.repository}/{repair.key}",
        measured_after=[_duration(seconds) for seconds in repair.policy.follow_up.outcome_seconds],
        verify=[diagnosis.verify for diagnosis in diagnoses if diagnosis.verify],
        risks=[diagnosis.risk for diagnosis in diagnoses if diagnosis.risk],
        unseen=[*(s for packet in material.packets if packet for s in _missed(packet)), *material.unseen],
        tokens=coding.tokens + sum(diagnosis.tokens for diagnosis in diagnoses),
        cost=coding.cost_usd + sum(diagnosis.cost_usd or 0.0 for diagnosis in diagnoses),
    )
    end = marker(repair.key, "", repair.fingerprints)
    return MarkdownText.joined([MarkdownText.bounded(parts, MAX_BODY - len(end)), end])


def cited(incident: IncidentReport, packet: EvidencePacket | None) -> list[EvidenceItem]:
    """Return the items that causes, and what was ruled out, rest on, each once."""
    diagnosis = incident.diagnosis
    ids = {each for cause in diagnosis.causes for each in cause.evidence}
    ids |= {each for other in diagnosis.ruled_out for each in other.against}
    return [item for item in packet.items if item.id in ids] if packet else []


def _missed(packet: EvidencePacket) -> list[str]:
    """Return what was not seen this time; what can never be seen is no news."""
    return [sentence for sentence in packet.unseen if sentence != REMOVED_UNSEEN]


def _duration(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    if hours and not rest:
        return f"{hours} hours" if hours > 1 else "an hour"
    return f"{seconds // 60} minutes" if seconds >= 120 else f"{seconds} seconds"


def _charts(incident: IncidentReport, measured: Sequence[WindowMetrics]) -> list[MarkdownText]:
    """Chart the measured series in which the incident shows."""
    name, findings = incident.request.service.name, incident.request.findings
    onset = min((finding.onset for finding in findings), default=None)
    drawn = (chart(name, series, metrics, onset) for metrics in measured for series in shown_by(findings))
    return [picture for picture in drawn if picture]


def incident_markdown(report: IncidentReport, packet: EvidencePacket | None) -> MarkdownText:
    """Return the diagnosis with its citations resolved, for the Web UI."""
    items = packet.items if packet else ()
    shown = {"incident": report, "packet": packet, "items": items, "cited": cited(report, packet)}
    parts = markdown.parts("incident_details", **shown)
    return MarkdownText.bounded(parts, MAX_DETAILS)


def format_plan_issue(request: PlanIssueRequest) -> MarkdownText:
    """Return all that an approval binds, and how to give it."""
    repair = request.repair
    parts = markdown.parts(
        "plan",
        waits=capitalized(WAITS_FOR_APPROVAL),
        until=request.until,
        repair=repair,
        base=f"{repair.base_branch or 'its default branch'} {(repair.commit or '')[:12]}".strip(),
        workflow_id=request.notification.workflow_id,
    )
    return MarkdownText.bounded(parts, MAX_BODY)

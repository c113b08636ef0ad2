"""The text of a scan's report. A workflow makes it: it imports contracts and escaping, nothing else."""

from railmend.contracts.scan import HealthReport, ServiceRow
from railmend.contracts.status import action_label, listed
from railmend.evidence.safe_text import MarkdownText

# Temporal keeps at most 20,000 bytes of current details.
MAX_DETAILS = 18_000
# Of services in one state, so many are named.
MOST_NAMES = 20


def report_markdown(report: HealthReport) -> MarkdownText:
    """Return one row per affected service and how many are in which state, for the Web UI."""
    troubled = [row for row in report.rows if row.findings]
    rows = [
        MarkdownText.of(
            "| {} | {} | {} | {} |",
            row.name,
            " ".join(finding.sentence or finding.kind.value for finding in row.findings),
            MarkdownText.code(row.verdict),
            _link(row),
        )
        for row in troubled
    ]
    head = MarkdownText.of("**{} / {}**: {}", report.project_name, report.environment_name, report.headline)
    top = MarkdownText.of("| service | found | verdict | what is done |\n| --- | --- | --- | --- |")
    unseen = [
        *([MarkdownText.of("- {}", report.unlisted)] if report.unlisted and not report.unknown else ()),
        *(
            MarkdownText.of("- Unknown: {}: {}", listed(group.services, MOST_NAMES), group.reason)
            for group in report.unknown
        ),
        *(MarkdownText.of("- Could not be seen: {}", sentence) for sentence in report.unseen),
    ]
    table = MarkdownText.bounded([top, *rows] if rows else [], MAX_DETAILS - 4_000, "\n")
    return MarkdownText.joined([head, table, MarkdownText.bounded(unseen, 3_000, "\n")])


def _link(row: ServiceRow) -> MarkdownText:
    if not row.repair_workflow_id:
        return MarkdownText(action_label(row.action))
    link = MarkdownText.code(row.repair_workflow_id)
    return MarkdownText.of("{} (a {})", link, row.bounded_by) if row.bounded_by else link

"""The result of a scan and its repairs, and how it is shown on a terminal."""

from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from railmend.contracts.repair import RepairOutcome, RepairResult
from railmend.contracts.scan import HealthReport, ServiceRow
from railmend.contracts.status import WAITS_FOR_APPROVAL, action_label, ending_label, listed

# Of healthy services, so many are named.
MOST_NAMES = 20


@dataclass(frozen=True)
class ScanResult:
    """A finished scan and its repairs by workflow ID. `waiting`: the command that answers each of these."""

    report: HealthReport
    repairs: dict[str, RepairResult] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)

    def pull_requests(self) -> dict[str, str]:
        """Return addresses of pull requests by service name."""
        urls = {}
        for row in self.report.rows:
            result = self.repairs.get(row.repair_workflow_id or "")
            if result and result.pull_request:
                urls[row.name] = result.pull_request.url
        return urls

    def then(self, later: "ScanResult") -> "ScanResult":
        """Return both scans' results as one: of each service the later row, unless it only repeats."""
        rows = {row.name: row for row in self.report.rows}
        rows |= {row.name: row for row in later.report.rows if row.repair_workflow_id or row.name not in rows}
        return ScanResult(
            report=later.report.model_copy(update={"rows": tuple(rows.values())}),
            repairs={**self.repairs, **later.repairs},
            waiting={**self.waiting, **later.waiting},
        )

    def as_data(self) -> dict[str, Any]:
        """Return what --json prints: the report, each repair's result, and which wait for `approve`."""
        return {
            "report": self.report.model_dump(mode="json"),
            "repairs": {
                workflow_id: result.model_dump(mode="json") for workflow_id, result in self.repairs.items()
            },
            "waiting": list(self.waiting),
        }


def render(result: ScanResult, console: Console) -> None:
    report = result.report
    table = Table(
        title=f"{report.project_name} / {report.environment_name}", title_justify="left", expand=True
    )
    for name in ("service", "finding", "verdict", "what was done"):
        table.add_column(name, overflow="fold")
    for row in report.rows:
        findings = (
            "\n".join(escape(finding.sentence or finding.kind.value) for finding in row.findings) or "-"
        )
        table.add_row(escape(row.name), findings, escape(row.verdict), escape(_done(row, result)))
    if report.rows:
        console.print(table)
    console.print(f"{escape(report.project_name)}: {report.headline}")
    for state, names in (("Healthy", report.healthy), ("Asleep", report.asleep)):
        if names:
            console.print(f"{state}: {escape(listed(names, MOST_NAMES))}")
    for group in report.unknown:
        shown = escape(listed(group.services, MOST_NAMES))
        console.print(f"Unknown: {shown}: {escape(group.reason)}")
    unlisted = (report.unlisted,) if report.unlisted and not report.unknown else ()
    for sentence in (*report.unseen, *unlisted):
        console.print(f"Could not be seen: {escape(sentence)}")
    # Below the table and unbroken, so that they can be copied.
    for name, url in sorted(result.pull_requests().items()):
        console.print(f"Pull request for {escape(name)}: {url}", soft_wrap=True)
    for command in result.waiting.values():
        console.print(f"Waits for you: {escape(command)}", soft_wrap=True)


def _done(row: ServiceRow, result: ScanResult) -> str:
    if row.repair_workflow_id in result.waiting:
        return WAITS_FOR_APPROVAL
    repair = result.repairs.get(row.repair_workflow_id or "")
    if repair is None:
        label = action_label(row.action)
        more = f"a {row.bounded_by}" if row.bounded_by else row.detail
        return f"{label}: {more}" if more else label
    if repair.outcome is RepairOutcome.PULL_REQUEST and repair.pull_request:
        bounded = f" (a {row.bounded_by})" if row.bounded_by else ""
        return f"pull request #{repair.pull_request.number}{bounded}"
    return f"{ending_label(repair.outcome.value)}: {repair.reason}"

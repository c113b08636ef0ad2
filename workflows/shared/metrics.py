"""Metrics of scans, whose ends no activity sees."""

from temporalio.common import MetricMeter

from railmend.contracts.scan import HealthReport


def record(meter: MetricMeter, report: HealthReport) -> None:
    """`meter`: the workflow's, with which a replay counts nothing."""
    meter.create_counter("railmend_scans", "Scans that ended with a report").add(1)
    findings = meter.create_counter("railmend_findings", "Findings in reports")
    for row in report.rows:
        for finding in row.findings:
            findings.add(1, {"kind": finding.kind.value, "severity": finding.severity.value})
    meter.create_gauge("railmend_services_affected", "Services in trouble at the last scan").set(
        len(report.rows), {"project": report.project_name, "environment": report.environment_name}
    )

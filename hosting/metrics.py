"""Railmend's own metrics, on Temporal's endpoint. Read off what activities return, so none of them counts.

Those of scans are in `workflows/shared/metrics.py`.

A result that is lost on its way to the server is made again and counted again: rates are right, single
numbers may be one too high. Names and labels: docs/observability.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from temporalio.common import MetricMeter

from railmend.contracts.incident import IncidentReport, Verdict
from railmend.contracts.ledger import SettlementBatch
from railmend.contracts.repair import CodingResult, RepairOutcome
from railmend.contracts.scan import FindingKind, Severity

COST, SESSION = "railmend_cost_usd", "railmend_session_seconds"
# A diagnosis costs cents, a session up to some dollars; a session ends after half an hour by default.
BUCKETS: Mapping[str, Sequence[float]] = {
    COST: (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    SESSION: (10, 30, 60, 120, 300, 600, 1200, 1800, 3600),
}
# Counters, with the labels that begin at 0.
COUNTED: Mapping[str, Sequence[Mapping[str, str]]] = {
    "railmend_findings": [
        {"kind": kind.value, "severity": severity.value} for kind, severity in product(FindingKind, Severity)
    ],
    "railmend_verdicts": [{"verdict": name} for name in (*(verdict.value for verdict in Verdict), "waiting")],
    "railmend_repairs": [
        {"outcome": name} for name in (*(outcome.value for outcome in RepairOutcome), "cancelled")
    ],
}
REPAIR = "repair/"  # how the workflow IDs of repairs begin


@dataclass(frozen=True)
class Gauge:
    """A value to be read after each activity; None: not known yet."""

    name: str
    description: str
    labels: Mapping[str, str]
    read: Callable[[], int | None]

    def record(self, meter: MetricMeter) -> None:
        if (value := self.read()) is not None:
            meter.create_gauge(self.name, self.description).set(value, self.labels)


def api_budget(api: str, left: Callable[[], int | None]) -> Gauge:
    """Build a gauge of requests that the outside API still allows this process in its current window."""
    return Gauge("railmend_api_budget_left", "Requests left in the API's window", {"api": api}, left)


def settings_refused(problem: Callable[[], str]) -> Gauge:
    """Build a gauge of whether the settings' files cannot be used, so that older ones are in force."""
    return Gauge(
        "railmend_settings_refused", "1: the files cannot be used", {}, lambda: 1 if problem() else 0
    )


def missed_scans(meter: MetricMeter, project: str, count: int) -> None:
    """Record how many of a project's newest scans failed or were skipped, in a row."""
    meter.create_gauge("railmend_missed_scans", "Newest scans that failed or were skipped").set(
        count, {"project": project}
    )


def begin(meter: MetricMeter) -> None:
    """Count nothing once, so that a rate is 0 from the start and not unknown until the first event.

    Gauges are left out: a project that was not scanned has no number of services in trouble.
    """
    meter.create_counter("railmend_scans", "Scans that ended with a report").add(0)
    for name, labels in COUNTED.items():
        counter = meter.create_counter(name, "")
        for each in labels:
            counter.add(0, each)


def record(meter: MetricMeter, activity: str, args: Sequence[Any], result: Any, seconds: float) -> None:
    """`activity`: its type; `seconds`: how long this attempt took."""
    if recorder := RECORDERS.get(activity):
        recorder(meter, args, result, seconds)


def _incident(meter: MetricMeter, args: Sequence[Any], _result: Any, _seconds: float) -> None:
    report: IncidentReport = args[0]
    verdict = "waiting" if report.waiting else report.diagnosis.verdict.value
    meter.create_counter("railmend_verdicts", "Verdicts of investigations").add(1, {"verdict": verdict})
    if report.diagnosis.cost_usd is not None:
        _cost(meter, report.diagnosis.cost_usd, "diagnosis")


def _session(meter: MetricMeter, _args: Sequence[Any], result: CodingResult, seconds: float) -> None:
    meter.create_histogram_float(SESSION, "Coding sessions, by attempt").record(
        seconds, {"state": result.state.value}
    )
    _cost(meter, result.cost_usd, "session")


def _settled(meter: MetricMeter, args: Sequence[Any], _result: Any, _seconds: float) -> None:
    settlements: SettlementBatch = args[0]
    outcomes = meter.create_counter("railmend_repairs", "How repairs ended")
    for settlement in settlements.settlements:
        if settlement.holder.startswith(REPAIR):
            outcomes.add(1, {"outcome": settlement.outcome})


def _cost(meter: MetricMeter, usd: float, kind: str) -> None:
    """Record a histogram: its sum is what was spent, its count how often."""
    meter.create_histogram_float(COST, "Cost of models, USD").record(usd, {"kind": kind})


Recorder = Callable[[MetricMeter, Sequence[Any], Any, float], None]
# Activities by type, as the workflows call them.
RECORDERS: Mapping[str, Recorder] = {
    "describe_incident": _incident,
    "run_session": _session,
    "settle": _settled,
}

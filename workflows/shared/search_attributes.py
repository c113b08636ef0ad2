"""The search attributes by which runs are found: one registry, for workflows, `doctor` and `worker.py`.

In them stand names, for people; identity stays in the workflow ID.
"""

from collections.abc import Iterable, Sequence

from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
)

from railmend.contracts.action import ActionRequest
from railmend.contracts.incident import IncidentReport, IncidentRequest
from railmend.contracts.repair import RepairOutcome, RepairRequest, RepairResult
from railmend.contracts.scan import Screening, ServiceRow, Severity, Symptom
from railmend.contracts.status import ending_label

PROJECT = SearchAttributeKey.for_keyword("RailmendProject")
ENVIRONMENT = SearchAttributeKey.for_keyword("RailmendEnvironment")
# A repair may be of several services, so a list; `=` finds a run that has the name among others.
SERVICE = SearchAttributeKey.for_keyword_list("RailmendService")
REPOSITORY = SearchAttributeKey.for_keyword("RailmendRepository")
VERDICT = SearchAttributeKey.for_keyword("RailmendVerdict")
OUTCOME = SearchAttributeKey.for_keyword("RailmendOutcome")
SEVERITY = SearchAttributeKey.for_keyword("RailmendSeverity")
COST = SearchAttributeKey.for_float("RailmendCost")  # USD
# What tells rows of Temporal's list apart: names and our own words alone, for attributes are never encrypted.
SUMMARY = SearchAttributeKey.for_keyword("RailmendSummary")

REGISTRY: tuple[SearchAttributeKey, ...] = (  # type: ignore[type-arg] # of several value types
    *(PROJECT, ENVIRONMENT, SERVICE, REPOSITORY),
    *(VERDICT, OUTCOME, SEVERITY, COST, SUMMARY),
)
MOST_NAMES = 1200
MOST_SUMMARY = 255  # characters of a keyword where PostgreSQL or MySQL keeps it
Updates = list[SearchAttributeUpdate]  # type: ignore[type-arg] # of several value types


def attributes_for_scan(screening: Screening, found: Sequence[ServiceRow] = ()) -> Updates:
    """Return where a scan looked. `found`: the affected services, the worst of which stand first."""
    place = [PROJECT.value_set(screening.project_name), ENVIRONMENT.value_set(screening.environment_name)]
    if not found:
        return place
    services = "; ".join(_troubled(row.name, row.findings) for row in sorted(found, key=_worst_first))
    return [*place, SUMMARY.value_set(_line(f"{len(found)} affected: {services}"))]


def attributes_for_incident(incident: IncidentRequest, screening: Screening) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            *_place(screening),
            SearchAttributePair(SERVICE, [incident.service.name]),
            *_repository(incident.service.repository),
            SearchAttributePair(SEVERITY, _worst(incident.findings)),
            SearchAttributePair(SUMMARY, _line(_troubled(incident.service.name, incident.findings))),
        ]
    )


def attributes_for_repair(repair: RepairRequest, screening: Screening) -> TypedSearchAttributes:
    requests = [report.request for report in repair.incidents]
    findings = [finding for request in requests for finding in request.findings]
    return TypedSearchAttributes(
        [
            *_place(screening),
            SearchAttributePair(SERVICE, _names(repair)),
            SearchAttributePair(REPOSITORY, repair.repository),
            SearchAttributePair(VERDICT, repair.incidents[0].diagnosis.verdict.value),
            SearchAttributePair(SEVERITY, _worst(findings)),
            SearchAttributePair(SUMMARY, _line(_repaired(repair))),
        ]
    )


def attributes_for_action(action: ActionRequest) -> TypedSearchAttributes:
    name = action.service_name
    return TypedSearchAttributes(
        [
            SearchAttributePair(SERVICE, [name]),
            SearchAttributePair(SUMMARY, _line(f"{name}: {action.kind.value}")),
        ]
    )


def attributes_for_diagnosis(report: IncidentReport) -> Updates:
    request, diagnosis = report.request, report.diagnosis
    verdict = f"{_troubled(request.service.name, request.findings)}: {_spaced(diagnosis.verdict.value)}"
    return [
        VERDICT.value_set(diagnosis.verdict.value),
        COST.value_set(diagnosis.cost_usd or 0.0),
        SUMMARY.value_set(_line(verdict)),
    ]


def attributes_for_result(repair: RepairRequest, result: RepairResult) -> Updates:
    cost = result.coding.cost_usd if result.coding else 0.0
    pull_request = f"{repair.repository}#{result.pull_request.number}" if result.pull_request else ""
    # Of one that is open only the number: what follows, a merge and a measurement, writes no attribute.
    ended = "" if result.outcome is RepairOutcome.PULL_REQUEST else ending_label(result.outcome.value)
    summary = ": ".join(filter(None, (_repaired(repair), pull_request, ended)))
    return [
        OUTCOME.value_set(result.outcome.value),
        COST.value_set(cost),
        SUMMARY.value_set(_line(summary)),
    ]


def _repaired(repair: RepairRequest) -> str:
    """Return names that leave room for what follows, and the verdict."""
    names = ", ".join(sorted({incident.request.service.name for incident in repair.incidents}))
    return f"{names[:100]}: {_spaced(repair.incidents[0].diagnosis.verdict.value)}"


def _troubled(name: str, findings: Iterable[Symptom]) -> str:
    kinds = ", ".join(dict.fromkeys(_spaced(finding.kind.value) for finding in findings))
    return f"{name} ({kinds})"


def _worst_first(row: ServiceRow) -> bool:
    return _worst(row.findings) != Severity.CRITICAL.value


def _spaced(value: str) -> str:
    return value.replace("_", " ")


def _line(text: str) -> str:
    return text if len(text) <= MOST_SUMMARY else f"{text[: MOST_SUMMARY - 1]}…"


def _names(repair: RepairRequest) -> list[str]:
    """Return the repaired services' names, then of the others as many as Temporal takes (2 KB a value)."""
    names = sorted({incident.request.service.name for incident in repair.incidents})
    for service in repair.left_out:
        if service.name not in names and sum(map(len, names)) + 4 * len(names) < MOST_NAMES:
            names.append(service.name)
    return names


def _place(screening: Screening) -> list[SearchAttributePair]:  # type: ignore[type-arg]
    return [
        SearchAttributePair(PROJECT, screening.project_name),
        SearchAttributePair(ENVIRONMENT, screening.environment_name),
    ]


def _repository(name: str | None) -> list[SearchAttributePair]:  # type: ignore[type-arg]
    return [SearchAttributePair(REPOSITORY, name)] if name else []


def _worst(findings: Iterable[Symptom]) -> str:
    critical = any(finding.severity is Severity.CRITICAL for finding in findings)
    return (Severity.CRITICAL if critical else Severity.WARNING).value

"""The search attributes by which runs are found: one registry, for workflows, `doctor` and `worker.py`.

In them stand names, for people; identity stays in the workflow ID.
"""

from collections.abc import Iterable

from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
)

from railmend.contracts.action import ActionRequest
from railmend.contracts.incident import Diagnosis, IncidentRequest
from railmend.contracts.repair import RepairRequest, RepairResult
from railmend.contracts.scan import Finding, Screening, Severity

PROJECT = SearchAttributeKey.for_keyword("RailmendProject")
ENVIRONMENT = SearchAttributeKey.for_keyword("RailmendEnvironment")
# A repair may be of several services, so a list; `=` finds a run that has the name among others.
SERVICE = SearchAttributeKey.for_keyword_list("RailmendService")
REPOSITORY = SearchAttributeKey.for_keyword("RailmendRepository")
VERDICT = SearchAttributeKey.for_keyword("RailmendVerdict")
OUTCOME = SearchAttributeKey.for_keyword("RailmendOutcome")
SEVERITY = SearchAttributeKey.for_keyword("RailmendSeverity")
COST = SearchAttributeKey.for_float("RailmendCost")  # USD

REGISTRY: tuple[SearchAttributeKey, ...] = (  # type: ignore[type-arg] # of several value types
    *(PROJECT, ENVIRONMENT, SERVICE, REPOSITORY),
    *(VERDICT, OUTCOME, SEVERITY, COST),
)
MOST_NAMES = 1200
Updates = list[SearchAttributeUpdate]  # type: ignore[type-arg] # of several value types


def attributes_for_scan(screening: Screening) -> Updates:
    return [PROJECT.value_set(screening.project_name), ENVIRONMENT.value_set(screening.environment_name)]


def attributes_for_incident(incident: IncidentRequest, screening: Screening) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [
            *_place(screening),
            SearchAttributePair(SERVICE, [incident.service.name]),
            *_repository(incident.service.repository),
            SearchAttributePair(SEVERITY, _worst(incident.findings)),
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
        ]
    )


def attributes_for_action(action: ActionRequest) -> TypedSearchAttributes:
    return TypedSearchAttributes([SearchAttributePair(SERVICE, [action.service_name])])


def attributes_for_diagnosis(diagnosis: Diagnosis) -> Updates:
    return [VERDICT.value_set(diagnosis.verdict.value), COST.value_set(diagnosis.cost_usd or 0.0)]


def attributes_for_result(result: RepairResult) -> Updates:
    cost = result.coding.cost_usd if result.coding else 0.0
    return [OUTCOME.value_set(result.outcome.value), COST.value_set(cost)]


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


def _worst(findings: Iterable[Finding]) -> str:
    critical = any(finding.severity is Severity.CRITICAL for finding in findings)
    return (Severity.CRITICAL if critical else Severity.WARNING).value

"""Find the services that only suffer from another one: the root cause is repaired, its effects are not."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from railmend.contracts.scan import DownstreamEffect, Finding, FindingKind, Service, Severity

# What a caller shows if a service that it calls is slow or down; any other finding is the caller's own.
CALLER_SYMPTOMS = frozenset(
    {FindingKind.ERROR_RATE, FindingKind.LATENCY, FindingKind.OUTAGE, FindingKind.TRAFFIC_DROP}
)
# What affects callers; a client's 4xx, a cron's failure and a build whose predecessor still serves do not.
AFFECTS_CALLERS = frozenset(FindingKind) - {
    FindingKind.CLIENT_ERRORS,
    FindingKind.TRAFFIC_DROP,
    FindingKind.CRON_FAILED,
}
# Rules detect onsets at different speeds: a root cause may seem to start a little after its effect.
SLACK = timedelta(minutes=10)


def downstream_effects(
    services: Sequence[Service], findings: Iterable[Finding]
) -> tuple[DownstreamEffect, ...]:
    """Return the services that only suffer, each with the farthest root cause that its dependencies lead to.

    Such a service shows only what callers show, and a direct or indirect dependency of it has findings of its
    own that started no later. A cycle of dependencies explains nothing: its services are each investigated.
    """
    findings_by_service: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        findings_by_service[finding.service_id].append(finding)
    services_by_id = {service.service_id: service for service in services}
    effects = []
    for service in services:
        root_cause = _root_cause(service, services_by_id, findings_by_service)
        if root_cause is not None:
            effects.append(_effect(service, root_cause, findings_by_service[root_cause.service_id]))
    return tuple(effects)


def _root_cause(
    service: Service, services: Mapping[str, Service], findings: Mapping[str, list[Finding]]
) -> Service | None:
    """Follow affected dependencies to the end; None without any, and in a cycle."""
    seen = {service.service_id}
    root_cause: Service | None = None
    current = service
    while _only_suffers(current, findings):
        cause = next(_affected_dependencies(current, services, findings, seen), None)
        if cause is None:
            break
        seen.add(cause.service_id)
        root_cause = current = cause
    if root_cause is not None and _depends_on(root_cause, service, services):
        return None
    return root_cause


def _only_suffers(service: Service, findings: Mapping[str, list[Finding]]) -> bool:
    own = findings.get(service.service_id, [])
    return bool(own) and all(finding.kind in CALLER_SYMPTOMS and not finding.chronic for finding in own)


def _affected_dependencies(
    service: Service,
    services: Mapping[str, Service],
    findings: Mapping[str, list[Finding]],
    seen: set[str],
) -> Iterator[Service]:
    """Dependencies with findings that started early enough, the earliest first."""
    latest = min(finding.onset for finding in findings[service.service_id]) + SLACK
    candidates = []
    for service_id in service.depends_on:
        onsets = [finding.onset for finding in findings.get(service_id, []) if _affects_callers(finding)]
        if service_id in services and service_id not in seen and onsets and min(onsets) <= latest:
            candidates.append((min(onsets), service_id))
    for _, service_id in sorted(candidates):
        yield services[service_id]


def _affects_callers(finding: Finding) -> bool:
    harmless = finding.kind is FindingKind.DEPLOYMENT_FAILED and finding.severity is Severity.WARNING
    return finding.kind in AFFECTS_CALLERS and not harmless and not finding.chronic


def _depends_on(service: Service, other: Service, services: Mapping[str, Service]) -> bool:
    """Directly or indirectly."""
    pending, seen = [service.service_id], set()
    while pending:
        service_id = pending.pop()
        if service_id == other.service_id:
            return True
        if service_id in seen or service_id not in services:
            continue
        seen.add(service_id)
        pending += services[service_id].depends_on
    return False


def _effect(service: Service, root_cause: Service, findings: Sequence[Finding]) -> DownstreamEffect:
    kinds = ", ".join(sorted({finding.kind.value for finding in findings}))
    return DownstreamEffect(
        service_id=service.service_id,
        root_cause_service_id=root_cause.service_id,
        sentence=f"{service.name} suffers from {root_cause.name}, which it depends on ({kinds}); that is "
        "looked at instead.",
    )

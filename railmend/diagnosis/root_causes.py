"""Find the services that only suffer from another one: the root cause is repaired, its effects are not."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
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
    pairs = ((each, _root_cause(each, services_by_id, findings_by_service)) for each in services)
    return tuple(
        _effect(each, cause, findings_by_service[cause.service_id]) for each, cause in pairs if cause
    )


def _root_cause(
    service: Service, services: Mapping[str, Service], findings: Mapping[str, list[Finding]]
) -> Service | None:
    """Follow affected dependencies to the end; None without any, and in a cycle."""
    seen, current = {service.service_id}, service
    while _only_suffers(current, findings):
        cause = _affected_dependency(current, services, findings, seen)
        if cause is None:
            break
        seen.add(cause.service_id)
        current = cause
    return None if current is service or _depends_on(current, service, services) else current


def _only_suffers(service: Service, findings: Mapping[str, list[Finding]]) -> bool:
    own = findings.get(service.service_id, [])
    return bool(own) and all(finding.kind in CALLER_SYMPTOMS and not finding.chronic for finding in own)


def _affected_dependency(
    service: Service,
    services: Mapping[str, Service],
    findings: Mapping[str, list[Finding]],
    seen: set[str],
) -> Service | None:
    """Return the dependency with findings that started early enough, the earliest of them."""
    latest = min(finding.onset for finding in findings[service.service_id]) + SLACK
    onsets = {
        each: min((f.onset for f in findings.get(each, []) if _affects_callers(f)), default=None)
        for each in service.depends_on
        if each in services and each not in seen
    }
    early = [(onset, each) for each, onset in onsets.items() if onset is not None and onset <= latest]
    return services[min(early)[1]] if early else None


def _affects_callers(finding: Finding) -> bool:
    harmless = finding.kind is FindingKind.DEPLOYMENT_FAILED and finding.severity is Severity.WARNING
    return finding.kind in AFFECTS_CALLERS and not harmless and not finding.chronic


def _depends_on(service: Service, other: Service, services: Mapping[str, Service]) -> bool:
    """Directly or indirectly."""
    pending, seen = [service.service_id], set[str]()
    while pending and other.service_id not in seen:
        service_id = pending.pop()
        if service_id not in seen and service_id in services:
            pending += services[service_id].depends_on
        seen.add(service_id)
    return other.service_id in seen


def _effect(service: Service, root_cause: Service, findings: Sequence[Finding]) -> DownstreamEffect:
    kinds = ", ".join(sorted({finding.kind.value for finding in findings}))
    return DownstreamEffect(
        service_id=service.service_id,
        root_cause_service_id=root_cause.service_id,
        sentence=f"{service.name} suffers from {root_cause.name}, which it depends on ({kinds}); that is "
        "looked at instead.",
    )

"""Culprit before victim: a service that only suffers from one it depends on gets no repair of its own."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from railmend.contracts.scan import DownstreamEffect, Finding, FindingKind, Service

# What a caller shows when the one it calls is slow or down. Anything else it has of its own.
SUFFERED = frozenset(
    {FindingKind.ERROR_RATE, FindingKind.LATENCY, FindingKind.OUTAGE, FindingKind.TRAFFIC_DROP}
)
# What makes callers suffer. A client's 4xx does not.
HARMFUL = frozenset(FindingKind) - {FindingKind.CLIENT_ERRORS, FindingKind.TRAFFIC_DROP}
# Onsets are found by rules of different speed: a culprit may seem to start a little after its victim.
SLACK = timedelta(minutes=10)


def explain(services: Sequence[Service], findings: Iterable[Finding]) -> tuple[DownstreamEffect, ...]:
    """The victims among `services`, each with the farthest culprit that its dependencies lead to.

    A victim shows only what callers show, and what it depends on (directly or not) is in trouble too and was
    not later. A circle of dependencies explains nothing: then each is looked at by itself.
    """
    by_service: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_service[finding.service_id].append(finding)
    known = {service.service_id: service for service in services}
    explained = []
    for service in services:
        culprit = _culprit(service, known, by_service)
        if culprit is not None:
            explained.append(_explained(service, culprit, by_service[culprit.service_id]))
    return tuple(explained)


def _culprit(
    victim: Service, known: Mapping[str, Service], findings: Mapping[str, list[Finding]]
) -> Service | None:
    """Follows troubled dependencies to the end."""
    seen = {victim.service_id}
    culprit: Service | None = None
    here = victim
    while _suffers(here, findings):
        worst = next(_causes(here, known, findings, seen), None)
        if worst is None:
            break
        seen.add(worst.service_id)
        culprit = here = worst
    if culprit is not None and _reaches(culprit, victim, known):
        return None
    return culprit


def _suffers(service: Service, findings: Mapping[str, list[Finding]]) -> bool:
    own = findings.get(service.service_id, [])
    return bool(own) and all(finding.kind in SUFFERED for finding in own)


def _causes(
    service: Service,
    known: Mapping[str, Service],
    findings: Mapping[str, list[Finding]],
    seen: set[str],
) -> Iterator[Service]:
    """Dependencies in trouble that started in time, the earliest first."""
    onset = min(finding.onset for finding in findings[service.service_id])
    found = []
    for one in service.depends_on:
        harmful = [f.onset for f in findings.get(one, []) if f.kind in HARMFUL]
        if one in known and one not in seen and harmful and min(harmful) <= onset + SLACK:
            found.append((min(harmful), one))
    for _, one in sorted(found):
        yield known[one]


def _reaches(start: Service, goal: Service, known: Mapping[str, Service]) -> bool:
    waiting, seen = [start.service_id], set()
    while waiting:
        one = waiting.pop()
        if one == goal.service_id:
            return True
        if one in seen or one not in known:
            continue
        seen.add(one)
        waiting += known[one].depends_on
    return False


def _explained(victim: Service, culprit: Service, findings: Sequence[Finding]) -> DownstreamEffect:
    kinds = ", ".join(sorted({finding.kind.value for finding in findings}))
    return DownstreamEffect(
        service_id=victim.service_id,
        root_cause_service_id=culprit.service_id,
        sentence=f"{victim.name} suffers from {culprit.name}, which it depends on ({kinds}); that is looked "
        "at instead.",
    )

"""Whether an incident of Railway's own explains what was found in a service, or is evidence only."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta

from railmend.contracts.scan import Finding, FindingKind, PlatformIncident, Service

# An incident is told some minutes after it begins.
SLACK = timedelta(minutes=10)
OVER = "RESOLVED"
_REQUESTS = frozenset(
    {FindingKind.OUTAGE, FindingKind.ERROR_RATE, FindingKind.LATENCY, FindingKind.TRAFFIC_DROP}
)
_PROCESSES = _REQUESTS | {FindingKind.CRASH_LOOP, FindingKind.RESTART}
# What a message names, and what that breaks; Railway's status has no fields for either.
_COMPONENTS: tuple[tuple[str, frozenset[FindingKind]], ...] = (
    (
        r"network|edge|proxy|proxies|routing|dns|connectivity|connections?|domains?|ingress|http|requests|traffic"
        r"|tls|certificates?|502|503",
        _REQUESTS,
    ),
    (
        r"hosts?|compute|containers?|instances|workloads|machines?|hardware|power|data ?cent(er|re)",
        _PROCESSES,
    ),
    (r"volumes?|disks?|storage", _PROCESSES),
    (
        r"builds?|builders?|deploy(s|ments?|ing)?|github|registry|images?",
        frozenset({FindingKind.DEPLOYMENT_FAILED}),
    ),
)
_REGIONS: tuple[tuple[str, str], ...] = (
    (r"us[- ]west\w*|california|oregon", r"us-west|sfo|pdx"),
    (r"us[- ]east\w*|virginia", r"us-east|iad"),
    (r"europe|eu[- ]west\w*|eu|amsterdam|netherlands", r"europe|eu-|ams"),
    (r"asia\w*|southeast asia|singapore", r"asia|sin"),
)


def blamed(
    incident: PlatformIncident | None, services: Iterable[Service], findings: Iterable[Finding]
) -> dict[str, str]:
    """Return the incident's words by the id of each service whose findings it explains."""
    by_service: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_service[finding.service_id].append(finding)
    told = {s.service_id: explains(incident, s, by_service[s.service_id]) for s in services}
    return {service_id: words for service_id, words in told.items() if words is not None}


def explains(incident: PlatformIncident | None, service: Service, findings: Sequence[Finding]) -> str | None:
    """Return the incident's words if it explains all findings, else None.

    It must be open, have begun before them, and name what breaks in this way, where the service runs.
    """
    if incident is None or incident.status == OVER or incident.begun is None or not findings:
        return None
    if min(finding.onset for finding in findings) < incident.begun - SLACK:
        return None
    breaks = _breaks(incident.message, service)
    explained = all(finding.kind in breaks and not finding.chronic for finding in findings)
    if not _is_here(incident.message, service) or not explained:
        return None
    return f"{incident.message} {incident.url}".strip()


def _breaks(message: str, service: Service) -> frozenset[FindingKind]:
    """Return the kinds of finding that what the message names can cause."""
    named = [kinds for words, kinds in _COMPONENTS if _names(message, words)]
    storage_alone = len(named) == 1 and _names(message, _COMPONENTS[2][0])
    if storage_alone and service.volume_gb is None:
        return frozenset()
    return frozenset().union(*named)


def _is_here(message: str, service: Service) -> bool:
    """Return whether the message names the service's region, or none."""
    named = [regions for words, regions in _REGIONS if _names(message, words)]
    region = (service.region or "").lower()
    return not named or any(re.match(regions, region) for regions in named)


def _names(message: str, words: str) -> bool:
    return re.search(rf"\b({words})\b", message, re.IGNORECASE) is not None

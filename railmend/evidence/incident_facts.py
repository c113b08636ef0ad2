"""Facts about an incident before any log is read: findings, architecture, neighbours, past repairs."""

from datetime import datetime

from railmend.contracts.incident import Fact, Incident, IncidentRequest
from railmend.contracts.scan import FindingKind, Service

# A volume filled beyond this is close to full; Railway's volumes do not grow by themselves.
VOLUME_FULL = 0.85
# Words that make an ordinary log line worth showing, by kind of finding.
MEMORY = ("memory", "heap", "cache", "kept", " rss", "gc ", "entries", "buffer")
HINTS: dict[FindingKind, tuple[str, ...]] = {
    FindingKind.MEMORY_LEAK: (*MEMORY, "pool size"),
    FindingKind.MEMORY_SATURATION: MEMORY,
    FindingKind.CPU_SATURATION: ("cpu", "busy", "loop", "queue", "backlog", "worker"),
    FindingKind.LATENCY: ("slow", "took", "duration", "query", "lock", "wait", "pool", "queue"),
    FindingKind.CRASH_LOOP: ("start", "exit", "restart", "signal", "shutdown"),
    FindingKind.CRON_FAILED: ("start", "exit", "fail", "timeout", "signal"),
    FindingKind.DEPLOYMENT_FAILED: ("start", "exit", "migrat", "health"),
}


def hints(incident: IncidentRequest) -> tuple[str, ...]:
    """Return the words that the incident's findings hint at, for the `Condenser`."""
    return tuple(dict.fromkeys(word for finding in incident.findings for word in HINTS.get(finding.kind, ())))


def redaction_key(incident: Incident) -> str:
    """Return the key that all redactors of one incident share, so that equal secrets stay equal."""
    window = incident.window
    return f"{incident.environment_id}/{incident.service.service_id}/{window.end.isoformat()}"


def onset(incident: IncidentRequest) -> datetime | None:
    """Return when the first of the findings began; None without findings."""
    return min((finding.onset for finding in incident.findings), default=None)


def finding_facts(incident: IncidentRequest) -> tuple[Fact, ...]:
    """Return each finding in its rule's words, then architecture, platform, neighbours and past repairs."""
    findings = [
        Fact(
            kind="finding",
            source=finding.kind.value,
            text=f"{finding.kind.value} ({finding.severity.value}) since {finding.onset.isoformat()}: "
            f"{finding.sentence}",
        )
        for finding in incident.findings
    ]
    return (
        *findings,
        _architecture(incident.service),
        *_platform(incident),
        *_neighbours(incident),
        *_past(incident),
    )


def _architecture(service: Service) -> Fact:
    lines = [
        f"service {service.name}, kind {service.kind.value}, {service.replicas} replicas"
        f"{f', region {service.region}' if service.region else ''}",
        f"repository {service.repository or 'none'}, branch {service.branch or '-'}, root directory "
        f"/{service.root_directory}, running commit {service.commit or '-'}",
    ]
    if service.image:
        lines.append(f"image {service.image}")
    states = ", ".join(service.instances)
    if service.active_status:
        running = f", processes {states}" if states else ""
        lines.append(f"the deployment that serves is {service.active_status}{running}")
    if service.under_way:
        lines.append(f"the newest deployment is {service.under_way}: it decides nothing yet")
    lines.append(f"health check {service.health_check}" if service.health_check else "no health check is set")
    if service.volume_fill is not None:
        full = ": close to full" if service.volume_fill >= VOLUME_FULL else ""
        lines.append(f"volume filled to {service.volume_fill:.0%}{full}")
    return Fact(kind="architecture", source="railway", text="\n".join(lines))


def _platform(incident: IncidentRequest) -> tuple[Fact, ...]:
    """Say what Railway tells of an incident of its own, which need not have to do with this one."""
    platform = incident.platform
    if platform is None:
        return ()
    begun = f" since {platform.begun.isoformat()}" if platform.begun else ""
    text = f"Railway reports an incident of its own{begun} ({platform.status.lower()}): {platform.message}"
    return (Fact(kind="platform_incident", source="Railway's status", text=text),)


def _neighbours(incident: IncidentRequest) -> tuple[Fact, ...]:
    if not incident.neighbours:
        return ()
    lines = [
        f"{neighbour.relation} {neighbour.name}: {' '.join(neighbour.findings) or 'nothing was found'}"
        for neighbour in incident.neighbours
    ]
    return (Fact(kind="neighbour", source="services next to it", text="\n".join(lines)),)


def _past(incident: IncidentRequest) -> tuple[Fact, ...]:
    if not incident.past_repairs:
        return ()
    lines = [
        f"{repair.at:%Y-%m-%d %H:%M} {repair.outcome}: {repair.summary} {repair.pull_request or ''}".rstrip()
        for repair in sorted(incident.past_repairs, key=lambda repair: repair.at, reverse=True)
    ]
    return (Fact(kind="past_repair", source="earlier repairs of this service", text="\n".join(lines)),)

"""Provider facts as evidence: (kind, source, text), the incident that explains the trouble first."""

from railmend.contracts.incident import Facts
from railmend.contracts.providers import Impact, MatchedIncident, ProviderFacts, Rank, UsedProvider

# The kind of an incident that may explain the trouble, and of one that only happened at the time.
INCIDENT, STATUS, PROVIDERS = "provider_incident", "provider_status", "providers"
WORDS = {
    Impact.NONE: "notice",
    Impact.MAINTENANCE: "maintenance",
    Impact.MINOR: "degraded",
    Impact.MAJOR: "partial outage",
    Impact.CRITICAL: "major outage",
}


def as_facts(facts: ProviderFacts) -> Facts:
    """An item of kind `provider_incident` belongs before all other evidence."""
    names = {one.provider: one.name for one in facts.used}
    items = [
        (
            STATUS if one.rank is Rank.BACKGROUND else INCIDENT,
            f"status page of {names.get(one.incident.provider, one.incident.provider)}",
            _incident(names.get(one.incident.provider, one.incident.provider), one),
        )
        for one in facts.incidents
    ]
    if facts.used:
        lines = "\n".join(_used(one) for one in facts.used)
        items.append((PROVIDERS, "outside services in use, from code, logs and network", lines))
    return Facts(items=tuple(items), unseen=facts.unseen)


def _incident(name: str, matched: MatchedIncident) -> str:
    one = matched.incident
    since = one.started.isoformat(timespec="minutes")
    state = (
        f"open since {since} ({one.state})"
        if one.resolved is None
        else f"from {since} to {one.resolved.isoformat(timespec='minutes')}"
    )
    lines = [
        f"{name}: {WORDS[one.impact]}, {state}: {one.title}",
        f"Affects: {', '.join(one.components)}" if one.components else "",
        f"Rank {matched.rank.value} of {len(Rank)}: {matched.reason}.",
        f"The provider says: {one.latest}" if one.latest else "",
        one.url,
    ]
    return "\n".join(line for line in lines if line)


def _used(one: UsedProvider) -> str:
    traces = "; ".join(f"{trace.kind} {trace.name} ({trace.where})" for trace in one.traces)
    failing = f"; failing calls: {one.failing_calls}" if one.failing_calls else ""
    return f"{one.name} ({one.category}, {one.strength.value}{failing}): {traces}"

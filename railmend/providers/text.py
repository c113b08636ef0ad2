"""Provider facts as evidence: (kind, source, text), the incident that explains the trouble first."""

from railmend.contracts.incident import Facts
from railmend.contracts.providers import Impact, MatchedIncident, ProviderFacts, Rank, UsedProvider

PROVIDERS = "providers"
# A grave, open incident of a provider whose calls fail explains the trouble by itself: no model is asked.
KINDS = {
    Rank.EXPLAINS: "provider_outage",
    Rank.LIKELY: "provider_incident",
    Rank.POSSIBLE: "provider_incident",
    Rank.BACKGROUND: "provider_status",
}
WORDS = {
    Impact.NONE: "notice",
    Impact.MAINTENANCE: "maintenance",
    Impact.MINOR: "degraded",
    Impact.MAJOR: "partial outage",
    Impact.CRITICAL: "major outage",
}


def as_facts(facts: ProviderFacts) -> Facts:
    """Outages and incidents come first, and belong before all other evidence."""
    names = {one.provider: one.name for one in facts.used}
    items = [
        (
            KINDS[one.rank],
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

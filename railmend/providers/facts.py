"""Provider facts: bounded for one payload, and written as evidence."""

from collections.abc import Sequence

from railmend.contracts.incident import Facts
from railmend.contracts.providers import Impact, MatchedIncident, ProviderFacts, Rank, UsedProvider

MAX_JSON_BYTES = 16 * 1024
MAX_INCIDENTS = 8
MAX_SENTENCES, MAX_SENTENCE = 20, 300
PROVIDERS = "providers"
# An open outage of a provider whose calls fail explains an incident by itself: no model is asked.
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


def collected(
    used: Sequence[UsedProvider], incidents: Sequence[MatchedIncident], unseen: Sequence[str]
) -> ProviderFacts:
    """Return at most 16 KiB of JSON: details are dropped first, then the last entries, with a note."""
    facts = ProviderFacts(
        used=tuple(used),
        incidents=tuple(incidents[:MAX_INCIDENTS]),
        unseen=tuple(sentence[:MAX_SENTENCE] for sentence in unseen[:MAX_SENTENCES]),
    )
    for details in (2, 1):
        if not _fits(facts):
            facts = _with_fewer_details(facts, details)
    if _fits(facts):
        return facts
    left_out = f"Of {len(used)} providers in use and {len(incidents)} incidents only the first are listed."
    facts = facts.model_copy(update={"unseen": (*facts.unseen, left_out)})
    while not _fits(facts):
        longer = "used" if len(facts.used) > len(facts.incidents) else "incidents"
        facts = facts.model_copy(update={longer: getattr(facts, longer)[:-1]})
    return facts


def _with_fewer_details(facts: ProviderFacts, details: int) -> ProviderFacts:
    """At most so many traces and hosts of each provider, and twice as many components of each incident."""
    used = tuple(
        provider.model_copy(
            update={"traces": provider.traces[:details], "failing_hosts": provider.failing_hosts[:details]}
        )
        for provider in facts.used
    )
    incidents = tuple(
        matched.model_copy(
            update={
                "incident": matched.incident.model_copy(
                    update={
                        "components": matched.incident.components[: 2 * details],
                        "latest": matched.incident.latest[:200],
                    }
                )
            }
        )
        for matched in facts.incidents
    )
    return facts.model_copy(update={"used": used, "incidents": incidents})


def _fits(facts: ProviderFacts) -> bool:
    return len(facts.model_dump_json().encode()) <= MAX_JSON_BYTES


def as_facts(facts: ProviderFacts) -> Facts:
    """Return facts (kind, source, text); outages and incidents are first and precede all other evidence."""
    names = {provider.provider: provider.name for provider in facts.used}
    items = []
    for matched in facts.incidents:
        name = names.get(matched.incident.provider, matched.incident.provider)
        items.append((KINDS[matched.rank], f"status page of {name}", _incident(name, matched)))
    if facts.used:
        lines = "\n".join(_used(provider) for provider in facts.used)
        items.append((PROVIDERS, "outside services in use, from code, logs and network", lines))
    return Facts(items=tuple(items), unseen=facts.unseen)


def _incident(name: str, matched: MatchedIncident) -> str:
    incident = matched.incident
    since = incident.started.isoformat(timespec="minutes")
    state = (
        f"open since {since} ({incident.state})"
        if incident.resolved is None
        else f"from {since} to {incident.resolved.isoformat(timespec='minutes')}"
    )
    lines = [
        f"{name}: {WORDS[incident.impact]}, {state}: {incident.title}",
        f"Affects: {', '.join(incident.components)}" if incident.components else "",
        f"Rank {matched.rank.value} of {len(Rank)}: {matched.reason}.",
        f"The provider says: {incident.latest}" if incident.latest else "",
        incident.url,
    ]
    return "\n".join(line for line in lines if line)


def _used(provider: UsedProvider) -> str:
    traces = "; ".join(f"{trace.kind} {trace.name} ({trace.where})" for trace in provider.traces)
    failing = f"; failing calls: {provider.failing_calls}" if provider.failing_calls else ""
    return f"{provider.name} ({provider.category}, {provider.strength.value}{failing}): {traces}"

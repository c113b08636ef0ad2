"""Match providers' incidents to a service's failing calls, the best explanation first."""

import re
from collections.abc import Iterable, Sequence

from railmend.contracts.providers import (
    Impact,
    MatchedIncident,
    ProviderIncident,
    Rank,
    Strength,
    UsedProvider,
)
from railmend.providers.registry import Provider

REGION = re.compile(
    r"\b(?:us|eu|ap|sa|ca|me|af|il|mx)-(?:gov-)?(?:north|south|east|west|central)(?:north|south|east|west)?-\d\b"
)


def match(
    used: Sequence[UsedProvider], incidents: Iterable[ProviderIncident], providers: Iterable[Provider]
) -> tuple[MatchedIncident, ...]:
    """Return the incidents of providers in use; `providers` name the components that matter to callers."""
    used_by_id = {provider.provider: provider for provider in used}
    components = {provider.id: provider.status.components for provider in providers if provider.status}
    matched = [
        _rank(used_by_id[incident.provider], incident, components.get(incident.provider, ()))
        for incident in incidents
        if incident.provider in used_by_id and incident.impact is not Impact.NONE
    ]
    return tuple(sorted(matched, key=_order))


def _order(matched: MatchedIncident) -> tuple[Rank, int, float]:
    """By rank, then by impact, then by age."""
    incident = matched.incident
    return matched.rank, -list(Impact).index(incident.impact), incident.started.timestamp()


def _rank(used: UsedProvider, incident: ProviderIncident, components: Sequence[str]) -> MatchedIncident:
    elsewhere = _elsewhere(used, incident, components)
    is_outage = incident.is_open and incident.impact.grave
    if elsewhere:
        rank, reason = Rank.BACKGROUND, elsewhere
    elif used.failing_calls:
        hosts = f" ({', '.join(used.failing_hosts)})" if used.failing_hosts else ""
        rank = Rank.EXPLAINS if is_outage else Rank.LIKELY
        count = used.failing_calls
        calls = "1 failing call to it was" if count == 1 else f"{count} failing calls to it were"
        reason = f"{calls} seen in the window{hosts}"
    elif is_outage:
        certain = "is used" if used.strength is not Strength.DECLARED else "is declared, perhaps used"
        rank, reason = Rank.POSSIBLE, f"it {certain} by the service; no failing call to it was seen"
    else:
        rank, reason = Rank.BACKGROUND, "it overlaps the window; no failing call to it was seen"
    return MatchedIncident(rank=rank, incident=incident, reason=reason)


def _elsewhere(used: UsedProvider, incident: ProviderIncident, components: Sequence[str]) -> str | None:
    """Why the incident is in another part of the provider; None if it may be in the same."""
    affected = set(REGION.findall(" ".join((incident.title, *incident.components))))
    called = set(REGION.findall(" ".join(used.failing_hosts)))
    if affected and called and not affected & called:
        return f"it is in {', '.join(sorted(affected))}, the failing calls go to {', '.join(sorted(called))}"
    if components and incident.components and not set(components) & set(incident.components):
        parts = ", ".join(incident.components[:3])
        return f"it is of parts that callers of its API do not depend on ({parts})"
    return None

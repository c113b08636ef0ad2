"""Which incidents explain the failing calls, best first."""

import re
from collections.abc import Iterable, Sequence

from railmend.contracts.providers import (
    Impact,
    MatchedIncident,
    ProviderFacts,
    ProviderIncident,
    Rank,
    Strength,
    UsedProvider,
)
from railmend.providers.registry import Provider

MAX_JSON = 16 * 1024
MAX_INCIDENTS = 8
MAX_SENTENCES, MAX_SENTENCE = 20, 300
REGION = re.compile(
    r"\b(?:us|eu|ap|sa|ca|me|af|il|mx)-(?:gov-)?(?:north|south|east|west|central)(?:north|south|east|west)?-\d\b"
)


def match(
    used: Sequence[UsedProvider], incidents: Iterable[ProviderIncident], providers: Iterable[Provider]
) -> tuple[MatchedIncident, ...]:
    """Incidents of providers that are used; `providers` tells which components matter to callers."""
    by_id = {one.provider: one for one in used}
    components = {one.id: one.status.components for one in providers if one.status}
    matched = [
        _rank(by_id[one.provider], one, components.get(one.provider, ()))
        for one in incidents
        if one.provider in by_id and one.impact is not Impact.NONE
    ]
    return tuple(sorted(matched, key=lambda one: (one.rank, -_weight(one.incident), one.incident.started)))


def _weight(one: ProviderIncident) -> int:
    return list(Impact).index(one.impact)


def _rank(used: UsedProvider, one: ProviderIncident, components: Sequence[str]) -> MatchedIncident:
    elsewhere = _elsewhere(used, one, components)
    grave = one.is_open and one.impact.grave
    if elsewhere:
        rank, reason = Rank.BACKGROUND, elsewhere
    elif used.failing_calls:
        hosts = f" ({', '.join(used.failing_hosts)})" if used.failing_hosts else ""
        rank = Rank.EXPLAINS if grave else Rank.LIKELY
        count = used.failing_calls
        calls = "1 failing call to it was" if count == 1 else f"{count} failing calls to it were"
        reason = f"{calls} seen in the window{hosts}"
    elif grave:
        certain = "is used" if used.strength is not Strength.DECLARED else "is declared, perhaps used"
        rank, reason = Rank.POSSIBLE, f"it {certain} by the service; no failing call to it was seen"
    else:
        rank, reason = Rank.BACKGROUND, "it overlaps the window; no failing call to it was seen"
    return MatchedIncident(rank=rank, incident=one, reason=reason)


def _elsewhere(used: UsedProvider, one: ProviderIncident, components: Sequence[str]) -> str | None:
    """Why the incident is of another part of the provider; None where it may be the same."""
    hit = set(REGION.findall(" ".join((one.title, *one.components))))
    ours = set(REGION.findall(" ".join(used.failing_hosts)))
    if hit and ours and not hit & ours:
        return f"it is in {', '.join(sorted(hit))}, the failing calls go to {', '.join(sorted(ours))}"
    if components and one.components and not set(components) & set(one.components):
        return f"it is of parts that callers of its API do not depend on ({', '.join(one.components[:3])})"
    return None


def collected(
    used: Sequence[UsedProvider], incidents: Sequence[MatchedIncident], unseen: Sequence[str]
) -> ProviderFacts:
    """At most 16 KiB: details go first, then the least telling entries, and that is said."""
    facts = ProviderFacts(
        used=tuple(used),
        incidents=tuple(incidents[:MAX_INCIDENTS]),
        unseen=tuple(one[:MAX_SENTENCE] for one in unseen[:MAX_SENTENCES]),
    )
    for details in (2, 1):
        if not _fits(facts):
            facts = _shorter(facts, details)
    if _fits(facts):
        return facts
    left_out = f"Of {len(used)} providers in use and {len(incidents)} incidents only the first are listed."
    facts = facts.model_copy(update={"unseen": (*facts.unseen, left_out)})
    while not _fits(facts):
        longer = "used" if len(facts.used) > len(facts.incidents) else "incidents"
        facts = facts.model_copy(update={longer: getattr(facts, longer)[:-1]})
    return facts


def _shorter(facts: ProviderFacts, details: int) -> ProviderFacts:
    """At most so many traces, hosts and components each."""
    used = tuple(
        one.model_copy(update={"traces": one.traces[:details], "failing_hosts": one.failing_hosts[:details]})
        for one in facts.used
    )
    incidents = tuple(
        one.model_copy(
            update={
                "incident": one.incident.model_copy(
                    update={
                        "components": one.incident.components[: 2 * details],
                        "latest": one.incident.latest[:200],
                    }
                )
            }
        )
        for one in facts.incidents
    )
    return facts.model_copy(update={"used": used, "incidents": incidents})


def _fits(facts: ProviderFacts) -> bool:
    return len(facts.model_dump_json().encode()) <= MAX_JSON

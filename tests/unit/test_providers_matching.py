"""Which incident explains the failing calls, and what the evidence says of it."""

from datetime import timedelta

import pytest

from railmend.contracts.providers import (
    Impact,
    MatchedIncident,
    ProviderFacts,
    ProviderIncident,
    Rank,
    Strength,
    Trace,
    UsedProvider,
)
from railmend.providers.facts import MAX_JSON_BYTES, as_facts, collected
from railmend.providers.matching import match
from railmend.providers.registry import load
from tests import samples

PROVIDERS = load().providers


def used(
    provider: str = "stripe", failing: int = 0, *hosts: str, strength: Strength = Strength.CALLED
) -> UsedProvider:
    return UsedProvider(
        provider=provider,
        name=provider.title(),
        category="test",
        strength=strength,
        traces=(Trace(kind="import", name=provider, where="app.py:1"),),
        failing_calls=failing,
        failing_hosts=hosts,
    )


def incident(
    provider: str = "stripe", impact: Impact = Impact.CRITICAL, *, open_: bool = True, **more: object
) -> ProviderIncident:
    base = ProviderIncident(
        provider=provider,
        title="API errors",
        impact=impact,
        state="investigating",
        started=samples.NOW - timedelta(hours=1),
        resolved=None if open_ else samples.NOW,
    )
    return base.model_copy(update=more)


@pytest.mark.parametrize(
    ("provider", "reported", "rank"),
    [
        (used(failing=3), incident(), Rank.EXPLAINS),
        (used(failing=3), incident(impact=Impact.MINOR), Rank.LIKELY),
        (used(failing=3), incident(open_=False), Rank.LIKELY),
        (used(), incident(), Rank.POSSIBLE),
        (used(), incident(impact=Impact.MINOR), Rank.BACKGROUND),
        (used(), incident(open_=False), Rank.BACKGROUND),
        (
            used("aws", 2, "s3.eu-west-1.amazonaws.com"),
            incident("aws", components=("S3", "us-east-1")),
            Rank.BACKGROUND,
        ),
        (
            used("aws", 2, "s3.us-east-1.amazonaws.com"),
            incident("aws", components=("S3", "us-east-1")),
            Rank.EXPLAINS,
        ),
        (used("github", 2), incident("github", components=("Codespaces",)), Rank.BACKGROUND),
        (used("github", 2), incident("github", components=("API Requests", "Pages")), Rank.EXPLAINS),
    ],
)
def test_the_rank_of_an_incident(provider: UsedProvider, reported: ProviderIncident, rank: Rank) -> None:
    (matched,) = match([provider], [reported], PROVIDERS)
    assert matched.rank is rank


def test_incidents_of_providers_that_are_not_used_and_notices_do_not_count() -> None:
    assert match([used()], [incident("twilio"), incident(impact=Impact.NONE)], PROVIDERS) == ()


def test_the_open_major_outage_that_matches_failing_calls_comes_first() -> None:
    services = [used("sentry"), used("stripe", 4, "api.stripe.com"), used("slack", 1)]
    incidents = [
        incident("sentry"),
        incident("slack", Impact.MINOR, title="Slow"),
        incident("stripe", Impact.MAJOR, title="Some errors"),
        incident("stripe", latest="We are looking into it.", components=("API",)),
    ]
    facts = as_facts(collected(services, match(services, incidents, PROVIDERS), ["Nothing else."]))
    first = facts.items[0]
    text = first.text
    assert (first.kind, first.source) == ("provider_outage", "status page of Stripe")
    assert text.startswith(
        "Stripe: major outage, open since 2026-11-24T08:00+00:00 (investigating): API errors"
    )
    assert "Rank 1 of 4: 4 failing calls to it were seen in the window (api.stripe.com)." in text
    assert "We are looking into it." in text
    kinds = [item.kind for item in facts.items[1:]]
    assert kinds == ["provider_outage", "provider_incident", "provider_incident", "providers"]
    assert "Stripe (test, called; failing calls: 4): import stripe (app.py:1)" in facts.items[-1].text
    assert facts.unseen == ("Nothing else.",)


def test_an_incident_that_only_happened_at_the_time_does_not_pose_as_the_cause() -> None:
    providers = [used()]
    facts = as_facts(collected(providers, match(providers, [incident(impact=Impact.MINOR)], PROVIDERS), []))
    assert facts.items[0].kind == "provider_status"


def test_facts_stay_within_their_bound_and_say_what_was_left_out() -> None:
    many = [
        used(f"p{number}", 1, *(f"{'h' * 150}{n}.example.com" for n in range(5))).model_copy(
            update={"traces": tuple(Trace(kind="host", name="n" * 120, where="w" * 200) for _ in range(4))}
        )
        for number in range(100)
    ]
    big = incident("p1", title="t" * 300, latest="l" * 600, components=("c" * 80,) * 20)
    matched = [MatchedIncident(rank=Rank.EXPLAINS, incident=big, reason="r")] * 30
    facts = collected(many, matched, ["u" * 5000] * 50)
    assert isinstance(facts, ProviderFacts)
    assert len(facts.model_dump_json().encode()) <= MAX_JSON_BYTES
    assert facts.incidents
    assert facts.used
    assert "only the first are listed" in facts.unseen[-1]

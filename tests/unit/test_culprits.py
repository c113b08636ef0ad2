"""Culprit before victim, over the dependency graph."""

from datetime import timedelta

import pytest

from railmend.contracts.scan import Finding, FindingKind, Service
from railmend.diagnosis.culprits import explain
from tests import samples

DATABASE = "db"


def service(name: str, *needs: str) -> Service:
    return samples.service(name, depends_on=tuple(f"id-{one}" for one in needs))


def finding(name: str, kind: FindingKind, minutes: int = 0) -> Finding:
    return samples.finding(name, kind).model_copy(update={"onset": samples.NOW + timedelta(minutes=minutes)})


def explained(services: list[Service], findings: list[Finding]) -> dict[str, str]:
    found = explain(services, findings)
    return {
        one.service_id.removeprefix("id-"): one.root_cause_service_id.removeprefix("id-") for one in found
    }


def test_a_slow_database_behind_three_services_is_the_one_incident() -> None:
    callers = [service(name, DATABASE) for name in ("api", "web", "jobs")]
    findings = [finding(one.name, FindingKind.LATENCY) for one in callers]
    findings.append(finding(DATABASE, FindingKind.CPU_SATURATION))
    services = [*callers, service(DATABASE)]
    assert explained(services, findings) == dict.fromkeys(("api", "web", "jobs"), DATABASE)
    assert (
        "api suffers from db, which it depends on (cpu_saturation)" in explain(services, findings)[0].sentence
    )


def test_the_farthest_culprit_of_a_chain_is_named() -> None:
    services = [service("web", "api"), service("api", DATABASE), service(DATABASE)]
    findings = [
        finding("web", FindingKind.ERROR_RATE),
        finding("api", FindingKind.LATENCY),
        finding(DATABASE, FindingKind.MEMORY_SATURATION),
    ]
    assert explained(services, findings) == {"web": DATABASE, "api": DATABASE}


@pytest.mark.parametrize(
    ("own", "others", "why"),
    [
        ([FindingKind.MEMORY_LEAK, FindingKind.LATENCY], [FindingKind.CPU_SATURATION], "a leak is its own"),
        ([FindingKind.CRASH_LOOP], [FindingKind.CPU_SATURATION], "a crash loop is its own"),
        ([FindingKind.DEPLOYMENT_FAILED], [FindingKind.CPU_SATURATION], "a deployment is its own"),
        ([FindingKind.LATENCY], [], "what it depends on is well"),
        ([FindingKind.LATENCY], [FindingKind.CLIENT_ERRORS], "4xx of a neighbour harm nobody"),
    ],
)
def test_trouble_of_its_own_is_not_explained_away(
    own: list[FindingKind], others: list[FindingKind], why: str
) -> None:
    services = [service("api", DATABASE), service(DATABASE)]
    findings = [finding("api", kind) for kind in own] + [finding(DATABASE, kind) for kind in others]
    assert explained(services, findings) == {}, why


def test_a_culprit_was_not_later_than_its_victim() -> None:
    services = [service("api", DATABASE), service(DATABASE)]
    early, late = finding("api", FindingKind.LATENCY), finding(DATABASE, FindingKind.CPU_SATURATION, 30)
    assert explained(services, [early, late]) == {}
    nearly = finding(DATABASE, FindingKind.CPU_SATURATION, 5)
    assert explained(services, [early, nearly]) == {"api": DATABASE}


def test_a_circle_explains_nothing() -> None:
    services = [service("a", "b"), service("b", "a")]
    findings = [finding("a", FindingKind.LATENCY), finding("b", FindingKind.LATENCY)]
    assert explained(services, findings) == {}


def test_a_neighbour_without_a_reference_is_no_culprit() -> None:
    services = [service("api"), service(DATABASE)]
    findings = [finding("api", FindingKind.LATENCY), finding(DATABASE, FindingKind.CPU_SATURATION)]
    assert explained(services, findings) == {}

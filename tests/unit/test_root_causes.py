"""The root cause before its downstream effects, over the dependency graph."""

from datetime import timedelta

import pytest

from railmend.contracts.scan import Finding, FindingKind, Service, Severity
from railmend.diagnosis.root_causes import downstream_effects
from tests import samples

DATABASE = "db"


def service(name: str, *dependencies: str) -> Service:
    return samples.service(name, depends_on=tuple(f"id-{dependency}" for dependency in dependencies))


def finding(name: str, kind: FindingKind, minutes: int = 0) -> Finding:
    return samples.finding(name, kind).model_copy(update={"onset": samples.NOW + timedelta(minutes=minutes)})


def root_causes(services: list[Service], findings: list[Finding]) -> dict[str, str]:
    return {
        effect.service_id.removeprefix("id-"): effect.root_cause_service_id.removeprefix("id-")
        for effect in downstream_effects(services, findings)
    }


def test_a_slow_database_behind_three_services_is_the_one_incident() -> None:
    callers = [service(name, DATABASE) for name in ("api", "web", "jobs")]
    findings = [finding(caller.name, FindingKind.LATENCY) for caller in callers]
    findings.append(finding(DATABASE, FindingKind.CPU_SATURATION))
    services = [*callers, service(DATABASE)]
    assert root_causes(services, findings) == dict.fromkeys(("api", "web", "jobs"), DATABASE)
    sentence = downstream_effects(services, findings)[0].sentence
    assert "api suffers from db, which it depends on (cpu_saturation)" in sentence


def test_the_farthest_root_cause_of_a_chain_is_named() -> None:
    services = [service("web", "api"), service("api", DATABASE), service(DATABASE)]
    findings = [
        finding("web", FindingKind.ERROR_RATE),
        finding("api", FindingKind.LATENCY),
        finding(DATABASE, FindingKind.MEMORY_SATURATION),
    ]
    assert root_causes(services, findings) == {"web": DATABASE, "api": DATABASE}


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
def test_a_finding_of_its_own_is_not_explained_away(
    own: list[FindingKind], others: list[FindingKind], why: str
) -> None:
    services = [service("api", DATABASE), service(DATABASE)]
    findings = [finding("api", kind) for kind in own] + [finding(DATABASE, kind) for kind in others]
    assert root_causes(services, findings) == {}, why


@pytest.mark.parametrize(
    ("severity", "explained"), [(Severity.WARNING, {}), (Severity.CRITICAL, {"api": DATABASE})]
)
def test_a_failed_build_harms_others_only_where_nothing_serves(
    severity: Severity, explained: dict[str, str]
) -> None:
    failed = finding(DATABASE, FindingKind.DEPLOYMENT_FAILED).model_copy(update={"severity": severity})
    services = [service("api", DATABASE), service(DATABASE)]
    assert root_causes(services, [finding("api", FindingKind.LATENCY), failed]) == explained


def test_a_root_cause_was_not_later_than_its_effect() -> None:
    services = [service("api", DATABASE), service(DATABASE)]
    early, late = finding("api", FindingKind.LATENCY), finding(DATABASE, FindingKind.CPU_SATURATION, 30)
    assert root_causes(services, [early, late]) == {}
    nearly = finding(DATABASE, FindingKind.CPU_SATURATION, 5)
    assert root_causes(services, [early, nearly]) == {"api": DATABASE}


def test_a_cycle_explains_nothing() -> None:
    services = [service("a", "b"), service("b", "a")]
    findings = [finding("a", FindingKind.LATENCY), finding("b", FindingKind.LATENCY)]
    assert root_causes(services, findings) == {}


def test_a_neighbour_without_a_reference_is_no_root_cause() -> None:
    services = [service("api"), service(DATABASE)]
    findings = [finding("api", FindingKind.LATENCY), finding(DATABASE, FindingKind.CPU_SATURATION)]
    assert root_causes(services, findings) == {}

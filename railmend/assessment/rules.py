"""The rules in order: what is nearest to the root of a trouble comes first and hides what follows."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np

from railmend.assessment.cpu import cpu_saturation
from railmend.assessment.frame import MetricFrame
from railmend.assessment.latency import latency
from railmend.assessment.lifecycle import crash_loop, deployment_failed, disk_filling, restart
from railmend.assessment.memory import memory_leak, memory_saturation
from railmend.assessment.outage import outage
from railmend.assessment.overrides import AssessmentRules
from railmend.assessment.requests import client_errors, error_rate, traffic_drop
from railmend.assessment.settings import AssessmentSettings
from railmend.contracts.scan import Finding, FindingKind, Service
from railmend.railway.model import Slice

DEFAULTS = AssessmentSettings()
RULES: tuple[Callable[[MetricFrame], Finding | None], ...] = (
    crash_loop,
    outage,
    deployment_failed,
    memory_leak,
    memory_saturation,
    cpu_saturation,
    error_rate,
    client_errors,
    latency,
    traffic_drop,
    disk_filling,
    restart,
)
# What may be the effect (memory of waiting requests, time-outs), and what then is the cause.
PILES_UP = (
    (FindingKind.MEMORY_SATURATION, FindingKind.CPU_SATURATION),
    (FindingKind.MEMORY_LEAK, FindingKind.LATENCY),
    (FindingKind.ERROR_RATE, FindingKind.LATENCY),
)
# What can be told of a service of which nothing is measured.
WITHOUT_SERIES = (deployment_failed, disk_filling)
FOLLOWS = {
    FindingKind.CRASH_LOOP: {
        FindingKind.OUTAGE,
        FindingKind.ERROR_RATE,
        FindingKind.LATENCY,
        FindingKind.TRAFFIC_DROP,
        FindingKind.CPU_SATURATION,
        FindingKind.RESTART,
    },
    FindingKind.OUTAGE: {FindingKind.ERROR_RATE, FindingKind.LATENCY, FindingKind.TRAFFIC_DROP},
    FindingKind.MEMORY_LEAK: {FindingKind.RESTART, FindingKind.MEMORY_SATURATION},
    FindingKind.MEMORY_SATURATION: {FindingKind.RESTART},
}


def assess(
    slice: Slice,
    service: Service,
    *,
    environment_id: str,
    history: Slice | None = None,
    settings: AssessmentSettings | None = None,
) -> list[Finding]:
    """All findings of one slice, the root first. Asleep: nothing is wrong.

    `history`: the longer, coarser past of the same service, for what is usual there. `settings` may be
    `AssessmentRules`, with thresholds of single services and findings to ignore. Never raises for gaps, NaN,
    infinite or empty series.
    """
    if service.asleep:
        return []
    rules = settings if isinstance(settings, AssessmentRules) else None
    thresholds = rules.of(service) if rules else settings or DEFAULTS
    look = MetricFrame(slice, service, environment_id, thresholds, _known(history))
    findings: list[Finding] = []
    hidden: set[FindingKind] = set()
    with np.errstate(all="ignore"):
        for rule in RULES if look.points else WITHOUT_SERIES:
            found = rule(look)
            if found is not None and found.kind not in hidden:
                findings.append(found)
                hidden |= FOLLOWS.get(found.kind, set())
    if rules:
        findings = [found for found in findings if not rules.ignores(found, look.at(look.points))]
    return _root_first(findings, look) if len(findings) > 1 else findings


def _known(history: Slice | None) -> Slice | None:
    """None as well where nothing of the past could be read."""
    if history is None:
        return None
    series = (history.cpu, history.memory_gb, *history.http.values())
    return history if any(value is not None for values in series for value in values) else None


def _root_first(findings: list[Finding], look: MetricFrame) -> list[Finding]:
    """Work that piles up, for want of CPU or behind something slow, takes memory at once, and times out.

    Memory at its limit costs CPU and time only later: where it was clearly first, it stays first.
    """
    lasting = timedelta(seconds=look.steps(look.settings.lasting_minutes) * look.slice.step_seconds)
    for effect, cause in PILES_UP:
        kinds = [found.kind for found in findings]
        if effect not in kinds or cause not in kinds:
            continue
        first, then = kinds.index(effect), kinds.index(cause)
        if findings[then].onset < findings[first].onset + lasting:
            findings.insert(first, findings.pop(then))
    return findings

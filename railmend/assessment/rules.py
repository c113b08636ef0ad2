"""All rules in order: the finding nearest to a root cause comes first and hides its consequences."""

from collections.abc import Callable
from datetime import timedelta

import numpy as np

from railmend.assessment.chronic import chronic
from railmend.assessment.cpu import cpu_saturation
from railmend.assessment.crons import cron_failed
from railmend.assessment.frame import MetricFrame
from railmend.assessment.latency import latency
from railmend.assessment.lifecycle import crash_loop, deployment_failed, disk_filling, restart
from railmend.assessment.memory import memory_leak, memory_saturation
from railmend.assessment.outage import outage
from railmend.assessment.requests import client_errors, error_rate, traffic_drop
from railmend.assessment.settings import AssessmentRules, AssessmentSettings
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
    cron_failed,
)
# Pairs of (effect, cause): waiting requests hold memory and time out.
PILES_UP = (
    (FindingKind.MEMORY_SATURATION, FindingKind.CPU_SATURATION),
    (FindingKind.MEMORY_LEAK, FindingKind.LATENCY),
    (FindingKind.ERROR_RATE, FindingKind.LATENCY),
)
# Rules that need no series.
WITHOUT_SERIES = (crash_loop, deployment_failed, disk_filling, cron_failed)
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
    """Return all findings of one slice, the root cause first; none for a service that sleeps.

    Without any that began, those that are chronic: what was always bad.

    `history`: the longer, coarser past of the same service, which tells what is usual: a day, or a week and
    more of which the same hour counts. `settings` may be
    `AssessmentRules`, with thresholds of single services and findings to ignore. Never raises for gaps,
    NaN, infinite or empty series.
    """
    if service.asleep:
        return []
    rules = settings if isinstance(settings, AssessmentRules) else None
    thresholds = rules.settings_for(service) if rules else settings or DEFAULTS
    past = history if history is not None and history.sampled else None
    frame = MetricFrame(slice, service, environment_id, thresholds, past)
    findings: list[Finding] = []
    hidden: set[FindingKind] = set()
    with np.errstate(all="ignore"):
        for rule in RULES if frame.points else WITHOUT_SERIES:
            finding = rule(frame)
            if finding is not None and finding.kind not in hidden:
                findings.append(finding)
                hidden |= FOLLOWS.get(finding.kind, set())
        # Beside an incident it says nothing, and would be settled with it.
        findings = findings or chronic(frame)
    if rules:
        findings = [finding for finding in findings if not rules.ignores(finding, frame.at(frame.points))]
    return _root_first(findings, frame) if len(findings) > 1 else findings


def _root_first(findings: list[Finding], frame: MetricFrame) -> list[Finding]:
    """Move a cause before its effect.

    Work that piles up for lack of CPU or behind a slow dependency takes memory at once, and times out.
    Memory at its limit costs CPU and time only later: where it clearly came first, it stays first.
    """
    lasting = timedelta(seconds=frame.steps(frame.settings.lasting_minutes) * frame.slice.step_seconds)
    for effect, cause in PILES_UP:
        kinds = [finding.kind for finding in findings]
        if effect not in kinds or cause not in kinds:
            continue
        first, then = kinds.index(effect), kinds.index(cause)
        if findings[then].onset < findings[first].onset + lasting:
            findings.insert(first, findings.pop(then))
    return findings

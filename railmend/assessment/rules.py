"""The rules. Each looks at one slice and gives at most one finding that explains itself."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from railmend.assessment.settings import AssessmentSettings
from railmend.assessment.statistics import Numbers, numbers, rising_share, theil_sen, wilson_lower
from railmend.contracts.scan import Finding, FindingKind, Service, Severity
from railmend.railway.model import Slice

FAILED = frozenset({"FAILED", "CRASHED"})
# A drop by this share between two samples is a restart, not the collector of garbage.
RESTART_DROP = 0.5


@dataclass(frozen=True)
class Look:
    """One slice as the rules see it."""

    slice: Slice
    service: Service
    environment_id: str
    settings: AssessmentSettings

    def at(self, index: int) -> datetime:
        return self.slice.start + timedelta(seconds=index * self.slice.step_seconds)

    def recent(self, values: Numbers) -> Numbers:
        return values[int(len(values) * (1 - self.settings.recent_share)) :]

    def finding(
        self,
        kind: FindingKind,
        severity: Severity,
        measured: tuple[float, float, str],
        onset: datetime,
        confidence: float,
        sentence: str,
    ) -> Finding:
        """`measured`: value, threshold, unit."""
        value, threshold, unit = measured
        return Finding(
            environment_id=self.environment_id,
            service_id=self.service.service_id,
            service_name=self.service.name,
            kind=kind,
            severity=severity,
            value=round(value, 4),
            threshold=threshold,
            unit=unit,
            onset=onset,
            confidence=round(min(confidence, 1.0), 3),
            rule=kind.value,
            sentence=sentence,
        )


def assess(
    slice: Slice,
    service: Service,
    *,
    environment_id: str,
    settings: AssessmentSettings | None = None,
) -> list[Finding]:
    """All findings of one slice. Never raises for gaps, NaN or empty series. Asleep: nothing is wrong."""
    if service.asleep:
        return []
    look = Look(slice, service, environment_id, settings or AssessmentSettings())
    rules: tuple[Callable[[Look], Finding | None], ...] = (
        deployment_failed,
        memory_leak,
        memory_saturation,
        error_rate,
        latency,
    )
    return [finding for rule in rules if (finding := rule(look)) is not None]


def deployment_failed(look: Look) -> Finding | None:
    """The newest deployment failed while an older one serves, or crashed for good."""
    status = look.service.latest_status
    if status not in FAILED:
        return None
    serving = look.service.active_deployment_id
    kind = FindingKind.CRASH_LOOP if status == "CRASHED" else FindingKind.DEPLOYMENT_FAILED
    severity = Severity.WARNING if serving and status == "FAILED" else Severity.CRITICAL
    sentence = f"The newest deployment of {look.service.name} is {status}."
    return look.finding(kind, severity, (1, 1, "deployments"), look.at(0), 1.0, sentence)


def _since_restart(values: Numbers) -> int:
    """Index of the first sample after the last restart: a leak is judged on one life of the process."""
    if len(values) < 2:
        return 0
    before, after = values[:-1], values[1:]
    drops = np.flatnonzero(after < before * (1 - RESTART_DROP))
    return int(drops[-1]) + 1 if len(drops) else 0


def memory_leak(look: Look) -> Finding | None:
    """Memory that keeps rising: Theil-Sen slope, share of rising pairs, and no levelling off."""
    s = look.settings
    values = numbers(look.slice.memory_gb)
    index = np.flatnonzero(np.isfinite(values))
    index = index[_since_restart(values[index]) :]
    if len(index) < s.leak_min_points:
        return None
    x, y = index.astype(np.float64) * look.slice.step_seconds / 3600, values[index]
    slope = theil_sen(x, y)
    third = len(x) // 3
    late = theil_sen(x[-third:], y[-third:])
    share = rising_share(x, y)
    rise = slope * float(x[-1] - x[0])
    limit = _limit(look)
    enough = rise >= s.leak_min_rise_of_level * float(np.median(y[:third]))
    enough = enough and (limit is None or rise >= s.leak_min_rise_of_limit * limit)
    if not enough or share < s.leak_rising_share or late < s.leak_levelled_share * slope:
        return None
    hours = (limit - float(y[-1])) / slope if limit else None
    if hours is not None and hours > s.leak_horizon_hours:
        return None
    until = f"; the limit of {limit:.2f} GB is reached in {_span(hours)}" if limit and hours else ""
    sentence = (
        f"Memory of {look.service.name} rose from {y[0]:.3f} to {y[-1]:.3f} GB, "
        f"{slope:.2f} GB an hour{until}."
    )
    severity = Severity.CRITICAL if hours is not None and hours < 1 else Severity.WARNING
    return look.finding(
        FindingKind.MEMORY_LEAK, severity, (slope, 0.0, "GB/h"), look.at(int(index[0])), share, sentence
    )


def _span(hours: float | None) -> str:
    minutes = max((hours or 0) * 60, 0)
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _limit(look: Look) -> float | None:
    limits = numbers(look.slice.memory_limit_gb)
    limits = limits[np.isfinite(limits) & (limits > 0)]
    return float(np.median(limits)) if len(limits) else None


def memory_saturation(look: Look) -> Finding | None:
    """Memory that stays at its limit, whatever brought it there."""
    limit, values = _limit(look), look.recent(numbers(look.slice.memory_gb))
    values = values[np.isfinite(values)]
    if limit is None or len(values) < 3:
        return None
    share = float(np.median(values)) / limit
    if share < look.settings.memory_share:
        return None
    sentence = f"Memory of {look.service.name} stays at {share:.0%} of its limit of {limit:.2f} GB."
    return look.finding(
        FindingKind.MEMORY_SATURATION,
        Severity.CRITICAL,
        (share, look.settings.memory_share, "share of limit"),
        look.at(0),
        1.0,
        sentence,
    )


def _requests(look: Look) -> tuple[Numbers, Numbers]:
    """Per step: all requests, and those that failed with 5xx."""
    steps = max((len(series) for series in look.slice.http.values()), default=0)
    total, failed = np.zeros(steps), np.zeros(steps)
    for name, series in look.slice.http.items():
        values = np.nan_to_num(numbers(series))
        total += values
        if name == "5xx":
            failed += values
    return total, failed


def error_rate(look: Look) -> Finding | None:
    """Share of 5xx among the recent requests, by its lower bound: few requests decide nothing."""
    s = look.settings
    total, failed = _requests(look)
    recent_total, recent_failed = float(look.recent(total).sum()), float(look.recent(failed).sum())
    if recent_total < s.error_min_requests or recent_failed < s.error_min_errors:
        return None
    bound = wilson_lower(recent_failed, recent_total)
    if bound < s.error_share:
        return None
    share = recent_failed / recent_total
    sentence = (
        f"{recent_failed:.0f} of the last {recent_total:.0f} requests to {look.service.name} "
        f"({share:.1%}) failed with 5xx."
    )
    severity = Severity.CRITICAL if share >= s.error_critical_share else Severity.WARNING
    onset = look.at(int(np.flatnonzero(failed)[0]))
    return look.finding(
        FindingKind.ERROR_RATE, severity, (share, s.error_share, "share of requests"), onset, 0.95, sentence
    )


def latency(look: Look) -> Finding | None:
    """The median over time of the steps' p95, so that one slow minute decides nothing."""
    s = look.settings
    total, _ = _requests(look)
    p95 = look.recent(numbers(look.slice.latency.get("p95", [])))
    p95 = p95[np.isfinite(p95)]
    if float(look.recent(total).sum()) < s.latency_min_requests or len(p95) < 3:
        return None
    value = float(np.median(p95))
    if value < s.latency_ms:
        return None
    whole = numbers(look.slice.latency["p95"])
    slow = np.flatnonzero(np.nan_to_num(whole) >= s.latency_ms)
    sentence = f"The slowest 5 % of the requests to {look.service.name} take {value:.0f} ms or longer."
    severity = Severity.CRITICAL if value >= s.latency_critical_ms else Severity.WARNING
    return look.finding(
        FindingKind.LATENCY, severity, (value, s.latency_ms, "ms p95"), look.at(int(slow[0])), 0.9, sentence
    )

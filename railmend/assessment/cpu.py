"""CPU at its limit, told from work that is merely done quickly."""

from dataclasses import dataclass

import numpy as np

from railmend.assessment.baseline import history_of, share_above, usual_share
from railmend.assessment.frame import MetricFrame, margin
from railmend.assessment.statistics import Flags, Numbers, finite, median, onset, wilson
from railmend.contracts.scan import Finding, FindingKind, Severity

# One-sided 99 % of the normal distribution: chance alone lifts latency this far in one of a hundred looks.
RANK_Z = 2.3


def cpu_saturation(look: MetricFrame) -> Finding | None:
    """High CPU that users feel; without HTTP, high CPU that is new and does not end."""
    limit = look.cpu_limit
    if limit is None:
        return None
    if look.has_http:
        newest = look.cpu[-look.recent :] / limit
        busy = np.count_nonzero(newest >= look.settings.cpu_share)
        return _felt(look, look.cpu / limit) if busy >= look.steps(look.settings.burst_minutes) else None
    return _alone(look, look.cpu / limit)


@dataclass(frozen=True)
class Effect:
    """How requests fared while CPU was high: p95 as a multiple of before, and the lower bound of 5xx."""

    latency: float
    failed: float


def _felt(look: MetricFrame, share: Numbers) -> Finding | None:
    s = look.settings
    bad = share >= s.cpu_share
    start, last = onset(bad, np.isfinite(share)), int(np.flatnonzero(bad)[-1])
    during = bad.copy()
    during[:start] = False
    if last < look.points - look.steps(s.ended_minutes) or during.sum() < look.steps(s.burst_minutes):
        return None
    effect = _effect(look, during, start, bad)
    if effect is None:
        return None
    critical = effect.latency >= s.latency_critical_ratio or effect.failed >= s.error_usual_share
    felt = f"the p95 is {effect.latency:.1f} times what it was" if effect.latency > 1 else "requests fail"
    return _finding(look, share, during, start, critical=critical, felt=felt, rule="felt")


def _effect(look: MetricFrame, during: Flags, start: int, bad: Flags) -> Effect | None:
    """None: requests were served as before."""
    s = look.settings
    failed, total = float(look.failed[during].sum()), float(look.total[during].sum())
    bound, _ = wilson(failed, total)
    calm = ~bad
    calm[start:] = False
    before, now = finite(look.p95[calm]), finite(look.p95[during])
    latency = 1.0
    if len(before) >= look.steps(s.past_minutes) and len(now):
        ratio = median(now) / max(median(before), 1e-9)
        latency = ratio if ratio >= s.cpu_latency_ratio and _rank_z(before, now) >= RANK_Z else 1.0
    fails = (
        failed >= s.error_min_errors
        and bound >= s.error_share
        and bound >= s.error_over_past * usual_share(look, "5xx", start)
    )
    if latency > 1 or fails:
        return Effect(latency, bound if fails else 0.0)
    return None


def _rank_z(before: Numbers, now: Numbers) -> float:
    """Mann-Whitney's statistic as a standard score: how far `now` ranks above `before`."""
    ordered = np.sort(before)
    below = np.searchsorted(ordered, now, "left") + np.searchsorted(ordered, now, "right")
    mean_rank = float(below.mean()) / (2 * len(ordered))
    variance = (len(before) + len(now) + 1) / (12 * len(before) * len(now))
    return (mean_rank - 0.5) / float(np.sqrt(variance))


def _alone(look: MetricFrame, share: Numbers) -> Finding | None:
    s = look.settings
    known = np.isfinite(share)
    if not known.any():
        return None
    bad = share >= s.cpu_alone_share
    lasting = min(look.steps(s.cpu_alone_minutes), look.points)
    if np.count_nonzero(bad[-lasting:]) < 0.8 * np.count_nonzero(known[-lasting:]) or not bad.any():
        return None
    start = onset(bad, known)
    if look.points - start < lasting or known[:start].sum() < lasting:
        return None
    if bad[:start].sum() > s.cpu_usual_share * known[:start].sum() or _usual(look):
        return None
    during = bad.copy()
    during[:start] = False
    return _finding(
        look, share, during, start, critical=True, felt="it was never so busy before", rule="alone"
    )


def _usual(look: MetricFrame) -> bool:
    if look.history is None or look.cpu_limit is None:
        return False
    s = look.settings
    old = history_of(look.history.cpu)
    return share_above(old, s.cpu_alone_share * look.cpu_limit) > s.cpu_usual_share


def _finding(
    look: MetricFrame, share: Numbers, during: Flags, start: int, *, critical: bool, felt: str, rule: str
) -> Finding:
    s = look.settings
    level = median(share[during])
    threshold = s.cpu_share if rule == "felt" else s.cpu_alone_share
    sentence = (
        f"CPU of {look.service.name} stays at {level:.0%} of its limit of {look.cpu_limit:.2f} vCPU since "
        f"{look.at(start):%H:%M}, and {felt}."
    )
    return look.finding(
        FindingKind.CPU_SATURATION,
        Severity.CRITICAL if critical else Severity.WARNING,
        (level, threshold, "share of limit"),
        start,
        0.9 if critical else margin(level, threshold) + 0.2,
        rule,
        sentence,
    )

"""Detect CPU at its limit, as opposed to work that merely uses what it may."""

from dataclasses import dataclass

import numpy as np

from railmend.assessment.baseline import at_this_hour, history_of, share_above, usual_share
from railmend.assessment.frame import MetricFrame, margin
from railmend.assessment.statistics import Flags, Numbers, finite, median, numbers, onset, wilson
from railmend.assessment.wording import percent, rounded
from railmend.contracts.scan import Finding, FindingKind, Severity

# One-sided 99 % of the normal distribution: chance alone lifts latency this far in one of a hundred scans.
RANK_Z = 2.3
# A stretch at the limit as long as a step of the history, but not within one, has a mean this high in one.
DILUTED = 0.5


def cpu_saturation(frame: MetricFrame) -> Finding | None:
    """Find high CPU that users notice; without HTTP, high CPU that is new and lasts."""
    limit = frame.cpu_limit
    if limit is None:
        return None
    if frame.has_http:
        newest = frame.cpu[-frame.recent :] / limit
        busy = np.count_nonzero(newest >= frame.settings.cpu_share)
        return _felt(frame, frame.cpu / limit) if busy >= frame.steps(frame.settings.burst_minutes) else None
    return _alone(frame, frame.cpu / limit)


@dataclass(frozen=True)
class Effect:
    """Effect of high CPU on requests: p95 as a multiple of before, lower bound of the 5xx share (0..1)."""

    latency: float
    failed: float


def _felt(frame: MetricFrame, share: Numbers) -> Finding | None:
    s = frame.settings
    bad = share >= s.cpu_share
    start, last = onset(bad, np.isfinite(share)), int(np.flatnonzero(bad)[-1])
    during = bad.copy()
    during[:start] = False
    if last < frame.points - frame.steps(s.ended_minutes) or during.sum() < frame.steps(s.burst_minutes):
        return None
    effect = _effect(frame, during, start, bad)
    if effect is None:
        return None
    critical = effect.latency >= s.latency_critical_ratio or effect.failed >= s.error_usual_share
    felt = (
        f"the p95 is {rounded(effect.latency)} times what it was" if effect.latency > 1 else "requests fail"
    )
    return _finding(frame, share, during, start, critical=critical, felt=felt, rule="felt")


def _effect(frame: MetricFrame, during: Flags, start: int, bad: Flags) -> Effect | None:
    """Return None if requests were served as before."""
    s = frame.settings
    failed, total = float(frame.failed[during].sum()), float(frame.total[during].sum())
    bound, _ = wilson(failed, total)
    calm = ~bad
    calm[start:] = False
    before, now = finite(frame.p95[calm]), finite(frame.p95[during])
    latency = 1.0
    if len(before) >= frame.steps(s.past_minutes) and len(now):
        ratio = median(now) / max(median(before), 1e-9)
        latency = ratio if ratio >= s.cpu_latency_ratio and _rank_z(before, now) >= RANK_Z else 1.0
    fails = (
        failed >= s.error_min_errors
        and bound >= s.error_share
        and bound >= s.error_over_past * usual_share(frame, "5xx", start)
    )
    if latency > 1 or fails:
        return Effect(latency, bound if fails else 0.0)
    return None


def _rank_z(before: Numbers, now: Numbers) -> float:
    """Return Mann-Whitney's U as a standard score: how far `now` ranks above `before`."""
    ordered = np.sort(before)
    below = np.searchsorted(ordered, now, "left") + np.searchsorted(ordered, now, "right")
    mean_rank = float(below.mean()) / (2 * len(ordered))
    variance = (len(before) + len(now) + 1) / (12 * len(before) * len(now))
    return (mean_rank - 0.5) / float(np.sqrt(variance))


def _alone(frame: MetricFrame, share: Numbers) -> Finding | None:
    s = frame.settings
    valid = np.isfinite(share)
    if not valid.any():
        return None
    bad = share >= s.cpu_alone_share
    lasting = min(frame.steps(s.cpu_alone_minutes), frame.points)
    if np.count_nonzero(bad[-lasting:]) < 0.8 * np.count_nonzero(valid[-lasting:]) or not bad.any():
        return None
    start = onset(bad, valid)
    # Where it has lasted for the whole window, the day before tells whether it is new.
    known = valid[:start].sum() >= lasting or frame.history is not None
    if frame.points - start < lasting or not known:
        return None
    if bad[:start].sum() > s.cpu_usual_share * valid[:start].sum() or _usual(frame, start):
        return None
    during = bad.copy()
    during[:start] = False
    return _finding(
        frame, share, during, start, critical=True, felt="it was not so busy before", rule="alone"
    )


def _usual(frame: MetricFrame, start: int) -> bool:
    """Return whether the day before was as busy: often, or at this hour, where steps dilute a short time."""
    if frame.history is None or frame.cpu_limit is None:
        return False
    s = frame.settings
    old, high = history_of(frame.history.cpu), s.cpu_alone_share * frame.cpu_limit
    then = at_this_hour(frame, start, lambda past: numbers(past.cpu), highest=True)
    return share_above(old, high) > s.cpu_usual_share or then >= DILUTED * high


def _finding(
    frame: MetricFrame, share: Numbers, during: Flags, start: int, *, critical: bool, felt: str, rule: str
) -> Finding:
    s = frame.settings
    level = median(share[during])
    threshold = s.cpu_share if rule == "felt" else s.cpu_alone_share
    sentence = (
        f"CPU of {frame.service.name} stays at {percent(level)} of its limit of "
        f"{rounded(frame.cpu_limit or 0)} vCPU since {frame.at(start):%H:%M}, and {felt}."
    )
    return frame.finding(
        FindingKind.CPU_SATURATION,
        Severity.CRITICAL if critical else Severity.WARNING,
        (level, threshold, "share of limit"),
        start,
        0.9 if critical else margin(level, threshold) + 0.2,
        rule,
        sentence,
    )

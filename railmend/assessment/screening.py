"""The first, coarse look: cheap for many services, and generous, because a second look decides.

About thirty points a series. Everything here is a lower bar than
the rule that decides: half of a threshold, or any sign that something changed lately.
"""

import numpy as np

from railmend.assessment.frame import MetricFrame
from railmend.assessment.settings import AssessmentSettings
from railmend.assessment.statistics import finite, median, quantile
from railmend.contracts.scan import Service
from railmend.railway.model import Slice

DEFAULTS = AssessmentSettings()
FAILED = frozenset({"FAILED", "CRASHED"})
# Share of a deciding threshold at which a service is worth the second look.
GENEROUS = 0.5
MIN_POINTS = 5
# The newest points: at least so many, as the last may hold less than a whole step.
NEWEST = 4


def suspect(slice: Slice, service: Service, settings: AssessmentSettings | None = None) -> bool:
    """Whether anything about this coarse slice calls for a close look. Never raises for gaps."""
    s = settings or DEFAULTS
    if service.asleep:
        return False
    if service.latest_status in FAILED or (service.volume_fill or 0) >= s.disk_share:
        return True
    look = MetricFrame(slice, service, "", s)
    with np.errstate(all="ignore"):
        signs = (_errors, _refusals, _traffic, _slow, _memory, _cpu) if look.points else ()
        return any(sign(look) for sign in (_disk, *signs))


def _newest(look: MetricFrame) -> int:
    return max(look.recent + 1, NEWEST)


def _errors(look: MetricFrame) -> bool:
    """A few 5xx within the hour, and not far fewer than what would decide."""
    s = look.settings
    newest, hour = _newest(look), max(look.steps(s.sparse_minutes), NEWEST)
    failed, total = look.failed[-hour:], look.total[-hour:]
    share = failed[-newest:] / np.maximum(total[-newest:], 1)
    return bool(failed.sum() >= s.sparse_min_errors and share.max() >= GENEROUS * s.error_share)


def _refusals(look: MetricFrame) -> bool:
    s = look.settings
    share = look.refused / np.maximum(look.total, 1)
    newest = _newest(look)
    past = median(share[:-newest]) if look.points > newest else 0.0
    many = look.refused[-newest:].sum() >= GENEROUS * s.client_min_errors
    return bool(many and share[-newest:].max() >= past + GENEROUS * s.client_jump)


def _traffic(look: MetricFrame) -> bool:
    """Half as many requests as in busy times, or none; and CPU that went to nothing."""
    for series in (look.total, look.cpu):
        past, now = finite(series[:-2]), series[-2:]
        if len(past) >= MIN_POINTS and past.any() and not np.all(now > GENEROUS * quantile(past, 0.75)):
            return True
    return False


def _slow(look: MetricFrame) -> bool:
    """Percentiles against their own past; a few slow minutes raise the p95 of their coarse step."""
    s = look.settings
    newest = _newest(look)
    if not look.has_past:
        return bool((look.p95 >= GENEROUS * s.latency_ms).any())
    for values, floor, ratio in (
        (look.p95, s.latency_floor_ms, s.latency_ratio),
        (look.p99, GENEROUS * s.tail_floor_ms, s.tail_ratio),
    ):
        past, now = finite(values[:-newest]), finite(values[-newest:])
        if len(past) < MIN_POINTS or not len(now):
            continue
        if now.max() >= max(floor, (1 + GENEROUS * (ratio - 1)) * quantile(past, 0.25)):
            return True
    return False


def _memory(look: MetricFrame) -> bool:
    s = look.settings
    y = finite(look.memory)
    if len(y) < MIN_POINTS:
        return False
    limit, newest = look.memory_limit, _newest(look)
    if len(y) < look.points or not y.all() or bool(np.any(y[1:] < y[:-1] * (1 - GENEROUS * s.restart_fall))):
        return True  # gaps and falls hide restarts
    if limit is not None and y[-newest:].max() >= GENEROUS * (1 + s.surge_share) * limit:
        return True
    rise = float(y[-1] - y[: max(len(y) // 2, 1)].min())
    least = s.leak_min_rise * limit if limit is not None else s.leak_min_rise_of_level * float(y[0])
    return rise >= GENEROUS * least


def _cpu(look: MetricFrame) -> bool:
    """A short time at the limit is diluted by the coarse step, and stands out from the past."""
    s, limit = look.settings, look.cpu_limit
    newest = _newest(look)
    past, now = finite(look.cpu[:-newest]), finite(look.cpu[-newest:])
    if limit is None or not len(now):
        return False
    unusual = len(past) < MIN_POINTS or now.max() >= (1 + GENEROUS) * median(past)
    return bool(now.max() >= s.cpu_share * limit or (unusual and now.max() >= GENEROUS * s.cpu_share * limit))


def _disk(look: MetricFrame) -> bool:
    """A volume that would be full within twice the horizon, were it to go on as it did from end to end."""
    s, limit = look.settings, look.disk_limit
    used = finite(look.disk)
    if limit is None or len(used) < MIN_POINTS:
        return False
    hours = look.minutes(len(used) - 1) / 60
    left = limit - float(used[-1])
    return GENEROUS * left * hours <= s.disk_horizon_hours * float(used[-1] - used[0])

"""Screen coarse slices: a cheap, high-recall prefilter; `assess` makes the decision.

Slices have about thirty points a series. Every bar is lower than that of the deciding rule: half of its
threshold, or any sign of a recent change.
"""

import numpy as np

from railmend.assessment.coverage import why_silent
from railmend.assessment.crons import cron_failed
from railmend.assessment.frame import MetricFrame
from railmend.assessment.lifecycle import ENDED, is_stuck
from railmend.assessment.settings import AssessmentSettings
from railmend.assessment.statistics import finite, median, quantile
from railmend.contracts.scan import Service, ServiceKind
from railmend.railway.model import Slice

DEFAULTS = AssessmentSettings()
TROUBLE = frozenset({"FAILED", "CRASHED", "RESTARTING"})
# Share of a deciding threshold at which a service is fetched in detail.
GENEROUS = 0.5
MIN_POINTS = 5
# At least this many points count as the newest, because the last may cover less than a whole step.
NEWEST = 4


def is_candidate(slice: Slice, service: Service, settings: AssessmentSettings | None = None) -> bool:
    """Return whether this coarse slice calls for a detailed one. Never raises for gaps."""
    s = settings or DEFAULTS
    if service.asleep:
        return False
    if _reports_trouble(service) or (service.volume_fill or 0) >= s.disk_share:
        return True
    frame = MetricFrame(slice, service, "", s)
    if cron_failed(frame) is not None or _silent(frame, slice) or is_stuck(service, frame.at(frame.points)):
        return True
    with np.errstate(all="ignore"):
        signs = (_errors, _refusals, _traffic, _slow, _memory, _cpu) if frame.points else ()
        return any(sign(frame) for sign in (_disk, *signs))


def _reports_trouble(service: Service) -> bool:
    """Return whether Railway itself says that something is wrong."""
    states = {service.latest_status, service.active_status, *service.instances}
    some_ended = "RUNNING" in states and not states.isdisjoint(ENDED)
    return bool(states & TROUBLE) or some_ended


def _silent(frame: MetricFrame, slice: Slice) -> bool:
    """Return whether there is no sample, or none of late, where a process should run: its past tells more."""
    service = frame.service
    if service.kind is ServiceKind.CRON:
        return False
    if service.active_deployment_id is None and not frame.total.any():
        return False
    return why_silent(slice, frame.settings) is not None


def _newest(frame: MetricFrame) -> int:
    return max(frame.recent + 1, NEWEST)


def _errors(frame: MetricFrame) -> bool:
    """Return whether there are a few 5xx within the hour, not far fewer than the rule needs.

    The whole hour counts: failures may come back by the clock.
    """
    s = frame.settings
    hour = max(frame.steps(s.sparse_minutes) + 1, NEWEST)
    failed, total = frame.failed[-hour:], frame.total[-hour:]
    share = failed / np.maximum(total, 1)
    return bool(failed.sum() >= s.sparse_min_errors and share.max() >= GENEROUS * s.error_share)


def _refusals(frame: MetricFrame) -> bool:
    s = frame.settings
    share = frame.refused / np.maximum(frame.total, 1)
    newest = _newest(frame)
    if frame.refused.sum() > s.chronic_refused * frame.total.sum():
        return True
    past = quantile(share[:-newest], 0.25) if frame.points > newest else 0.0
    many = frame.refused[-newest:].sum() >= GENEROUS * s.client_min_errors
    return bool(many and share[-newest:].max() >= past + GENEROUS * s.client_jump)


def _traffic(frame: MetricFrame) -> bool:
    """Return whether requests or CPU fell to half of busy times or less."""
    for series in (frame.total, frame.cpu):
        past, now = finite(series[:-2]), series[-2:]
        if len(past) >= MIN_POINTS and past.any() and not np.all(now > GENEROUS * quantile(past, 0.75)):
            return True
    return False


def _slow(frame: MetricFrame) -> bool:
    """Compare percentiles with their own past; a few slow minutes raise the p95 of their coarse step."""
    s = frame.settings
    newest = _newest(frame)
    if not frame.has_past:
        return bool((frame.p95 >= GENEROUS * s.latency_ms).any())
    if median(finite(frame.p95)) >= s.latency_ms:  # always so, or since before the window
        return True
    for values, floor, ratio in (
        (frame.p95, s.latency_floor_ms, s.latency_ratio),
        (frame.p99, GENEROUS * s.tail_floor_ms, s.tail_ratio),
    ):
        past, now = finite(values[:-newest]), finite(values[-newest:])
        if len(past) < MIN_POINTS or not len(now):
            continue
        if now.max() >= max(floor, (1 + GENEROUS * (ratio - 1)) * quantile(past, 0.25)):
            return True
    return False


def _memory(frame: MetricFrame) -> bool:
    s = frame.settings
    y = finite(frame.memory)
    if len(y) < MIN_POINTS:
        return False
    limit, newest = frame.memory_limit, _newest(frame)
    if len(y) < frame.points or not y.all() or bool(np.any(y[1:] < y[:-1] * (1 - GENEROUS * s.restart_fall))):
        return True  # gaps and drops hide restarts
    if limit is not None and y[-newest:].max() >= GENEROUS * (1 + s.surge_share) * limit:
        return True
    rise = float(y[-1] - y[: max(len(y) // 2, 1)].min())
    own = s.leak_min_rise_of_level * float(y[0])
    least = own if limit is None else min(own, s.leak_min_rise * limit)
    return rise >= GENEROUS * least


def _cpu(frame: MetricFrame) -> bool:
    """Compare CPU with its limit, and with its past: the coarse step dilutes a short time at the limit."""
    s, limit = frame.settings, frame.cpu_limit
    newest = _newest(frame)
    past, now = finite(frame.cpu[:-newest]), finite(frame.cpu[-newest:])
    if limit is None or not len(now):
        return False
    unusual = len(past) < MIN_POINTS or now.max() >= (1 + GENEROUS) * median(past)
    return bool(now.max() >= s.cpu_share * limit or (unusual and now.max() >= GENEROUS * s.cpu_share * limit))


def _disk(frame: MetricFrame) -> bool:
    """Return whether the volume would be full within twice the horizon at its average growth."""
    s, limit = frame.settings, frame.disk_limit
    used = finite(frame.disk)
    if limit is None or len(used) < MIN_POINTS:
        return False
    hours = frame.minutes(len(used) - 1) / 60
    left = limit - float(used[-1])
    return GENEROUS * left * hours <= s.disk_horizon_hours * float(used[-1] - used[0])

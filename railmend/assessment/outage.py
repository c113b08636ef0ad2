"""Rules on services that are not there any more, with HTTP or without."""

import numpy as np

from railmend.assessment.frame import MetricFrame
from railmend.assessment.statistics import finite, median, onset, quantile, wilson
from railmend.contracts.scan import Finding, FindingKind, ServiceKind, Severity

# What ends by itself.
ENDING = frozenset({ServiceKind.CRON, ServiceKind.FUNCTION})

# Shares of the CPU that a worker used: doing nothing, and the least of one that works steadily.
IDLE, STEADY = 0.1, 0.4


def outage(look: MetricFrame) -> Finding | None:
    """Nothing is served any more: every request fails, or requests and the process are gone together."""
    if look.has_http:
        return _all_fail(look) or _gone(look)
    return _process_gone(look)


def _all_fail(look: MetricFrame) -> Finding | None:
    s = look.settings
    if look.failed.sum() < s.outage_requests:
        return None
    bad = (look.failed >= s.outage_share * look.total) & (look.failed > 0)
    if np.count_nonzero(bad[-look.recent :]) < look.steps(s.error_min_minutes):
        return None
    start, last = onset(bad, look.total > 0), int(np.flatnonzero(bad)[-1])
    failed, total = float(look.failed[start : last + 1].sum()), float(look.total[start : last + 1].sum())
    ended = last < look.points - look.steps(s.ended_minutes)
    if ended or failed < s.outage_requests or failed / total < s.outage_share:
        return None
    sentence = (
        f"{look.service.name} serves nothing: {failed:.0f} of {total:.0f} requests failed with 5xx "
        f"since {look.at(start):%H:%M}."
    )
    return look.finding(
        FindingKind.OUTAGE,
        Severity.CRITICAL,
        (failed / total, s.outage_share, "share of requests"),
        start,
        wilson(failed, total)[0],
        "all_fail",
        sentence,
    )


def _gone(look: MetricFrame) -> Finding | None:
    """Requests and process stopped together; before a service is put to sleep, requests stop."""
    s = look.settings
    if look.total[-1] > 0 or look.memory[-1] > 0:
        return None
    alive = look.memory > 0
    if not alive.any() or not look.total.any():
        return None
    stopped, last_request = int(np.flatnonzero(alive)[-1]) + 1, int(np.flatnonzero(look.total)[-1])
    start = max(stopped, last_request + 1)
    silent = look.points - start
    before = look.total[:stopped][look.sampled[:stopped]]
    if silent < look.steps(s.lasting_minutes) or len(before) < look.steps(s.traffic_past_minutes):
        return None
    rate = float(before.mean())
    idle = max(stopped - last_request - 1, 0)
    if rate * silent < s.traffic_min_requests or rate * idle > s.idle_requests:
        return None
    sentence = (
        f"{look.service.name} is down since {look.at(start):%H:%M}: its process stopped, and no requests "
        f"come where {rate:.1f} a step were usual."
    )
    measured = (0.0, s.traffic_gone * rate, "requests a step")
    return look.finding(FindingKind.OUTAGE, Severity.CRITICAL, measured, start, 0.95, "gone", sentence)


def _process_gone(look: MetricFrame) -> Finding | None:
    """Without HTTP: a process that was always there is gone, or does nothing any more."""
    if look.service.kind in ENDING:
        return None
    return _vanished(look) or _idle(look)


def _vanished(look: MetricFrame) -> Finding | None:
    """No memory in use, or no samples for longer than samples get lost; never so before, as in sleep."""
    s = look.settings
    alive = look.memory > 0
    if alive[-1] or np.count_nonzero(alive) < look.steps(s.steady_minutes):
        return None
    start = int(np.flatnonzero(alive)[-1]) + 1
    empty = np.count_nonzero(look.memory[start:] == 0) >= look.steps(s.lasting_minutes)
    missing = look.points - start >= look.steps(s.silent_minutes)
    breaks = np.diff(np.flatnonzero(alive))
    if not (empty or missing) or (len(breaks) and breaks.max() > look.steps(s.silent_minutes)):
        return None
    used = median(finite(look.memory[:start]))
    sentence = (
        f"The process of {look.service.name} is gone since {look.at(start):%H:%M}: it held {used:.2f} GB "
        "before, and nothing since."
    )
    measured = (0.0, used, "GB")
    return look.finding(FindingKind.OUTAGE, Severity.CRITICAL, measured, start, 0.9, "vanished", sentence)


def _idle(look: MetricFrame) -> Finding | None:
    """CPU far below what a steady worker always used, and below the least of an unsteady one."""
    s = look.settings
    now = min(look.steps(s.lasting_minutes), look.points)
    known = np.isfinite(look.cpu)
    before = look.cpu[: -look.recent][known[: -look.recent]]
    if look.cpu_limit is None or len(before) < look.steps(s.steady_minutes) or not known[-now:].any():
        return None
    typical = quantile(before, 0.75)
    bad = look.cpu <= IDLE * typical
    if typical < s.worker_share * look.cpu_limit or not np.all(bad[-now:] | ~known[-now:]):
        return None
    start = onset(bad, known)
    worked = look.cpu[:start][known[:start]]
    least = quantile(worked, 0.05)
    level = median(finite(look.cpu[-now:]))
    steady = least >= STEADY * quantile(worked, 0.75)
    if len(worked) < look.steps(s.steady_minutes) or not (steady or level <= IDLE * least):
        return None
    typical = median(worked)
    sentence = (
        f"{look.service.name} stopped working at {look.at(start):%H:%M}: it used {typical:.2f} vCPU before, "
        f"and {level:.2f} since."
    )
    measured = (level, IDLE * typical, "vCPU")
    return look.finding(FindingKind.OUTAGE, Severity.CRITICAL, measured, start, 0.85, "idle", sentence)

"""Rules about services that are gone, with HTTP or without."""

from datetime import timedelta

import numpy as np

from railmend.assessment.baseline import at_this_hour
from railmend.assessment.frame import MetricFrame
from railmend.assessment.statistics import Numbers, finite, median, numbers, onset, quantile, wilson
from railmend.assessment.wording import gigabytes, per_minute, rounded
from railmend.contracts.scan import Finding, FindingKind, ServiceKind, Severity

# Kinds whose process ends by itself.
ENDING = frozenset({ServiceKind.CRON, ServiceKind.FUNCTION})
ENDED = frozenset({"EXITED", "STOPPED", "CRASHED", "REMOVED"})

# Shares of a worker's usual CPU: at most IDLE is doing nothing; a steady one never falls below STEADY.
IDLE, STEADY = 0.1, 0.6
FELT = 0.01  # vCPU; less is said in words


def outage(frame: MetricFrame) -> Finding | None:
    """Find an outage: every request fails, or the requests and the process are gone together."""
    if frame.has_http:
        return _all_fail(frame) or _gone(frame) or _long_gone(frame) or _ended(frame)
    return _process_gone(frame)


def _all_fail(frame: MetricFrame) -> Finding | None:
    s = frame.settings
    if frame.failed.sum() < s.outage_requests:
        return None
    bad = (frame.failed >= s.outage_share * frame.total) & (frame.failed > 0)
    if np.count_nonzero(bad[-frame.recent :]) < frame.steps(s.error_min_minutes):
        return None
    start, last = onset(bad, frame.total > 0), int(np.flatnonzero(bad)[-1])
    failed, total = float(frame.failed[start : last + 1].sum()), float(frame.total[start : last + 1].sum())
    ended = last < frame.points - frame.steps(s.ended_minutes)
    brief = np.count_nonzero(bad[start : last + 1]) < frame.steps(s.error_min_minutes)
    if ended or brief or failed < s.outage_requests or failed / total < s.outage_share:
        return None
    sentence = (
        f"{frame.service.name} serves nothing: {failed:.0f} of {total:.0f} requests failed with 5xx "
        f"since {frame.at(start):%H:%M}."
    )
    return frame.finding(
        FindingKind.OUTAGE,
        Severity.CRITICAL,
        (failed / total, s.outage_share, "share of requests"),
        start,
        wilson(failed, total)[0],
        "all_fail",
        sentence,
    )


def _gone(frame: MetricFrame) -> Finding | None:
    """Find requests and process that stopped together; requests that stop well before it mean sleep."""
    s = frame.settings
    if frame.total[-1] > 0 or frame.memory[-1] > 0:
        return None
    alive = frame.memory > 0
    if not alive.any() or not frame.total.any():
        return None
    stopped, last_request = int(np.flatnonzero(alive)[-1]) + 1, int(np.flatnonzero(frame.total)[-1])
    start = max(stopped, last_request + 1)
    silent = frame.points - start
    before = frame.total[:stopped][frame.sampled[:stopped]]
    if silent < frame.steps(s.lasting_minutes) or len(before) < frame.steps(s.traffic_past_minutes):
        return None
    rate = float(before.mean())
    idle = max(stopped - last_request - 1, 0)
    if rate * silent < s.traffic_min_requests or rate * idle > s.idle_requests:
        return None
    usual = rate / frame.minutes(1)
    sentence = (
        f"{frame.service.name} is down since {frame.at(start):%H:%M}: its process stopped, and no requests "
        f"come where {per_minute(usual)} were usual."
    )
    measured = (0.0, s.traffic_gone * usual, "requests a minute")
    return frame.finding(FindingKind.OUTAGE, Severity.CRITICAL, measured, start, 0.95, "gone", sentence)


def _process_gone(frame: MetricFrame) -> Finding | None:
    """Find, without HTTP, a process that always ran and is gone, or that has stopped working."""
    if frame.service.kind in ENDING:
        return None
    return _vanished(frame) or _long_gone(frame) or _idle(frame)


def _vanished(frame: MetricFrame) -> Finding | None:
    """Find a process without memory, or without samples for longer than some get lost.

    A service that had such pauses before sleeps now and then, and is left alone.
    """
    s = frame.settings
    alive = frame.memory > 0
    if alive[-1] or np.count_nonzero(alive) < frame.steps(s.steady_minutes):
        return None
    start = int(np.flatnonzero(alive)[-1]) + 1
    empty = np.count_nonzero(frame.memory[start:] == 0) >= frame.steps(s.lasting_minutes)
    missing = frame.points - start >= frame.steps(s.silent_minutes)
    breaks = np.diff(np.flatnonzero(alive))
    if not (empty or missing) or (len(breaks) and breaks.max() > frame.steps(s.silent_minutes)):
        return None
    return _is_gone(frame, start, f"{frame.at(start):%H:%M}", frame.memory[:start])


def _is_gone(frame: MetricFrame, start: int, since: str, before: Numbers) -> Finding:
    """Make the finding of a process that held so much memory before, and nothing since."""
    used = median(finite(before))
    sentence = (
        f"The process of {frame.service.name} is gone since {since}: it held {gigabytes(used)} before, and "
        "nothing since."
    )
    measured = (0.0, used, "GB")
    return frame.finding(FindingKind.OUTAGE, Severity.CRITICAL, measured, start, 0.9, "vanished", sentence)


def _ended(frame: MetricFrame) -> Finding | None:
    """Find a process that hardly anybody asks, and that Railway too calls ended."""
    states = set(frame.service.instances)
    return _vanished(frame) if states and states <= ENDED and frame.service.kind not in ENDING else None


def _long_gone(frame: MetricFrame) -> Finding | None:
    """Find a process that ran all day without a break and is gone for most of the window, or longer."""
    s, service, history = frame.settings, frame.service, frame.history
    if history is None or service.sleeps_when_idle or service.kind in ENDING:
        return None
    lived = np.flatnonzero(numbers(history.memory_gb) > 0)
    hours = len(lived) * history.step_seconds / 60
    if hours < s.steady_minutes or np.diff(lived).max(initial=1) > 1:
        return None
    alive = np.flatnonzero(frame.memory > 0)
    if len(alive) >= frame.steps(s.steady_minutes) or np.diff(alive).max(initial=1) > frame.steps(
        s.silent_minutes
    ):
        return None
    start = int(alive[-1]) + 1 if len(alive) else 0
    if frame.points - start < frame.steps(s.silent_minutes) or frame.served[start:].sum() > 0:
        return None
    ended = history.start + timedelta(seconds=(int(lived[-1]) + 1) * history.step_seconds)
    onset_at = frame.at(start) if len(alive) else ended
    finding = _is_gone(frame, start, f"{onset_at:%Y-%m-%d %H:%M}", numbers(history.memory_gb))
    return finding.model_copy(update={"onset": onset_at})


def _idle(frame: MetricFrame) -> Finding | None:
    """Find CPU far below what a steady worker always used, or below the least of an unsteady one."""
    s = frame.settings
    now = min(frame.steps(s.lasting_minutes), frame.points)
    valid = np.isfinite(frame.cpu)
    before = frame.cpu[: -frame.recent][valid[: -frame.recent]]
    if len(before) < frame.steps(s.steady_minutes) or not valid[-now:].any():
        return None
    typical = quantile(before, 0.75)
    bad = frame.cpu <= IDLE * typical
    if typical < s.worker_share * min(frame.cpu_limit or 1.0, 1.0) or not np.all(bad[-now:] | ~valid[-now:]):
        return None
    start = onset(bad, valid)
    worked = frame.cpu[:start][valid[:start]]
    least = quantile(worked, 0.05)
    level = median(finite(frame.cpu[-now:]))
    steady = least >= STEADY * quantile(worked, 0.75)
    # A queue that swings may also be empty; only the day before tells whether it was so at this hour.
    usual = at_this_hour(frame, start, lambda past: numbers(past.cpu))
    unusual = level <= IDLE * usual if np.isfinite(usual) else steady
    if len(worked) < frame.steps(s.steady_minutes) or not unusual:
        return None
    typical = median(worked)
    sentence = (
        f"{frame.service.name} stopped working at {frame.at(start):%H:%M}: it used {rounded(typical)} vCPU "
        f"before, and {rounded(level) if level >= FELT else 'next to none'} since."
    )
    measured = (level, IDLE * typical, "vCPU")
    return frame.finding(FindingKind.OUTAGE, Severity.CRITICAL, measured, start, 0.85, "idle", sentence)

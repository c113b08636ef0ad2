"""Rules about deployments, restarts and volumes."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from railmend.assessment.deaths import logged
from railmend.assessment.frame import MetricFrame, margin
from railmend.assessment.restarts import memory_drops, oom_kills, restart_steps, restarted_below_baseline
from railmend.assessment.statistics import (
    OVERDUE,
    Numbers,
    blocks,
    finite,
    mann_kendall,
    median,
    theil_sen,
    wilson,
)
from railmend.assessment.wording import duration, gigabytes, percent
from railmend.contracts.scan import Finding, FindingKind, Service, ServiceKind, Severity

FAILED = frozenset({"FAILED", "CRASHED"})
# A volume that is full in a month or later is not filling.
TELLING_HOURS = 720.0
DOWN = frozenset({"CRASHED", "RESTARTING"})
# Peaks this near to each other are one limit; a fall by `EMPTIED` leaves what a new process holds. Between
# two falls at least `RISES` of the pairs rise, and the median lies below `STEEP` of the peak.
SAME_PEAK, EMPTIED, RISES, STEEP = 0.1, 0.7, 0.85, 0.85
# A process that ended by itself, with success: no trouble of a job, but of one replica among others.
ENDED = frozenset({"EXITED", "STOPPED"})
# A deployment that still is in one of these after so long will not come up by itself: Railway's own limits of
# a build and a health check are within the hour. One that waits for people, or for CI, is not stuck.
COMING_UP, STUCK = frozenset({"INITIALIZING", "QUEUED", "BUILDING", "DEPLOYING"}), timedelta(hours=2)


def deployment_failed(frame: MetricFrame) -> Finding | None:
    """Report that the deployment that decides failed (an older one may still serve), crashed or is stuck."""
    service = frame.service
    if is_stuck(service, frame.at(frame.points)):
        return _stuck(frame)
    crashed = service.active_status == "CRASHED"
    status = "CRASHED" if crashed else service.latest_status
    if status not in FAILED or (status == "CRASHED" and service.kind is ServiceKind.CRON and service.runs):
        return None
    serves = service.active_deployment_id is not None and status == "FAILED"
    kind = FindingKind.CRASH_LOOP if status == "CRASHED" else FindingKind.DEPLOYMENT_FAILED
    severity = Severity.WARNING if serves else Severity.CRITICAL
    which = "deployment that serves" if crashed else "newest deployment"
    sentence = f"The {which} of {service.name} is {status}."
    if service.under_way is not None:
        sentence += f" One after it is {service.under_way}, which changes nothing yet."
    finding = frame.finding(kind, severity, (1, 1, "deployments"), 0, 0.99, "status", sentence)
    return since(finding, service.active_since if crashed else service.latest_since)


def is_stuck(service: Service, now: datetime) -> bool:
    """Return whether the newest deployment has been coming up for too long, as where no check succeeds."""
    status, began = service.coming
    return status in COMING_UP and began is not None and now - began > STUCK


def _stuck(frame: MetricFrame) -> Finding:
    service, (status, began) = frame.service, frame.service.coming
    hours = (frame.at(frame.points) - (began or frame.at(0))).total_seconds() / 3600
    serves = service.active_deployment_id is not None
    then = "an earlier one serves" if serves else "nothing else serves"
    sentence = (
        f"The newest deployment of {service.name} has been {status} for {duration(60 * hours)}; {then}."
    )
    severity = Severity.WARNING if serves else Severity.CRITICAL
    most = STUCK.total_seconds() / 3600
    measured = (hours, most, "hours")
    return since(
        frame.finding(FindingKind.DEPLOYMENT_FAILED, severity, measured, 0, 0.9, "stuck", sentence), began
    )


def since(finding: Finding, at: datetime | None) -> Finding:
    """Return a finding whose onset is known from elsewhere than its series."""
    return finding if at is None else finding.model_copy(update={"onset": at})


def crash_loop(frame: MetricFrame) -> Finding | None:
    """Find a process that dies again and again, by its memory or by what Railway says of its state."""
    service = frame.service
    if service.kind is ServiceKind.CRON or "CRASHED" in (service.latest_status, service.active_status):
        return None
    found = _dies_again(frame) or _outgrows(frame) if frame.points else None
    return found or logged(frame) or _restarting(frame)


def _dies_again(frame: MetricFrame) -> Finding | None:
    """Find repeated restarts: gaps and drops of memory and, with HTTP, failing requests."""
    s = frame.settings
    window = min(frame.steps(s.loop_minutes), frame.points)
    restarts = restart_steps(frame, window)
    if len(restarts) < s.loop_restarts:
        return None
    restarts = restarted_below_baseline(frame, restarts)
    if len(restarts) < s.loop_restarts or restarts[-1] < frame.points - frame.recent:
        return None
    if frame.has_http:
        failed, total = (float(series[restarts[0] :].sum()) for series in (frame.failed, frame.total))
        if failed < s.error_min_errors or wilson(failed, total)[0] < s.sparse_share:
            return None
        felt = f" and {percent(failed / total)} of the requests failed"
    else:
        felt = ""
    minutes = frame.minutes(frame.points - restarts[0])
    sentence = (
        f"{frame.service.name} died {len(restarts)} times in the last {duration(max(minutes, 1))}{felt}."
    )
    return frame.finding(
        FindingKind.CRASH_LOOP,
        Severity.CRITICAL,
        (len(restarts), s.loop_restarts, f"restarts in {s.loop_minutes:.0f} min"),
        restarts[0],
        margin(len(restarts) + 1, s.loop_restarts),
        "restarts",
        sentence,
    )


def _outgrows(frame: MetricFrame) -> Finding | None:
    """Find a process that grows to the same level again and again and dies there: a limit of its own.

    A runtime's heap limit lies anywhere below the service's. A collector frees much, too: a death frees
    nearly everything, or costs requests.
    """
    s = frame.settings
    index = np.flatnonzero(frame.memory > 0)
    values = frame.memory[index]
    falls = [drop for drop in memory_drops(values, s.collected_fall) if drop.depth >= s.restart_fall]
    if len(falls) < 2:
        return None
    peak = falls[-1].peak
    begins = [0, *(drop.at for drop in falls)]
    grown = [
        drop
        for begin, drop in zip(begins, falls, strict=False)
        if abs(drop.peak - peak) <= SAME_PEAK * peak and _rises(values[begin : drop.at], peak)
    ]
    lost = sum(_costs_requests(frame, int(index[drop.at])) for drop in grown)
    deep = all(drop.depth >= EMPTIED for drop in grown)
    if len(grown) < 2 or not (lost >= max(2, len(grown) / 2) or (deep and (lost or not frame.has_http))):
        return None
    begun, last = int(index[grown[0].at]), int(index[grown[-1].at])
    interval = (last - begun) / (len(grown) - 1)
    if frame.points - last > max(OVERDUE * interval, frame.recent):
        return None
    sentence = (
        f"{frame.service.name} died {len(grown)} times since {frame.at(begun):%H:%M}, every "
        f"{duration(frame.minutes(1) * interval)}, each time at {gigabytes(peak)} of memory."
    )
    measured = (float(len(grown)), 2.0, "deaths at one level")
    return frame.finding(
        FindingKind.CRASH_LOOP, Severity.CRITICAL, measured, begun, 0.9, "outgrows", sentence
    )


def _rises(values: Numbers, peak: float) -> bool:
    """Return whether memory rose all the time up to a fall; work for a while takes it at once."""
    return len(values) > 2 and mann_kendall(blocks(values)) >= RISES and median(values) <= STEEP * peak


def _costs_requests(frame: MetricFrame, at: int) -> bool:
    near = slice(max(at - 2, 0), at + 2)
    failed, total = float(frame.failed[near].sum()), float(frame.total[near].sum())
    return failed > 0 and wilson(failed, total)[0] >= frame.settings.error_usual_share


def _restarting(frame: MetricFrame) -> Finding | None:
    """Find processes that Railway restarts or that crashed.

    The state alone is not the truth: where requests are served and no other process does it, it is outdated.
    One process that runs does not hide another that is down, or has ended.
    """
    states = frame.service.instances
    alive = states.count("RUNNING")
    down = [state for state in states if state in DOWN or (alive and state in ENDED)]
    if not down or (not alive and _is_served(frame)):
        return None
    window = min(frame.steps(frame.settings.loop_minutes), frame.points)
    restarts = restart_steps(frame, window) if frame.points else []
    sure = bool(restarts) or (frame.has_http and not alive)
    which = f"{len(down)} of {len(states)} processes" if len(states) > 1 else "The process"
    verb = "are" if len(down) > 1 else "is"
    sentence = (
        f"{which} of {frame.service.name} {verb} {' and '.join(sorted(set(down)))} by Railway's own account."
    )
    finding = frame.finding(
        FindingKind.CRASH_LOOP,
        Severity.CRITICAL if sure and not alive else Severity.WARNING,
        (len(down), 1, "processes"),
        restarts[0] if restarts else 0,
        0.95 if sure else 0.7,
        "instances",
        sentence,
    )
    began = frame.service.active_since
    return since(finding, began) if began and began > finding.onset and not restarts else finding


def _is_served(frame: MetricFrame) -> bool:
    """Return whether nearly all requests of the newest stretch succeed."""
    failed, total = (float(series[-frame.recent :].sum()) for series in (frame.failed, frame.total))
    return total > 0 and failed / total < frame.settings.sparse_share


def restart(frame: MetricFrame) -> Finding | None:
    """Report kills at the memory limit that no leak explains: a recent one, or some that keep coming back."""
    limit, threshold = frame.memory_limit, frame.settings.memory_near_limit
    if limit is None or not (frame.memory >= threshold * limit).any():
        return None
    index = np.flatnonzero(np.isfinite(frame.memory))
    killed = oom_kills(frame, memory_drops(frame.memory[index], frame.settings.collected_fall))
    if not killed:
        return None
    last, start = killed[-1], int(index[killed[0].at])
    interval = (int(index[last.at]) - start) / max(len(killed) - 1, 1)
    if frame.points - index[last.at] > max(OVERDUE * interval, frame.recent):
        return None
    # A collector may free a quarter as often; a process that keeps dying leaves less.
    grave = len(killed) > 1 and all(drop.depth >= frame.settings.restart_fall for drop in killed)
    times = f"{len(killed)} times since" if len(killed) > 1 else "at"
    often = f", every {duration(frame.minutes(1) * interval)}" if len(killed) > 1 else ""
    sentence = (
        f"{frame.service.name} was restarted {times} {frame.at(start):%H:%M}{often}, with "
        f"{gigabytes(last.peak)} of its {gigabytes(limit)} of memory in use."
    )
    return frame.finding(
        FindingKind.RESTART,
        Severity.CRITICAL if grave else Severity.WARNING,
        (last.peak / limit, threshold, "share of limit"),
        start,
        last.depth,
        "killed",
        sentence,
    )


def disk_filling(frame: MetricFrame) -> Finding | None:
    """Find a volume that is nearly full, or will be within the horizon at its current growth."""
    s = frame.settings
    growth = _growth(frame)
    fill = growth.fill if growth else frame.service.volume_fill
    if fill is None:
        return None
    hours = growth.hours if growth else None
    soon = hours is not None and hours <= s.disk_horizon_hours and fill >= s.disk_share / 2
    if fill < s.disk_share and not soon:
        return None
    until = ""
    if growth is not None and hours is not None and hours <= TELLING_HOURS:
        until = f" and full in {duration(60 * hours)} at {gigabytes(growth.rate)} an hour"
    sentence = f"The volume of {frame.service.name} is {percent(fill)} full{until}."
    full = np.flatnonzero(frame.disk >= s.disk_share * (frame.disk_limit or np.inf))
    critical = fill >= s.disk_critical_share or (hours is not None and hours <= 1)
    return frame.finding(
        FindingKind.DISK_FILLING,
        Severity.CRITICAL if critical else Severity.WARNING,
        (fill, s.disk_share, "share of volume"),
        int(full[0]) if len(full) else 0,
        0.9,
        "fill" if not soon else "time_to_full",
        sentence,
    )


@dataclass(frozen=True)
class Growth:
    """`fill`: share of the volume; `rate`: GB/h; `hours` until it is full, None if it does not grow."""

    fill: float
    rate: float
    hours: float | None


def _growth(frame: MetricFrame) -> Growth | None:
    """Return the Theil-Sen slope over the window; `hours` only if Mann-Kendall confirms the rise."""
    limit = frame.disk_limit
    used = finite(frame.disk) if limit is not None else frame.disk
    if limit is None or not len(used):
        return None
    last, y = float(used[-1]), blocks(used)
    slope = theil_sen(np.arange(len(y), dtype=np.float64), y)
    rate = slope * len(y) / len(used) * 3600 / frame.slice.step_seconds
    grows = rate > 0 and mann_kendall(y) >= frame.settings.leak_rising_share
    return Growth(last / limit, rate, max(limit - last, 0.0) / rate if grows else None)

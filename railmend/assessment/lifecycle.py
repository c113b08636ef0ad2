"""Rules on deployments, restarts and volumes."""

from dataclasses import dataclass

import numpy as np

from railmend.assessment.frame import MetricFrame, margin
from railmend.assessment.restarts import falls, kills, restart_steps, restarted_below_baseline
from railmend.assessment.statistics import blocks, finite, mann_kendall, theil_sen, wilson
from railmend.contracts.scan import Finding, FindingKind, ServiceKind, Severity

FAILED = frozenset({"FAILED", "CRASHED"})


def deployment_failed(look: MetricFrame) -> Finding | None:
    """The newest deployment failed while an older one serves, or crashed for good."""
    status = look.service.latest_status
    if status not in FAILED:
        return None
    serving = look.service.active_deployment_id
    kind = FindingKind.CRASH_LOOP if status == "CRASHED" else FindingKind.DEPLOYMENT_FAILED
    severity = Severity.WARNING if serving and status == "FAILED" else Severity.CRITICAL
    sentence = f"The newest deployment of {look.service.name} is {status}."
    return look.finding(kind, severity, (1, 1, "deployments"), 0, 0.99, "status", sentence)


def crash_loop(look: MetricFrame) -> Finding | None:
    """The process dies again and again: gaps and falls of memory, and failing requests, if any."""
    s = look.settings
    if look.service.kind is ServiceKind.CRON or look.service.latest_status == "CRASHED":
        return None
    window = min(look.steps(s.loop_minutes), look.points)
    dead = restart_steps(look, window)
    if len(dead) < s.loop_restarts:
        return None
    dead = restarted_below_baseline(look, dead)
    if len(dead) < s.loop_restarts or dead[-1] < look.points - look.recent:
        return None
    if look.has_http:
        failed, total = (float(series[dead[0] :].sum()) for series in (look.failed, look.total))
        if failed < s.error_min_errors or wilson(failed, total)[0] < s.sparse_share:
            return None
        felt = f" and {failed / total:.0%} of the requests failed"
    else:
        felt = ""
    minutes = look.minutes(look.points - dead[0])
    sentence = f"{look.service.name} died {len(dead)} times in the last {minutes:.0f} min{felt}."
    return look.finding(
        FindingKind.CRASH_LOOP,
        Severity.CRITICAL,
        (len(dead), s.loop_restarts, f"restarts in {s.loop_minutes:.0f} min"),
        dead[0],
        margin(len(dead) + 1, s.loop_restarts),
        "restarts",
        sentence,
    )


def restart(look: MetricFrame) -> Finding | None:
    """Killed at the memory limit just now, without the rise of a leak before."""
    if (
        look.memory_limit is None
        or not (look.memory >= look.settings.memory_near_limit * look.memory_limit).any()
    ):
        return None
    index = np.flatnonzero(np.isfinite(look.memory))
    killed = kills(look, falls(look.memory[index], look.settings.collected_fall))
    if not killed or index[killed[-1].at] < look.points - look.recent:
        return None
    last, limit = killed[-1], look.memory_limit
    start = int(index[last.at])
    sentence = (
        f"{look.service.name} was restarted at {look.at(start):%H:%M} with {last.peak:.2f} GB of its "
        f"{limit:.2f} GB of memory in use."
    )
    threshold = look.settings.memory_near_limit
    return look.finding(
        FindingKind.RESTART,
        Severity.WARNING,
        (last.peak / limit, threshold, "share of limit"),
        start,
        last.depth,
        "killed",
        sentence,
    )


def disk_filling(look: MetricFrame) -> Finding | None:
    """A volume that is nearly full, or will be within the horizon at its present pace."""
    s = look.settings
    growth = _growth(look)
    fill = growth.fill if growth else look.service.volume_fill
    if fill is None:
        return None
    hours = growth.hours if growth else None
    soon = hours is not None and hours <= s.disk_horizon_hours and fill >= s.disk_share / 2
    if fill < s.disk_share and not soon:
        return None
    until = (
        f" and full in {hours:.1f} h at {growth.rate:.2f} GB an hour" if growth and hours is not None else ""
    )
    sentence = f"The volume of {look.service.name} is {fill:.0%} full{until}."
    critical = fill >= s.disk_critical_share or (hours is not None and hours <= 1)
    return look.finding(
        FindingKind.DISK_FILLING,
        Severity.CRITICAL if critical else Severity.WARNING,
        (fill, s.disk_share, "share of volume"),
        0,
        0.9,
        "fill" if not soon else "time_to_full",
        sentence,
    )


@dataclass(frozen=True)
class Growth:
    """`fill`: share of the volume; `rate`: GB an hour; `hours` until it is full; None: it does not grow."""

    fill: float
    rate: float
    hours: float | None


def _growth(look: MetricFrame) -> Growth | None:
    """By the slope of the window (Theil-Sen), where the pairs of samples agree that it rises."""
    limit = look.disk_limit
    used = finite(look.disk) if limit is not None else look.disk
    if limit is None or not len(used):
        return None
    last, y = float(used[-1]), blocks(used)
    slope = theil_sen(np.arange(len(y), dtype=np.float64), y)
    rate = slope * len(y) / len(used) * 3600 / look.slice.step_seconds
    grows = rate > 0 and mann_kendall(y) >= look.settings.leak_rising_share
    return Growth(last / limit, rate, max(limit - last, 0.0) / rate if grows else None)

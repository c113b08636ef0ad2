"""Rule about crons: their runs are judged, not their samples."""

from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from railmend.assessment.frame import MetricFrame
from railmend.assessment.wording import duration
from railmend.contracts.scan import CronRun, Finding, FindingKind, ServiceKind, Severity

FAILED_RUN = frozenset({"CRASHED"})
# So many failures in a row are no accident.
FAILURES = 3
# Railway starts crons some minutes late, and skips a run while the one before it lives.
GRACE = timedelta(minutes=15)
# A run that lasts so long without a known interval never ends.
LONGEST = timedelta(hours=24)


def cron_failed(frame: MetricFrame) -> Finding | None:
    """Find runs that fail, that do not end before the next is due, and that did not take place."""
    service, now = frame.service, frame.at(frame.points)
    if service.kind is not ServiceKind.CRON or not service.runs:
        return None
    interval = _interval(service.runs)
    found = _failed(service.runs) or _endless(service.runs, interval, now)
    found = found or _overdue(service.runs, interval, service.next_run_at, now)
    if found is None:
        return None
    rule, onset, count, sentence = found
    severity = Severity.CRITICAL if count >= FAILURES else Severity.WARNING
    measured = (float(count), 1.0, "runs")
    text = f"{service.name}: {sentence}"
    finding = frame.finding(FindingKind.CRON_FAILED, severity, measured, 0, 0.95, rule, text)
    return finding.model_copy(update={"onset": onset})


# Rule, onset, number of runs, sentence.
Found = tuple[str, datetime, int, str]


def _interval(runs: tuple[CronRun, ...]) -> timedelta | None:
    """Return the usual time between two runs, None with fewer than three."""
    gaps = [(later.started - earlier.started).total_seconds() for later, earlier in pairwise(runs)]
    return timedelta(seconds=median(gaps)) if len(gaps) > 1 else None


def _failed(runs: tuple[CronRun, ...]) -> Found | None:
    ended = [run for run in runs if run.ended is not None or run.status in FAILED_RUN]
    failures = []
    for run in ended:
        if run.status not in FAILED_RUN:
            break
        failures.append(run)
    if not failures:
        return None
    many = "its last run failed" if len(failures) == 1 else f"its last {len(failures)} runs failed"
    sentence = f"{many}, the newest of {failures[0].started:%Y-%m-%d %H:%M}."
    return "failed", failures[-1].started, len(failures), sentence


def _endless(runs: tuple[CronRun, ...], interval: timedelta | None, now: datetime) -> Found | None:
    running = [
        run for run in runs if run.ended is None and run.status not in ("EXITED", "SKIPPED", "REMOVED")
    ]
    if not running:
        return None
    oldest = running[-1]
    lasted, most = now - oldest.started, max(interval * 1.5, GRACE) if interval else LONGEST
    if lasted <= most and len(running) == 1:
        return None
    minutes = lasted.total_seconds() / 60
    others = (
        f", and {len(running) - 1} began since" if len(running) > 1 else ", and no other begins until it does"
    )
    sentence = f"its run of {oldest.started:%Y-%m-%d %H:%M} has not ended after {duration(minutes)}{others}."
    return "endless", oldest.started, 1, sentence


def _overdue(
    runs: tuple[CronRun, ...], interval: timedelta | None, due: datetime | None, now: datetime
) -> Found | None:
    missed = due is not None and due < now - GRACE
    if interval is not None:
        missed = missed or runs[0].started + 2 * interval < now - GRACE
    if not missed or runs[0].ended is None:
        return None
    expected = due if due is not None and due < now else runs[0].started + (interval or timedelta())
    sentence = (
        f"no run since {runs[0].started:%Y-%m-%d %H:%M}, although one was due at {expected:%Y-%m-%d %H:%M}."
    )
    return "overdue", expected, 1, sentence

"""Rules about requests: failed (5xx), refused (4xx) and missing ones."""

from dataclasses import dataclass

import numpy as np

from railmend.assessment.baseline import usual_rate, usual_share
from railmend.assessment.frame import MetricFrame, margin
from railmend.assessment.statistics import Flags, median, onset, quantile, share_onset, wilson
from railmend.assessment.wording import percent, rounded
from railmend.contracts.scan import Finding, FindingKind, Severity

# Failures that came so many times come back: each with at least this share of what the worst one cost, at
# most so many times as far apart as usual, and none overdue by more than this.
ROUNDS, ALIKE, REGULAR, OVERDUE = 3, 0.25, 3, 1.5


@dataclass(frozen=True)
class Failures:
    """5xx since the onset. `share` and its lower 95 % bound, `bound`, are 0..1."""

    onset: int
    failed: float
    total: float
    share: float
    bound: float


def error_rate(frame: MetricFrame) -> Finding | None:
    """Judge the share of 5xx by its lower Wilson bound: few requests or one bad minute decide nothing."""
    s = frame.settings
    if not frame.failed.any():
        return None
    failures = _failures(frame) or _sparse_failures(frame)
    if failures is None:
        return None
    critical = failures.share >= s.error_critical_share and failures.failed >= s.error_critical_errors
    threshold = s.error_share
    sentence = (
        f"{failures.failed:.0f} of {failures.total:.0f} requests to {frame.service.name} "
        f"({percent(failures.share)}) failed with 5xx since {frame.at(failures.onset):%H:%M}; at least "
        f"{percent(failures.bound)} with 95 % confidence."
    )
    return frame.finding(
        FindingKind.ERROR_RATE,
        Severity.CRITICAL if critical else Severity.WARNING,
        (failures.share, threshold, "share of requests"),
        failures.onset,
        margin(failures.bound, threshold),
        "share",
        sentence,
    )


def _failures(frame: MetricFrame) -> Failures | None:
    s = frame.settings
    bad = frame.failed >= np.maximum(0.5 * s.error_share * frame.total, 0.5)
    recent = _deciding(frame, bad)
    if frame.failed[-recent:].sum() < s.error_min_errors or frame.total[-recent:].sum() < s.sparse_requests:
        return None
    if np.count_nonzero(bad[-recent:]) < frame.steps(s.error_min_minutes):
        return None
    last = int(np.flatnonzero(bad)[-1])
    if recent == frame.recent and last < frame.points - frame.steps(s.ended_minutes):
        return None
    newest = slice(frame.points - recent, last + 1)
    share = float(frame.failed[newest].sum()) / float(frame.total[newest].sum())
    start = share_onset(frame.failed * bad, frame.total, min(share / 4, s.error_share), share)
    # The newest stretch decides, as far back as it is one.
    now = _failures_from(frame, max(start, frame.points - recent), last)
    if now.failed < s.error_min_errors or now.bound < s.error_share:
        return None
    if now.bound < s.error_usual_share and now.bound < s.error_over_past * usual_share(frame, "5xx", start):
        return None
    return _failures_from(frame, start, last)


def _deciding(frame: MetricFrame, bad: Flags) -> int:
    """Return the number of newest steps that decide: where failures keep coming back, all of their rounds.

    A round counts if it costs about as much as the worst: single errors between two say nothing, and what
    healed left them too.
    """
    hits = np.flatnonzero(bad)
    if len(hits) < ROUNDS:
        return frame.recent
    begins = hits[np.diff(hits, prepend=-frame.points) > frame.steps(frame.settings.lasting_minutes)]
    failed = np.add.reduceat(frame.failed, begins)
    begins = begins[failed >= ALIKE * failed.max()]
    if len(begins) < ROUNDS:
        return frame.recent
    between, due = np.diff(begins), frame.points - int(begins[-1])
    if between.max() > REGULAR * median(between) or due > OVERDUE * between.max():
        return frame.recent
    return max(frame.points - int(begins[0]), frame.recent)


def _failures_from(frame: MetricFrame, start: int, last: int) -> Failures:
    """Return share and bound of one and the same stretch, from `start` to `last`."""
    failed, total = float(frame.failed[start : last + 1].sum()), float(frame.total[start : last + 1].sum())
    return Failures(start, failed, total, failed / total, wilson(failed, total)[0])


def _sparse_failures(frame: MetricFrame) -> Failures | None:
    """Judge a service with a request every few minutes over an hour; errors must fall in several minutes."""
    s = frame.settings
    if float(frame.total[-frame.recent :].sum()) >= s.sparse_requests:
        return None
    window = min(frame.steps(s.sparse_minutes), frame.points)
    bad = frame.failed[-window:] > 0
    minutes = np.flatnonzero(bad)
    if len(minutes) < 2 or minutes[-1] < window - frame.recent:
        return None
    start = frame.points - window + int(minutes[0])
    failures = _failures_from(frame, start, frame.points - 1)
    usual = s.error_over_past * usual_share(frame, "5xx", start, s.sparse_usual_share)
    if failures.failed < s.sparse_min_errors or failures.bound < max(s.sparse_share, usual):
        return None
    return failures


def client_errors(frame: MetricFrame) -> Finding | None:
    """Find a jump of the share of 4xx that costs successes; scanners that only add 404s cost none."""
    s = frame.settings
    recent = frame.recent
    if float(frame.refused[-recent:].sum()) < s.client_min_errors:
        return None
    share = frame.refused / np.maximum(frame.total, 1)
    before = min(usual_share(frame, "4xx", end) for end in (frame.points - recent, frame.oldest))
    bad = (share >= before + s.client_jump) & (frame.refused > 0)
    hits = np.flatnonzero(bad[-recent:])
    # Bursts count by what they refuse of all, once they have come back.
    lasts = len(hits) >= frame.steps(s.lasting_minutes) or (
        len(hits) >= frame.steps(s.burst_minutes) and hits[-1] - hits[0] > frame.steps(s.lasting_minutes)
    )
    now = float(frame.refused[-recent:].sum()) / max(float(frame.total[-recent:].sum()), 1)
    if not lasts:
        return None
    last = int(np.flatnonzero(bad)[-1])
    start = share_onset(
        frame.refused * bad, frame.total, before + s.client_jump / 2, max(now, before + s.client_jump)
    )
    reference = slice(max(start - 2 * recent, 0), start)
    steps, past = last + 1 - start, start - reference.start
    if last < frame.points - frame.steps(s.client_ended_minutes) or past < frame.steps(s.past_minutes):
        return None
    during, control = _masked(frame, slice(start, last + 1)), _masked(frame, reference)
    if np.count_nonzero(bad & during) < 0.5 * steps:  # bursts: the minutes between them show what was due
        during, control = bad & during, during & ~bad & frame.sampled
        steps, past = int(during.sum()), int(control.sum())
    refused, total = float(frame.refused[during].sum()), float(frame.total[during].sum())
    usual = usual_share(frame, "4xx", start)
    jump = refused / total - usual
    if refused / steps < 2 * float(frame.refused[control].mean()):
        return None  # fewer requests, not more refusals
    # Expected successes had nothing happened, against actual ones. Requests arrive in clumps, so the
    # variance is the observed one, and at least Poisson's.
    served = frame.served[control]
    expected = float(served.mean()) * steps
    lost = expected - float(frame.served[during].sum())
    variance = max(float(served.var()), float(served.mean())) * steps * (1 + steps / past)
    if jump < s.client_jump or lost < max(
        s.client_lost_share * jump * expected, s.client_sigmas * np.sqrt(variance)
    ):
        return None
    sentence = (
        f"{percent(refused / total)} of the requests to {frame.service.name} were refused with 4xx since "
        f"{frame.at(start):%H:%M} ({percent(usual)} before), and successes fell by "
        f"{percent(lost / expected)}."
    )
    return frame.finding(
        FindingKind.CLIENT_ERRORS,
        Severity.WARNING,
        (refused / total, usual + s.client_jump, "share of requests"),
        start,
        margin(jump, s.client_jump),
        "jump",
        sentence,
    )


def _masked(frame: MetricFrame, steps: slice) -> Flags:
    mask = np.zeros(frame.points, dtype=np.bool_)
    mask[steps] = True
    return mask


def traffic_drop(frame: MetricFrame) -> Finding | None:
    """Find traffic far below the least that was usual."""
    if not frame.has_http:
        return None
    s = frame.settings
    now = min(frame.steps(s.lasting_minutes), frame.points)
    if frame.total[-now:].min() > s.traffic_left * frame.total.max():
        return None  # cheap: the usual case
    level, start, usual = _drop(frame, now)
    if usual is None:
        return None
    left = level / usual.typical
    before, now_rate, least = (each / frame.minutes(1) for each in (usual.typical, level, usual.least))
    sentence = (
        f"Requests to {frame.service.name} fell from {rounded(before)} to {rounded(now_rate)} a minute since "
        f"{frame.at(start):%H:%M}; hardly ever were there fewer than {rounded(least)} before."
    )
    return frame.finding(
        FindingKind.TRAFFIC_DROP,
        Severity.CRITICAL if left <= s.traffic_critical_left else Severity.WARNING,
        (now_rate, s.traffic_left * least, "requests a minute"),
        start,
        1 - 0.5 * left,
        "fall",
        sentence,
    )


@dataclass(frozen=True)
class UsualTraffic:
    """Requests per step before the drop: 5th percentile and median."""

    least: float
    typical: float


def _drop(frame: MetricFrame, now: int) -> tuple[float, int, UsualTraffic | None]:
    """Return requests per step now, the onset, and what was usual before; None for the last: no drop."""
    s = frame.settings
    sampled = frame.sampled
    newest = frame.total[-now:][sampled[-now:]]
    level = quantile(newest, 0.5) if len(newest) else 0.0
    past = frame.total[:-now][sampled[:-now]]
    if len(past) < frame.steps(s.traffic_past_minutes):
        return level, 0, None
    high = max(quantile(past, 0.75), median(frame.total[: frame.oldest][sampled[: frame.oldest]]))
    if level > s.traffic_left * high or high * now < s.traffic_min_requests:
        return level, 0, None
    bad = sampled & (frame.total <= (level + high) / 2)
    if not bad.any():
        return level, 0, None  # the newest samples are missing
    start = onset(bad, sampled)
    before = frame.total[:start][sampled[:start]]
    if len(before) < frame.steps(s.traffic_past_minutes):
        return level, 0, None
    usual = UsualTraffic(quantile(before, 0.05), quantile(before[-2 * frame.recent :], 0.5))
    lasting = frame.points - start >= now and not np.any(newest > usual.least)
    steep = quantile(before[-now:], 0.5) > level + 0.5 * (usual.typical - level)
    enough = usual.least * (frame.points - start) >= s.traffic_min_requests
    if not (lasting and steep and enough) or level > s.traffic_left * min(
        usual.least, usual_rate(frame, start)
    ):
        return level, 0, None
    return level, start, usual

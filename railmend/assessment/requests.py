"""Rules about requests: failed (5xx), refused (4xx) and missing ones."""

from dataclasses import dataclass

import numpy as np

from railmend.assessment.baseline import usual_rate, usual_share
from railmend.assessment.frame import MetricFrame, margin
from railmend.assessment.statistics import (
    OVERDUE,
    Flags,
    Numbers,
    median,
    onset,
    quantile,
    share_onset,
    wilson,
)
from railmend.assessment.wording import percent, rounded
from railmend.contracts.scan import Finding, FindingKind, Severity

# Failures that came so many times come back: each with at least this share of what the worst one cost, at
# most so many times as far apart as usual.
ROUNDS, ALIKE, REGULAR = 3, 0.25, 3
# Traffic that fell lies so far below what single minutes had, too.
BELOW_SINGLE = 0.9
# Minutes in which requests stop coming: because something broke, or because people leave.
CLIFFS, RAMPS = (1, 4, 8, 12), (18, 25, 35, 50, 70, 100)
# Which it was is in doubt below so many variances of a minute (2 of a likelihood ratio).
DOUBT = 2.0


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
    # A single error counts only where a minute has few requests: it may be any minute's.
    several = frame.failed >= np.maximum(0.5 * s.error_share * frame.total, 2)
    bad = several | (frame.failed > 0) & (frame.failed >= s.error_usual_share * frame.total)
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
    if not len(minutes) or minutes[-1] < window - frame.recent:
        return None
    if minutes[-1] - minutes[0] + 1 < frame.steps(s.error_min_minutes):
        return None  # as of a deployment
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
    few = float(frame.total[-recent:].sum()) < s.sparse_requests
    if few:
        recent = min(frame.steps(s.sparse_minutes), frame.points)
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
    begins = np.flatnonzero(bad)
    last, apart = int(begins[-1]), np.diff(begins[-len(hits) :]).max(initial=1)
    start = share_onset(
        frame.refused * bad, frame.total, before + s.client_jump / 2, max(now, before + s.client_jump)
    )
    reference = slice(max(start - 2 * recent, 0), start)
    steps, past = last + 1 - start, start - reference.start
    ended = max(frame.steps(s.client_ended_minutes), round(OVERDUE * apart))
    if last < frame.points - ended or past < frame.steps(s.past_minutes):
        return None
    during, control = _masked(frame, slice(start, last + 1)), _masked(frame, reference)
    if not few and np.count_nonzero(bad & during) < 0.5 * steps:
        # Bursts: the minutes between them show what was due.
        during, control = bad & during, during & ~bad & frame.sampled
        steps, past = int(during.sum()), int(control.sum())
        if not past:
            return None
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
    deviation = np.sqrt(max(float(served.var()), float(served.mean())) * steps * (1 + steps / past))
    sigmas = 2 * s.client_sigmas if few else s.client_sigmas
    least = max(s.client_lost_share * jump * expected, sigmas * deviation)
    if jump < s.client_jump or lost <= 0 or lost < least:
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
    """Find traffic that fell abruptly, far below the least that was usual."""
    s = frame.settings
    now = min(frame.steps(s.lasting_minutes), frame.points)
    if not frame.has_http or frame.total[-now:].min() > s.traffic_left * frame.total.max():
        return None  # cheap: the usual case
    steps = np.flatnonzero(frame.sampled)
    total, long = frame.total[steps], frame.steps(s.traffic_past_minutes)
    newest = np.count_nonzero(steps >= frame.points - now)
    if not newest or len(total) - newest < long:
        return None  # the newest samples are missing, or there is no past
    level = median(total[-newest:])
    oldest = total[: np.count_nonzero(steps < frame.oldest)]
    high = max(quantile(total[:-newest], 0.75), median(oldest) if len(oldest) else 0.0)
    if level > s.traffic_left * high or high * now < s.traffic_min_requests:
        return None
    first = onset(total <= (level + high) / 2)
    before, since = total[:first], total[first:]
    if len(before) < long or len(since) < newest:
        return None
    # Requests come in clumps: minutes taken together tell what is usual. Single ones were not as low either.
    together = np.convolve(before, np.full(now, 1 / now), "valid")
    least = quantile(together, 0.05)
    typical = max(median(before[-2 * frame.recent :]), least)
    start = int(steps[first])
    usual = min(least, usual_rate(frame, start))
    if level > min(s.traffic_left * usual, BELOW_SINGLE * quantile(before, 0.05)):
        return None
    if least * len(since) < s.traffic_min_requests:
        return None
    # Scanners that leave take no visitors with them.
    others = (frame.total - frame.refused)[steps]
    if median(others[-newest:]) > s.traffic_left * median(others[max(first - 2 * frame.recent, 0) : first]):
        return None
    if _takes_long(frame, total, first, typical, level):
        return None
    left, per_minute = level / typical, 1 / frame.minutes(1)
    sentence = (
        f"Requests to {frame.service.name} fell from {rounded(typical * per_minute)} to "
        f"{rounded(level * per_minute)} a minute since {frame.at(start):%H:%M}; hardly ever were there fewer "
        f"than {rounded(least * per_minute)} before."
    )
    return frame.finding(
        FindingKind.TRAFFIC_DROP,
        Severity.CRITICAL if left <= s.traffic_critical_left else Severity.WARNING,
        (level * per_minute, s.traffic_left * least * per_minute, "requests a minute"),
        start,
        1 - 0.5 * left,
        "fall",
        sentence,
    )


def _takes_long(frame: MetricFrame, total: Numbers, first: int, high: float, low: float) -> bool:
    """Return whether requests fell as people leave: a long ramp fits about as well as a short one."""
    fallen = (high - total) / (high - low)
    after = np.append(np.cumsum(fallen[::-1])[::-1], np.zeros(frame.steps(max(RAMPS))))

    def misfit(minutes: float) -> float:
        """Return the least squares of ramps that begin at any step, but for a constant."""
        length = frame.steps(minutes)
        ramp = np.minimum(np.arange(1, len(total) + 1) / length, 1)
        fits = np.convolve(after, np.full(length, 1 / length), "valid")[: len(total)]
        return float((np.cumsum(ramp**2)[::-1] - 2 * fits).min())

    noise = float(np.var(fallen[:first][-2 * frame.recent :]))
    return min(map(misfit, RAMPS)) < min(map(misfit, CLIFFS)) + DOUBT * noise

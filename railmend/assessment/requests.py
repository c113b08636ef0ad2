"""Rules on what became of the requests: failed, refused, missing."""

from dataclasses import dataclass

import numpy as np

from railmend.assessment.baseline import usual_rate, usual_share
from railmend.assessment.frame import MetricFrame, margin
from railmend.assessment.statistics import onset, quantile, wilson
from railmend.contracts.scan import Finding, FindingKind, Severity


@dataclass(frozen=True)
class Failures:
    """5xx of the newest stretch. `share` counts from the onset, `bound` is its lower 95 % bound."""

    onset: int
    failed: float
    total: float
    share: float
    bound: float


def error_rate(look: MetricFrame) -> Finding | None:
    """Share of 5xx by its lower Wilson bound: few requests decide nothing, nor does one bad minute."""
    s = look.settings
    if not look.failed.any():
        return None
    found = _failures(look) or _sparse_failures(look)
    if found is None:
        return None
    critical = found.share >= s.error_critical_share and found.failed >= s.error_critical_errors
    threshold = s.error_share
    sentence = (
        f"{found.failed:.0f} of {found.total:.0f} requests to {look.service.name} ({found.share:.1%}) failed "
        f"with 5xx since {look.at(found.onset):%H:%M}; at least {found.bound:.1%} with 95 % confidence."
    )
    return look.finding(
        FindingKind.ERROR_RATE,
        Severity.CRITICAL if critical else Severity.WARNING,
        (found.share, threshold, "share of requests"),
        found.onset,
        margin(found.bound, threshold),
        "share",
        sentence,
    )


def _failures(look: MetricFrame) -> Failures | None:
    s = look.settings
    recent = look.recent
    if look.failed[-recent:].sum() < s.error_min_errors or look.total[-recent:].sum() < s.sparse_requests:
        return None
    bad = look.failed >= np.maximum(0.5 * s.error_share * look.total, 0.5)
    if np.count_nonzero(bad[-recent:]) < look.steps(s.error_min_minutes):
        return None
    start, last = onset(bad, look.total > 0), int(np.flatnonzero(bad)[-1])
    if last < look.points - look.steps(s.ended_minutes) or last + 1 - start < look.steps(s.error_min_minutes):
        return None
    # The newest stretch decides, as far back as it is one.
    first = max(start, look.points - recent)
    failed, total = float(look.failed[first : last + 1].sum()), float(look.total[first : last + 1].sum())
    bound, _ = wilson(failed, total)
    if failed < s.error_min_errors or bound < s.error_share:
        return None
    if bound < s.error_usual_share and bound < s.error_over_past * usual_share(look, "5xx", start):
        return None
    failed, total = float(look.failed[start : last + 1].sum()), float(look.total[start : last + 1].sum())
    return Failures(start, failed, total, failed / total, bound)


def _sparse_failures(look: MetricFrame) -> Failures | None:
    """Services with a request every few minutes: an hour together, errors in several minutes."""
    s = look.settings
    if float(look.total[-look.recent :].sum()) >= s.sparse_requests:
        return None
    window = min(look.steps(s.sparse_minutes), look.points)
    bad = look.failed[-window:] > 0
    minutes = np.flatnonzero(bad)
    if len(minutes) < 2 or minutes[-1] < window - look.recent:
        return None
    start = look.points - window + int(minutes[0])
    failed, total = float(look.failed[start:].sum()), float(look.total[start:].sum())
    bound, _ = wilson(failed, total)
    usual = s.error_over_past * usual_share(look, "5xx", start, s.sparse_usual_share)
    if failed < s.sparse_min_errors or bound < max(s.sparse_share, usual):
        return None
    return Failures(start, failed, total, failed / total, bound)


def client_errors(look: MetricFrame) -> Finding | None:
    """A jump of the share of 4xx that costs successes; scans that only add 404s cost none."""
    s = look.settings
    recent = look.recent
    if float(look.refused[-recent:].sum()) < s.client_min_errors:
        return None
    share = look.refused / np.maximum(look.total, 1)
    before = usual_share(look, "4xx", look.points - recent)
    bad = (share >= before + s.client_jump) & (look.refused > 0)
    if np.count_nonzero(bad[-recent:]) < look.steps(s.lasting_minutes):
        return None
    start, last = onset(bad, look.total > 0), int(np.flatnonzero(bad)[-1])
    reference = slice(max(start - 2 * recent, 0), start)
    steps, past = last + 1 - start, start - reference.start
    if last < look.points - look.steps(s.client_ended_minutes) or past < look.steps(s.past_minutes):
        return None
    refused, total = float(look.refused[start : last + 1].sum()), float(look.total[start : last + 1].sum())
    usual = usual_share(look, "4xx", start)
    jump = refused / total - usual
    if refused / steps < 2 * float(look.refused[reference].mean()):
        return None  # fewer requests, not more refusals
    # What would have succeeded had nothing happened, and what did; requests come in clumps, so their own
    # variance counts, and at least Poisson's.
    served = look.served[reference]
    expected = float(served.mean()) * steps
    lost = expected - float(look.served[start : last + 1].sum())
    variance = max(float(served.var()), float(served.mean())) * steps * (1 + steps / past)
    if jump < s.client_jump or lost < max(
        s.client_lost_share * jump * expected, s.client_sigmas * np.sqrt(variance)
    ):
        return None
    sentence = (
        f"{refused / total:.0%} of the requests to {look.service.name} were refused with 4xx since "
        f"{look.at(start):%H:%M} ({usual:.1%} before), and successes fell by {lost / expected:.0%}."
    )
    return look.finding(
        FindingKind.CLIENT_ERRORS,
        Severity.WARNING,
        (refused / total, usual + s.client_jump, "share of requests"),
        start,
        margin(jump, s.client_jump),
        "jump",
        sentence,
    )


def traffic_drop(look: MetricFrame) -> Finding | None:
    """Traffic far below the least that was usual."""
    if not look.has_http:
        return None
    s = look.settings
    now = min(look.steps(s.lasting_minutes), look.points)
    if look.total[-now:].min() > s.traffic_left * look.total.max():
        return None  # cheap: the usual case
    level, start, usual = _fallen_to(look, now)
    if usual is None:
        return None
    left = level / usual.typical
    sentence = (
        f"Requests to {look.service.name} fell from {usual.typical:.0f} to {level:.0f} a step since "
        f"{look.at(start):%H:%M}; hardly ever were there fewer than {usual.least:.0f} before."
    )
    return look.finding(
        FindingKind.TRAFFIC_DROP,
        Severity.CRITICAL if left <= s.traffic_critical_left else Severity.WARNING,
        (level, s.traffic_left * usual.least, "requests a step"),
        start,
        1 - 0.5 * left,
        "fall",
        sentence,
    )


@dataclass(frozen=True)
class Usual:
    """Requests a step before the fall: the least but for a twentieth of the steps, and the typical."""

    least: float
    typical: float


def _fallen_to(look: MetricFrame, now: int) -> tuple[float, int, Usual | None]:
    """Requests a step now, since which step, and what was usual before; None: nothing fell."""
    s = look.settings
    known = look.sampled
    newest = look.total[-now:][known[-now:]]
    level = quantile(newest, 0.5) if len(newest) else 0.0
    past = look.total[:-now][known[:-now]]
    if len(past) < look.steps(s.traffic_past_minutes):
        return level, 0, None
    high = quantile(past, 0.75)
    if level > s.traffic_left * high or high * now < s.traffic_min_requests:
        return level, 0, None
    bad = known & (look.total <= (level + high) / 2)
    start = onset(bad, known)
    before = look.total[:start][known[:start]]
    if len(before) < look.steps(s.traffic_past_minutes):
        return level, 0, None
    usual = Usual(quantile(before, 0.05), quantile(before[-2 * look.recent :], 0.5))
    lasting = look.points - start >= now and not np.any(newest > usual.least)
    steep = quantile(before[-now:], 0.5) > level + 0.5 * (usual.typical - level)
    enough = usual.least * (look.points - start) >= s.traffic_min_requests
    if not (lasting and steep and enough) or level > s.traffic_left * min(
        usual.least, usual_rate(look, start)
    ):
        return level, 0, None
    return level, start, usual

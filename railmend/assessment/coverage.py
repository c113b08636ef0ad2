"""Say why nobody can call a service well although nothing was found: unknown is not healthy."""

from collections.abc import Sequence

from railmend.assessment.settings import AssessmentSettings
from railmend.assessment.wording import duration
from railmend.contracts.scan import Service, ServiceKind
from railmend.railway.model import Slice

DEFAULTS = AssessmentSettings()
MOST_REASONS = 3
SERVES, GONE = frozenset({"SUCCESS", "SLEEPING"}), frozenset({"REMOVED", "REMOVING"})


def why_unknown(
    source: Slice,
    service: Service,
    unread: Sequence[str] = (),
    settings: AssessmentSettings | None = None,
) -> str | None:
    """Return the reason, with the next step; None for a service that is well.

    `unread`: what could not be read of it, which goes before what its series lack.
    """
    reasons = list(dict.fromkeys((*service.unread, *unread)))
    if reasons:
        more = len(reasons) - MOST_REASONS
        return " ".join([*reasons[:MOST_REASONS], *([f"And {more} more."] if more > 0 else [])])
    if service.latest_deployment_id is None:
        return "it was never deployed, so nothing of it runs. Deploy it, or delete it in Railway."
    if service.kind is ServiceKind.CRON:
        return None if service.runs or service.public else "no run of it is known yet."
    silent = why_silent(source, settings or DEFAULTS)
    if service.active_deployment_id is not None or service.latest_status in SERVES:
        return silent
    if service.latest_status not in GONE:
        return f"nothing of it serves: its newest deployment is {service.latest_status}. See in Railway why."
    # A removed deployment may go on serving for hours.
    return silent and "its deployment was removed. Redeploy it, or delete it in Railway."


def why_silent(source: Slice, settings: AssessmentSettings) -> str | None:
    """Return why the samples do not show that it runs: there are none, or none of late."""
    sampled = [
        index
        for values in (source.memory_gb, source.cpu)
        for index, value in enumerate(values)
        if value is not None
    ]
    if not sampled:
        return "Railway has no sample of its CPU or memory in the window. See there whether its process runs."
    length = max(len(source.memory_gb), len(source.cpu))
    silent = (length - 1 - max(sampled)) * source.step_seconds
    if silent < max(settings.silent_minutes * 60, 2 * source.step_seconds):
        return None
    return (
        f"Railway has no sample of its CPU or memory for the last {duration(silent / 60)}. See in Railway "
        "whether its process runs."
    )

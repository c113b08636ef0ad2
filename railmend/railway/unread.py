"""Say what could not be read of an environment, of which services, and why."""

from collections import defaultdict
from collections.abc import Sequence

from railmend.contracts.scan import Service, Window
from railmend.railway import plan
from railmend.railway.drift import NODE, Drift
from railmend.railway.listing import Listings
from railmend.railway.model import Slice
from railmend.railway.reader import QueryResults

WHAT = {**plan.WHAT, "executions": "its runs"}
# Without these fields nobody can say whether a service is well: what they would have told.
JUDGING = {
    ("environment", f"{NODE}.domains"): "whether it has a domain",
    ("environment", f"{NODE}.domains.serviceDomains"): "whether it has a domain",
    ("environment", f"{NODE}.domains.serviceDomains.domain"): "whether it has a domain",
    ("environment", f"{NODE}.cronSchedule"): "whether it is a cron",
    ("deployed", f"{NODE}.latestDeployment"): "its newest deployment",
    ("deployed", f"{NODE}.activeDeployments"): "the deployment that serves",
    ("deployed", f"{NODE}.activeDeployments.instances"): "the state of its processes",
    ("deployed", f"{NODE}.activeDeployments.instances.status"): "the state of its processes",
}
DRIFTED = "Railway changed its API, or refuses this; it is tried again within the hour."


def of_lists(
    unread: dict[str, list[str]],
    services: Sequence[Service],
    slices: Sequence[Slice],
    lists: Listings,
    results: QueryResults,
    drift: Drift,
) -> None:
    """Note by service id why its deployments, its volume or what it is could not be read."""
    missing = [
        f"{what} could not be read. {DRIFTED}"
        for (document, path), what in JUDGING.items()
        if path in drift.dropped(document)
    ]
    deployed = {node["serviceId"] for node in lists.deployed.nodes.values()}
    hidden = results.error(lists.failed)
    for service, series in zip(services, slices, strict=True):
        reasons = unread[service.service_id]
        reasons[:0] = dict.fromkeys(missing)
        if service.service_id not in deployed:
            reasons.append(f"its deployments could not be read. {lists.deployed.why}".strip())
        if lists.volumes.error is not None and any(value is not None for value in series.disk_gb):
            reasons.append(f"the size of its volume could not be read. {lists.volumes.why}")
        if hidden is not None and service.under_way is not None:
            reasons.append(
                f"its newest deployment is {service.under_way}, and those before it could not be read. "
                f"{hidden.plain}"
            )


def of_series(
    services: Sequence[Service], results: QueryResults, queries: plan.Queries
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return by service id what could not be read, and why: runs of crons, and series."""
    runs: dict[str, list[str]] = defaultdict(list)
    series: dict[str, list[str]] = defaultdict(list)
    for (reading, service_id, document), query in queries.items():
        error = results.error(query)
        if error is None or document not in WHAT:
            continue
        reason = f"{WHAT[document]} could not be read. {error.plain}"
        for service in services:
            reasons = (series if reading else runs)[service.service_id]
            if service_id in (None, service.service_id) and reason not in reasons:
                reasons.append(reason)
    return runs, {service_id: reasons for service_id, reasons in series.items() if reasons}


def fallen(drift: Drift) -> list[str]:
    """Return one sentence about the fields that Railway no longer has, each tried again after an hour."""
    fields = {
        path.rpartition(".")[2]
        for document in ("environment", "deployed", "platform_status")
        for path in drift.dropped(document)
    }
    if not fields:
        return []
    return [
        f"Railway's API no longer answers {', '.join(sorted(fields))}: what these tell is missing. They "
        "are asked for again within the hour; update Railmend if that does not help."
    ]


def shifted(asked: Window, read: Window, judged: Window | None) -> list[str]:
    """Say why an earlier window was looked at than was asked for."""
    sentences = []
    if read.end < asked.end:
        minutes = (asked.end - read.end).total_seconds() / 60
        sentences.append(
            f"The clock of this installation is about {minutes:.0f} min ahead of Railway's: what was looked "
            f"at ends at {read.end:%H:%M} UTC by Railway's. Set the clock."
        )
    if judged is not None:
        sentences.append(
            f"Railway's samples are late: those of all services end at {judged.end:%H:%M} UTC, so what came "
            "after is not judged in this scan."
        )
    return sentences

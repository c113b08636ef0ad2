"""Parse Railway's answers into contracts and models."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from railmend.contracts.scan import Service, ServiceKind, Window
from railmend.railway.model import DeploymentRecord, HttpLogLine, LogLine, Series, Slice

DATABASE_IMAGES = (
    *("postgres", "postgis", "timescale", "redis", "mongo", "mysql", "mariadb", "memcached", "valkey"),
)
FUNCTION_IMAGE = "ghcr.io/railwayapp/function"
PERCENTILES = ("p50", "p90", "p95", "p99")
MEASUREMENTS = {
    "CPU_USAGE": "cpu",
    "CPU_LIMIT": "cpu_limit",
    "MEMORY_USAGE_GB": "memory_gb",
    "MEMORY_LIMIT_GB": "memory_limit_gb",
    "DISK_USAGE_GB": "disk_gb",  # of volumes; absent for services without one
}
# "${{Postgres.DATABASE_URL}}", or the same without braces, which the documentation does not show.
REFERENCE = re.compile(r"^(?:\$\{\{ ?)?([^.${}]+)\.")


def iso(at: datetime) -> str:
    """Format a time in UTC as Railway does."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def kind_of(node: dict[str, Any]) -> ServiceKind:
    """Classify a service in the order of Railway's own CLI: cron, database, function, else by domains."""
    image = ((node["source"] or {}).get("image") or "").lower()
    if node["cronSchedule"]:
        return ServiceKind.CRON
    if any(name in image for name in DATABASE_IMAGES):
        return ServiceKind.DATABASE
    if image.startswith(FUNCTION_IMAGE):
        return ServiceKind.FUNCTION
    domains = node["domains"] or {}
    if domains.get("serviceDomains") or domains.get("customDomains"):
        return ServiceKind.WEB
    return ServiceKind.WORKER


def nodes(connection: dict[str, Any]) -> list[dict[str, Any]]:
    return [edge["node"] for edge in connection["edges"]]


def services(
    instances: Iterable[dict[str, Any]],
    triggers: Iterable[dict[str, Any]],
    variables: Iterable[dict[str, Any]],
    volumes: Iterable[dict[str, Any]],
) -> list[Service]:
    """Return the services that are not deleted; dependencies come from references of variables."""
    living = [node for node in instances if not node["deletedAt"]]
    ids = {node["serviceName"].lower(): node["serviceId"] for node in living}
    branches = {row["serviceId"]: row["branch"] for row in triggers}
    fill = {row["serviceId"]: row for row in volumes if row["serviceId"]}
    needs: dict[str, set[str]] = defaultdict(set)
    for row in variables:
        for target in _targets(row["references"], ids):
            if row["serviceId"] and target != row["serviceId"]:
                needs[row["serviceId"]].add(target)
    return [
        _service(node, branches, needs[node["serviceId"]], fill.get(node["serviceId"])) for node in living
    ]


def _targets(references: Sequence[str], ids: dict[str, str]) -> list[str]:
    matches = filter(None, map(REFERENCE.match, references))
    names = (match[1].strip().lower() for match in matches)
    return [ids[name] for name in names if name in ids]


def _service(
    node: dict[str, Any], branches: dict[str, str], needs: set[str], volume: dict[str, Any] | None
) -> Service:
    latest = node["latestDeployment"]
    active = node["activeDeployments"][0] if node["activeDeployments"] else None
    meta = (active or latest or {}).get("meta") or {}
    source = node["source"] or {}
    return Service(
        service_id=node["serviceId"],
        name=node["serviceName"],
        kind=kind_of(node),
        repository=source.get("repo"),
        branch=branches.get(node["serviceId"]) or meta.get("branch"),
        root_directory=(node["rootDirectory"] or "").strip("/"),
        image=source.get("image"),
        active_deployment_id=active["id"] if active else None,
        latest_deployment_id=latest["id"] if latest else None,
        latest_status=latest["status"] if latest else None,
        commit=meta.get("commitHash"),
        asleep=bool(latest and latest["status"] == "SLEEPING"),
        sleeps_when_idle=bool(node["sleepApplication"]),
        replicas=_replicas(node, meta),
        region=node["region"],
        health_check=node["healthcheckPath"],
        depends_on=tuple(sorted(needs)),
        volume_fill=volume["currentSizeMB"] / volume["sizeMB"] if volume and volume["sizeMB"] else None,
        volume_gb=volume["sizeMB"] / 1000 if volume and volume["sizeMB"] else None,
    )


def _replicas(node: dict[str, Any], meta: dict[str, Any]) -> int:
    """Count replicas over all regions; `numReplicas` is a legacy value, 1 for services of several regions."""
    regions = ((meta.get("serviceManifest") or {}).get("deploy") or {}).get("multiRegionConfig") or {}
    counted = sum((region or {}).get("numReplicas") or 0 for region in regions.values())
    return counted or node["numReplicas"] or 1


def series(window: Window, samples: Iterable[tuple[int, float]]) -> Series:
    """Place samples (Unix seconds, value) on the window's steps; the last sample of a step wins."""
    steps = max(int(window.length.total_seconds()) // window.step_seconds, 1)
    values: Series = [None] * steps
    first = window.start.timestamp()
    for ts, value in samples:
        index = int((ts - first) // window.step_seconds)
        if 0 <= index < steps:
            values[index] = value
    return values


def fill_resources(slices: dict[str, Slice], results: Iterable[dict[str, Any]], window: Window) -> None:
    """Fill CPU, memory and disk; services without samples are absent from the results."""
    for result in results:
        target = slices.get(result["tags"]["serviceId"] or "")
        field = MEASUREMENTS.get(result["measurement"])
        if target is not None and field is not None:
            setattr(target, field, series(window, ((v["ts"], v["value"]) for v in result["values"])))


def fill_statuses(target: Slice, groups: Iterable[dict[str, Any]], window: Window) -> None:
    """Fill requests per step by status class."""
    for group in groups:
        name = f"{group['statusCode'] // 100}xx"
        values = series(window, ((s["ts"], s["value"]) for s in group["samples"]))
        earlier = target.http.get(name)
        if earlier is not None:
            values = [_add(a, b) for a, b in zip(earlier, values, strict=True)]
        target.http[name] = values


def _add(a: float | None, b: float | None) -> float | None:
    return None if a is None and b is None else (a or 0.0) + (b or 0.0)


def fill_durations(target: Slice, answer: dict[str, Any], window: Window) -> None:
    """Fill latency percentiles in milliseconds."""
    samples = answer["samples"]
    target.latency = {name: series(window, ((s["ts"], s[name]) for s in samples)) for name in PERCENTILES}


def deployment(node: dict[str, Any]) -> DeploymentRecord:
    meta = node["meta"] or {}
    return DeploymentRecord(
        id=node["id"],
        status=node["status"],
        created_at=node["createdAt"],
        commit=meta.get("commitHash"),
        commit_message=meta.get("commitMessage"),
        commit_author=meta.get("commitAuthor"),
        branch=meta.get("branch"),
        reason=meta.get("reason"),
    )


def log_line(row: dict[str, Any]) -> LogLine:
    return LogLine(
        timestamp=row["timestamp"],
        severity=row["severity"] or "info",
        message=row["message"],
        attributes=tuple((pair["key"], pair["value"]) for pair in row.get("attributes") or ()),
    )


def http_log_line(row: dict[str, Any]) -> HttpLogLine:
    return HttpLogLine(
        timestamp=row["timestamp"],
        method=row["method"],
        path=row["path"],
        status=row["httpStatus"],
        duration_ms=row["totalDuration"],
    )

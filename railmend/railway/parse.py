"""Parse Railway's answers into contracts and models."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from railmend.contracts.scan import CronRun, Service, ServiceKind, Window
from railmend.railway.model import DeploymentRecord, Series, Slice

DATABASE_IMAGE = re.compile(
    r"(postgres(ql)?|postgis|pgvector|timescaledb|redis|mongo(db)?|mysql|mariadb|memcached|valkey|keydb)"
    r"([-_](ssl|alpine|ha|server|stack|cluster|community|enterprise|bundle|repmgr|sentinel|galera|sharded|\d+))*"
)
# A deployment that serves, served or sleeps; and one that says nothing about how the service is.
STABLE = frozenset({"SUCCESS", "CRASHED", "SLEEPING"})
UNDECIDED = frozenset(
    {"SKIPPED", "NEEDS_APPROVAL", "INITIALIZING", "BUILDING", "DEPLOYING", "QUEUED", "WAITING"}
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
    image = ((node.get("source") or {}).get("image") or "").lower()
    if node.get("cronSchedule"):
        return ServiceKind.CRON
    if is_database(image):
        return ServiceKind.DATABASE
    if image.startswith(FUNCTION_IMAGE):
        return ServiceKind.FUNCTION
    return ServiceKind.WEB if has_domain(node) else ServiceKind.WORKER


def is_database(image: str) -> bool:
    """Return whether an image is a database's, by its own name and not by a part of a word.

    "ghcr.io/railwayapp-templates/postgres-ssl:16" is one; mongo-express, redisinsight and postgrest are not.
    """
    name = image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    return bool(DATABASE_IMAGE.fullmatch(name))


def has_domain(node: dict[str, Any]) -> bool:
    domains = node.get("domains") or {}
    return bool(domains.get("serviceDomains") or domains.get("customDomains"))


def nodes(connection: dict[str, Any]) -> list[dict[str, Any]]:
    return [edge["node"] for edge in connection["edges"]]


@dataclass(frozen=True)
class Inventory:
    """What Railway lists of an environment, as far as it could be read.

    `deployed`: newest and active deployments by service id. `failed`: failed deployments, newest first.
    `runs`: of crons, by service id.
    """

    instances: Iterable[dict[str, Any]]
    deployed: Mapping[str, dict[str, Any]]
    failed: Sequence[dict[str, Any]] = ()
    triggers: Iterable[dict[str, Any]] = ()
    variables: Iterable[dict[str, Any]] = ()
    volumes: Iterable[dict[str, Any]] = ()
    runs: Mapping[str | None, Sequence[dict[str, Any]]] = field(default_factory=dict)


def services(inventory: Inventory) -> list[Service]:
    """Return the services that are not deleted, by name; dependencies come from references of variables."""
    living = [node for node in inventory.instances if not node.get("deletedAt")]
    ids = {node["serviceName"].lower(): node["serviceId"] for node in living}
    branches = {row["serviceId"]: row["branch"] for row in inventory.triggers}
    fill = {row["serviceId"]: row for row in inventory.volumes}
    needs: dict[str, set[str]] = defaultdict(set)
    for row in inventory.variables:
        for target in _targets(row["references"], ids):
            if row["serviceId"] and target != row["serviceId"]:
                needs[row["serviceId"]].add(target)
    found = [
        _service(node, inventory).model_copy(
            update={
                "branch": branches.get(node["serviceId"]) or _branch(node, inventory),
                "depends_on": tuple(sorted(needs[node["serviceId"]])),
                **_volume(fill.get(node["serviceId"])),
            }
        )
        for node in living
    ]
    return sorted(found, key=lambda service: (service.name, service.service_id))


def _targets(references: Sequence[str], ids: dict[str, str]) -> list[str]:
    matches = filter(None, map(REFERENCE.match, references))
    names = (match[1].strip().lower() for match in matches)
    return [ids[name] for name in names if name in ids]


def _volume(row: dict[str, Any] | None) -> dict[str, float]:
    if not row or not row["sizeMB"]:
        return {}
    return {"volume_fill": row["currentSizeMB"] / row["sizeMB"], "volume_gb": row["sizeMB"] / 1000}


def _meta(deployment: dict[str, Any] | None) -> dict[str, Any]:
    meta: dict[str, Any] = (deployment or {}).get("meta") or {}
    return meta


def _branch(node: dict[str, Any], inventory: Inventory) -> str | None:
    deployed = inventory.deployed.get(node["serviceId"]) or {}
    branch: str | None = _meta(serving(deployed) or deployed.get("latestDeployment")).get("branch")
    return branch


def _service(node: dict[str, Any], inventory: Inventory) -> Service:
    service_id = node["serviceId"]
    deployed = inventory.deployed.get(service_id) or {}
    newest, active = deployed.get("latestDeployment"), serving(deployed)
    latest = deciding(newest, active, [row for row in inventory.failed if row["serviceId"] == service_id])
    meta = _meta(active or latest)
    source = node.get("source") or {}
    return Service(
        service_id=service_id,
        name=node["serviceName"],
        kind=kind_of(node),
        repository=source.get("repo"),
        root_directory=(node.get("rootDirectory") or "").strip("/"),
        image=source.get("image"),
        active_deployment_id=active["id"] if active else None,
        active_status=active["status"] if active else None,
        active_since=since(active),
        instances=tuple(row["status"] for row in (active or {}).get("instances") or ()),
        latest_deployment_id=latest["id"] if latest else None,
        latest_status=latest["status"] if latest else None,
        latest_since=since(latest),
        under_way=newest["status"] if newest and latest is not newest else None,
        under_way_since=since(newest) if latest is not newest else None,
        commit=meta.get("commitHash"),
        asleep=bool(latest and latest["status"] == "SLEEPING"),
        sleeps_when_idle=bool(node.get("sleepApplication")),
        replicas=_replicas(node, meta),
        region=node.get("region"),
        health_check=node.get("healthcheckPath"),
        start_command=_command(meta, "startCommand"),
        pre_deploy_command=_command(meta, "preDeployCommand"),
        public=has_domain(node),
        runs=tuple(
            sorted(map(_run, inventory.runs.get(service_id, ())), key=lambda run: run.started, reverse=True)
        ),
        next_run_at=node.get("nextCronRunAt"),
    )


def _run(row: dict[str, Any]) -> CronRun:
    return CronRun(status=row["status"], started=row["createdAt"], ended=row["completedAt"])


def serving(deployed: dict[str, Any]) -> dict[str, Any] | None:
    """Return the active deployment that serves; during a rollout there are several."""
    active = deployed.get("activeDeployments") or []
    stable = [row for row in active if row["status"] in STABLE]
    return max(stable or active[:1], key=lambda row: str(row.get("createdAt") or ""), default=None)


def deciding(
    newest: dict[str, Any] | None, active: dict[str, Any] | None, failed: Sequence[dict[str, Any]]
) -> dict[str, Any] | None:
    """Return the newest deployment that says how the service is.

    One that was skipped (in a monorepo most are), waits for approval or is being built does not: it hides
    neither a failure before it nor what serves.
    """
    if newest is None or newest["status"] not in UNDECIDED:
        return newest
    earlier = [row for row in (active, *failed) if row is not None and row["status"] not in UNDECIDED]
    return max(earlier, key=lambda row: str(row.get("createdAt") or ""), default=newest)


def since(deployment: dict[str, Any] | None) -> datetime | None:
    """Return when a deployment took its status, as far as Railway says."""
    told = (deployment or {}).get("statusUpdatedAt") or (deployment or {}).get("createdAt")
    return datetime.fromisoformat(told) if told else None


def _command(meta: dict[str, Any], name: str) -> str | None:
    said = one_command(((meta.get("serviceManifest") or {}).get("deploy") or {}).get(name))
    return said and said[:500]


def one_command(said: object) -> str | None:
    """Return a command of Railway's for a shell: it may be a list of commands, or of one's words."""
    words = [str(each) for each in (said if isinstance(said, list) else [said]) if each]
    return (" && " if any(" " in word for word in words) else " ").join(words) or None


def _replicas(node: dict[str, Any], meta: dict[str, Any]) -> int:
    """Count replicas over all regions; `numReplicas` is a legacy value, 1 for services of several regions."""
    regions = ((meta.get("serviceManifest") or {}).get("deploy") or {}).get("multiRegionConfig") or {}
    counted = sum((region or {}).get("numReplicas") or 0 for region in regions.values())
    return counted or node.get("numReplicas") or 1


def series(window: Window, samples: Iterable[tuple[int, float]]) -> Series:
    """Place samples (Unix seconds, value) on the whole steps of a window; the last sample of a step wins."""
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
        reason=meta.get("skippedReason" if node["status"] == "SKIPPED" else "reason"),
    )

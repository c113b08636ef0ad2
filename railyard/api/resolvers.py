"""The root fields. Arguments keep the schema's names, hence the keyword dictionaries."""

import re
from collections.abc import Sequence
from typing import Any

from railyard.api import series, views
from railyard.api.views import Json
from railyard.platform import Deployment, Platform
from railyard.platform.model import HttpRow, LogRow
from railyard.platform.service import ServiceRunner

DEFAULT_LIMIT, MAX_LIMIT = 100, 5000
EPOCH = "1970-01-01T00:00:00Z"
COMPARISON = re.compile(r"^@(\w+):(>=|<=|>|<)?(.+)$")


class RequestError(Exception):
    """A refusal in Railway's words; its code is as little telling as Railway's."""


class Resolvers:
    def __init__(
        self, platform: Platform, *, project_id: str, project_name: str, environment_id: str
    ) -> None:
        self._platform = platform
        self._project_id = project_id
        self._project_name = project_name
        self._environment_id = environment_id

    def root(self) -> Json:
        names = (
            *("projectToken", "platformStatus", "project", "environment", "metrics", "deployments"),
            *("httpMetricsGroupedByStatus", "httpDurationMetrics", "deployment", "buildLogs"),
            *("deploymentLogs", "environmentLogs", "httpLogs", "serviceInstanceLimits"),
        )
        return {name: getattr(self, f"_{name}") for name in names}

    # -- project

    def _projectToken(self, _: Any) -> Json:  # noqa: N802 - the schema's name
        return {
            "id": "token",
            "name": "demo",
            "displayToken": "****",
            "createdAt": "2026-01-01T00:00:00Z",
            "projectId": self._project_id,
            "environmentId": self._environment_id,
        }

    def _platformStatus(self, _: Any) -> Json:  # noqa: N802
        return {"isStable": True, "incident": None, "maintenance": None}

    def _project(self, _: Any, **arguments: Any) -> Json:
        if arguments["id"] != self._project_id:
            raise RequestError("Project not found")
        stamp = "2026-01-01T00:00:00Z"
        name = self._project_name
        return {
            "id": self._project_id,
            "name": name,
            "isPublic": False,
            "createdAt": stamp,
            "updatedAt": stamp,
        }

    def _environment(self, _: Any, **arguments: Any) -> Json:
        if arguments["id"] != self._environment_id:
            raise RequestError("Not Authorized")  # what Railway says of one that does not exist
        runners, ids = list(self._platform.services.values()), (self._project_id, self._environment_id)
        services = [views.service_instance(runner, *ids) for runner in runners]
        triggers = [views.trigger(runner, *ids) for runner in runners]
        history = sorted(
            (views.deployment(one, *ids) for runner in runners for one in runner.deployments),
            key=lambda row: str(row["createdAt"]),
            reverse=True,
        )
        stamp = "2026-01-01T00:00:00Z"
        return {
            "id": self._environment_id,
            "name": "production",
            "projectId": self._project_id,
            "canAccess": True,
            "isEphemeral": False,
            "unmergedChangesCount": 0,
            "createdAt": stamp,
            "updatedAt": stamp,
            "serviceInstances": _connected(services),
            "deploymentTriggers": _connected(triggers),
            "deployments": _connected(history),
            "variables": _connected([]),
            "volumeInstances": _connected([]),
        }

    # -- deployments and their logs

    def _find(self, deployment_id: str) -> tuple[ServiceRunner, Deployment]:
        found = self._platform.find(deployment_id)
        if found is None:
            raise RequestError("Deployment not found")
        return found

    def _deployment(self, _: Any, **arguments: Any) -> Json:
        return views.deployment(self._find(arguments["id"])[1], self._project_id, self._environment_id)

    def _deployments(self, _: Any, **arguments: Any) -> Json:
        wanted = arguments["input"]
        runners = self._platform.services.values()
        rows = [
            views.deployment(one, self._project_id, self._environment_id)
            for runner in runners
            if wanted.get("serviceId") in (None, runner.spec.service_id)
            for one in runner.deployments
        ]
        status = wanted.get("status") or {}
        if status.get("in"):
            rows = [row for row in rows if row["status"] in status["in"]]
        rows.sort(key=lambda row: str(row["createdAt"]), reverse=True)
        return views.connection(rows, arguments.get("first"), arguments.get("after"))

    def _tags(self, deployment: Deployment) -> Json:
        return {
            "deploymentId": deployment.id,
            "deploymentInstanceId": deployment.instance_id,
            "serviceId": deployment.service_id,
            "environmentId": self._environment_id,
            "projectId": self._project_id,
        }

    def _buildLogs(self, _: Any, **arguments: Any) -> list[Json]:  # noqa: N802
        deployment = self._find(arguments["deploymentId"])[1]
        return [views.log(row, self._tags(deployment)) for row in _log_rows(deployment.build_logs, arguments)]

    def _deploymentLogs(self, _: Any, **arguments: Any) -> list[Json]:  # noqa: N802
        deployment = self._find(arguments["deploymentId"])[1]
        return [views.log(row, self._tags(deployment)) for row in _log_rows(deployment.logs, arguments)]

    def _environmentLogs(self, _: Any, **arguments: Any) -> list[Json]:  # noqa: N802
        bounds = {"startDate": arguments.get("beforeDate"), "endDate": arguments.get("anchorDate")}
        bounds |= {"filter": arguments.get("filter"), "limit": arguments.get("beforeLimit")}
        rows = [
            views.log(row, self._tags(one))
            for runner in self._platform.services.values()
            for one in runner.deployments
            for row in _log_rows(one.logs, bounds)
        ]
        rows.sort(key=lambda row: str(row["timestamp"]))
        return rows[-_limit(arguments.get("beforeLimit")) - 1 :]

    def _httpLogs(self, _: Any, **arguments: Any) -> list[Json]:  # noqa: N802
        runner, deployment = self._find(arguments["deploymentId"])
        start, end = (
            series.moment(arguments.get("beforeDate") or EPOCH),
            series.moment(arguments.get("anchorDate")),
        )
        rows = [
            row
            for row in series.requests(runner, start, end)
            if row.deployment_id == deployment.id and _http_matches(row, arguments.get("filter") or "")
        ]
        # Railway may answer one row more than asked; the newest are the ones wanted.
        limit = _limit(arguments.get("beforeLimit") or arguments.get("limit"))
        return [views.http_log(row) for row in rows[-limit - 1 :]]

    # -- metrics

    def _metrics(self, _: Any, **arguments: Any) -> list[Json]:
        start, end = series.moment(arguments["startDate"]), series.moment(arguments.get("endDate"))
        step = max(arguments.get("sampleRateSeconds") or 60, 1)
        wanted = arguments.get("serviceId")
        found = []
        for runner in self._platform.services.values():
            if wanted not in (None, runner.spec.service_id):
                continue
            for measurement in arguments["measurements"]:
                values = series.resource(runner, measurement, start, end, step)
                if values:  # a service without samples is simply absent
                    tags = {"serviceId": runner.spec.service_id}
                    found.append({"measurement": measurement, "tags": tags, "values": values})
        return found

    def _http_rows(self, arguments: Json) -> list[HttpRow]:
        runner = self._platform.services.get(arguments["serviceId"])
        if runner is None:
            raise RequestError("Not Authorized")
        start, end = series.moment(arguments["startDate"]), series.moment(arguments["endDate"])
        rows = series.requests(runner, start, end)
        for key in ("method", "path"):
            if arguments.get(key):
                rows = [row for row in rows if getattr(row, key) == arguments[key]]
        return rows

    def _httpMetricsGroupedByStatus(self, _: Any, **arguments: Any) -> list[Json]:  # noqa: N802
        start = series.moment(arguments["startDate"])
        return series.by_status(self._http_rows(arguments), start, arguments.get("stepSeconds"))

    def _httpDurationMetrics(self, _: Any, **arguments: Any) -> Json:  # noqa: N802
        start, rows = series.moment(arguments["startDate"]), self._http_rows(arguments)
        return {"samples": series.durations(rows, start, arguments.get("stepSeconds"))}

    def _serviceInstanceLimits(self, _: Any, **arguments: Any) -> Json:  # noqa: N802
        runner = self._platform.services.get(arguments["serviceId"])
        if runner is None:
            raise RequestError("Not Authorized")
        spec = runner.spec
        return {"containers": {"cpu": spec.cpu_limit, "memoryBytes": int(spec.memory_limit_gb * 1e9)}}


def _connected(nodes: Sequence[Json]) -> Any:
    """A field with paging arguments."""

    def resolve(_: Any, **arguments: Any) -> Json:
        return views.connection(nodes, arguments.get("first"), arguments.get("after"))

    return resolve


def _limit(wanted: int | None) -> int:
    return min(wanted if wanted is not None else DEFAULT_LIMIT, MAX_LIMIT)


def _log_rows(rows: Sequence[LogRow] | Any, arguments: Json) -> list[LogRow]:
    """Oldest first; the newest `limit`, and one more, as Railway does."""
    start, end = arguments.get("startDate"), series.moment(arguments.get("endDate"))
    after = series.moment(start) if start else None
    found = [
        row
        for row in list(rows)
        if (after is None or row.at >= after)
        and row.at <= end
        and _log_matches(row, arguments.get("filter") or "")
    ]
    return found[-_limit(arguments.get("limit")) - 1 :]


def _log_matches(row: LogRow, wanted: str) -> bool:
    return all(
        term == f"@level:{row.severity}" if term.startswith("@level:") else term.strip('"') in row.message
        for term in re.findall(r'"[^"]*"|\S+', wanted)
    )


def _http_matches(row: HttpRow, wanted: str) -> bool:
    return all(_http_term(row, term) for term in wanted.split())


def _http_term(row: HttpRow, term: str) -> bool:
    match = COMPARISON.match(term)
    if match is None:
        return term in row.path
    name, operator, value = match.groups()
    numbers = {"httpStatus": row.status, "totalDuration": row.total_ms, "upstreamRqDuration": row.upstream_ms}
    if name not in numbers:
        return value in str({"method": row.method, "path": row.path}.get(name, ""))
    have, want = float(numbers[name]), float(value)
    return {">=": have >= want, "<=": have <= want, ">": have > want, "<": have < want}.get(
        operator or "", have == want
    )

"""A synthetic project of any size, answered from formulas: for counting requests and for `bench/`."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import fmean
from typing import Any

from starlette.applications import Starlette

from railyard.api import logs, series, views
from railyard.api.behaviour import Gatekeeper, RequestError
from railyard.api.logs import compile_filter
from railyard.api.server import graphql_app
from railyard.api.views import STAMP, Json
from railyard.platform.model import HttpRow, LogRow

PROJECT, ENVIRONMENT, TOKEN = "synthetic-project", "synthetic-environment", "synthetic-token"
REQUESTS_PER_MINUTE = 120.0
CALM = {"CPU_USAGE": 0.2, "CPU_LIMIT": 8.0, "MEMORY_USAGE_GB": 0.3, "MEMORY_LIMIT_GB": 8.0}


@dataclass
class Synthetic:
    """`services` in all: the first `web` have a domain, `troubled` of these fail; the rest are workers.

    `asleep`: all of them sleep. `undeployed`: the last one has no deployment. `ephemeral`: the environment
    was made for a pull request. Steps are aligned to the epoch, so the first and the last of a window may be
    partial. `variables`: more of them, of the first service. `backwards`: services are listed in reverse.
    `newest`: the time after which Railway has no samples yet; `dead`: when a service's samples ended.
    `instances`: what replaces fields of a service; `failed`: earlier deployments; `runs`: of crons, newest
    first; `tcp`: services with a TCP proxy. `curves`: by service and name ("memory", "cpu", "disk",
    "latency", "requests" a minute, shares "failing" and "refused") the value at a time in Unix seconds, None
    for no sample. `logs`, `requests`: of the first service.
    """

    services: int
    web: int
    troubled: int = 0
    asleep: bool = False
    undeployed: bool = False
    ephemeral: bool = False
    variables: int = 0
    backwards: bool = False
    newest: datetime | None = None
    dead: dict[str, datetime] = field(default_factory=dict)
    instances: dict[str, Json] = field(default_factory=dict)
    failed: list[Json] = field(default_factory=list)
    runs: dict[str, list[Json]] = field(default_factory=dict)
    volumes: list[Json] = field(default_factory=list)
    tcp: set[str] = field(default_factory=set)
    incident: Json | None = None
    curves: dict[tuple[str, str], Callable[[float], float | None]] = field(default_factory=dict)
    logs: list[LogRow] = field(default_factory=list)
    requests: list[HttpRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ids = [f"service-{number:04d}" for number in range(self.services)]
        self._web = set(self.ids[: self.web])
        self._troubled = set(self.ids[: self.troubled])
        self._undeployed = self.ids[-1] if self.undeployed and self.ids else None

    def root(self) -> Json:
        return views.root_of(self)

    def _projectToken(self, _: Any) -> Json:  # noqa: N802 - the schema's name
        return views.token(PROJECT, ENVIRONMENT)

    def _platformStatus(self, _: Any) -> Json:  # noqa: N802
        incident = self.incident
        return {"isStable": incident is None, "incident": incident, "maintenance": None}

    def _project(self, _: Any, **arguments: Any) -> Json:
        if arguments["id"] != PROJECT:
            raise RequestError("Project not found")
        return views.project(PROJECT, "synthetic")

    def _environment(self, _: Any, **arguments: Any) -> Json:
        if arguments["id"] != ENVIRONMENT:
            raise RequestError("Not Authorized")
        shown = views.environment(
            PROJECT,
            ENVIRONMENT,
            serviceInstances=[self._instance(service_id) for service_id in self._listed()],
            deploymentTriggers=[
                views.trigger(service_id, f"acme/{service_id}", "main", PROJECT, ENVIRONMENT)
                for service_id in self.ids
            ],
            deployments=[self._deployment(service_id) for service_id in self.ids],
            variables=[
                *(self._variable(service_id) for service_id in self.ids[1:]),
                *(self._variable(self.ids[0], number) for number in range(self.variables)),
            ],
            volumeInstances=self.volumes,
        )
        return {**shown, "isEphemeral": self.ephemeral}

    def _listed(self) -> list[str]:
        return self.ids[::-1] if self.backwards else self.ids

    def _instance(self, service_id: str) -> Json:
        deployment = None if service_id == self._undeployed else self._deployment(service_id)
        domain = f"{service_id}.example" if service_id in self._web else None
        return {
            **views.instance(service_id, service_id, ENVIRONMENT, f"acme/{service_id}", domain),
            "latestDeployment": deployment,
            "activeDeployments": [deployment] if deployment else [],
            **self.instances.get(service_id, {}),
        }

    def _deployment(self, service_id: str) -> Json:
        return {
            "id": f"deployment-{service_id}",
            "status": "SLEEPING" if self.asleep else "SUCCESS",
            "createdAt": STAMP,
            "updatedAt": STAMP,
            "deploymentStopped": False,
            "canRedeploy": True,
            "canRollback": False,
            "environmentId": ENVIRONMENT,
            "projectId": PROJECT,
            "serviceId": service_id,
            "instances": [],
            "meta": {"commitHash": "c" * 40, "branch": "main"},
        }

    def _variable(self, service_id: str, number: int = 0) -> Json:
        """Give each service a reference to the first."""
        name = f"variable-{service_id}-{number}"
        reference = f"${{{{{self.ids[0]}.URL}}}}"
        return {
            "id": name,
            "name": "UPSTREAM_URL",
            "serviceId": service_id,
            "environmentId": ENVIRONMENT,
            "isSealed": False,
            "references": [reference],
            "createdAt": STAMP,
            "updatedAt": STAMP,
        }

    # -- series

    def _steps(self, arguments: Json, step: int | None) -> range:
        start = int(series.moment(arguments["startDate"]).timestamp())
        end = int(series.moment(arguments.get("endDate")).timestamp())
        if step is None:
            return range(start, end, max(end - start, 1))
        if self.newest is not None:
            end = min(end, int(self.newest.timestamp()))
        return range(start // step * step, end, step)

    def _covered(self, arguments: Json, ts: int, step: int) -> float:
        """Return of how much of a step there are samples."""
        start = series.moment(arguments["startDate"]).timestamp()
        end = series.moment(arguments.get("endDate")).timestamp()
        if self.newest is not None:
            end = min(end, self.newest.timestamp())
        return max(min(end, ts + step) - max(start, ts), 0) / step

    def _metrics(self, _: Any, **arguments: Any) -> list[Json]:
        wanted = arguments.get("serviceId")
        awake = [] if self.asleep else [name for name in self.ids if name != self._undeployed]
        ids = [service_id for service_id in awake if wanted in (None, service_id)]
        steps = self._steps(arguments, arguments.get("sampleRateSeconds") or 60)
        results = []
        for service_id in ids:
            until = self.dead.get(service_id)
            lived = [ts for ts in steps if until is None or ts < until.timestamp()]
            for measurement in arguments["measurements"]:
                wave = {
                    ts: CALM[measurement] * (1 + 0.02 * math.sin(ts)) for ts in lived if measurement in CALM
                }
                name = measurement.removesuffix("_USAGE_GB").removesuffix("_USAGE").lower()
                found = ((ts, self._at(service_id, name, ts, steps.step, wave.get(ts))) for ts in steps)
                values = [{"ts": ts, "value": value} for ts, value in found if value is not None]
                if values:
                    tags = {"serviceId": service_id}
                    results.append({"measurement": measurement, "tags": tags, "values": values})
        return results

    def _at(self, service_id: str, name: str, ts: int, step: int, calm: float | None) -> float | None:
        """Return the mean over a step of a service's curve, where it has one of this name."""
        curve = self.curves.get((service_id, name))
        if curve is None:
            return calm
        values = [value for at in range(ts, ts + step, 60) if (value := curve(at)) is not None]
        return fmean(values) if values else None

    def _httpMetricsGroupedByStatus(self, _: Any, **arguments: Any) -> list[Json]:  # noqa: N802
        service_id = arguments["serviceId"]
        if self.asleep or service_id not in self._web:
            return []
        steps = self._steps(arguments, arguments.get("stepSeconds"))
        samples: dict[int, list[Json]] = {200: [], 404: [], 500: []}
        for ts in steps:
            failing, refused, requests = (
                self._at(service_id, name, ts, steps.step, calm) or 0.0
                for name, calm in (
                    ("failing", 0.2 if service_id in self._troubled else 0.0),
                    ("refused", 0.0),
                    ("requests", REQUESTS_PER_MINUTE),
                )
            )
            counted = requests * steps.step / 60 * self._covered(arguments, ts, steps.step)
            for code, share in ((200, 1 - failing - refused), (404, refused), (500, failing)):
                if share > 0:
                    samples[code].append({"ts": ts, "value": round(counted * share)})
        return [{"statusCode": code, "samples": rows} for code, rows in samples.items() if rows]

    def _httpDurationMetrics(self, _: Any, **arguments: Any) -> Json:  # noqa: N802
        service_id = arguments["serviceId"]
        if self.asleep or service_id not in self._web:
            return {"samples": []}
        steps = self._steps(arguments, arguments.get("stepSeconds"))
        slower = {ts: self._at(service_id, "latency", ts, steps.step, 90.0) or 0.0 for ts in steps}
        factors = {"p50": 0.45, "p90": 0.9, "p95": 1.0, "p99": 1.7}
        return {
            "samples": [
                {"ts": ts, **{name: slow * factor for name, factor in factors.items()}}
                for ts, slow in slower.items()
            ]
        }

    # -- rows

    def _httpLogs(self, _: Any, **arguments: Any) -> list[Json]:  # noqa: N802
        own = self.requests if arguments["deploymentId"].endswith(self.ids[0]) else []
        return [views.http_log(row, "") for row in logs.anchored(own, lambda row: row.at, arguments)]

    def _serviceInstanceLimits(self, _: Any, **arguments: Any) -> Json:  # noqa: N802
        return {"containers": {"cpu": 8, "memoryBytes": 8_000_000_000}}

    def _deployments(self, _: Any, **arguments: Any) -> Json:
        wanted = arguments["input"]
        statuses = (wanted.get("status") or {}).get("in")
        if statuses:
            rows = [row for row in self.failed if row["status"] in statuses]
        else:
            rows = [self._deployment(wanted.get("serviceId") or self.ids[0])]
        return views.connection(rows, arguments.get("first"), arguments.get("after"))

    def _deploymentInstanceExecutions(self, _: Any, **arguments: Any) -> Json:  # noqa: N802
        runs = self.runs.get(arguments["input"]["serviceId"], [])
        return views.connection(runs, arguments.get("first"), arguments.get("after"))

    def _tcpProxies(self, _: Any, **arguments: Any) -> list[Json]:  # noqa: N802
        service_id = arguments["serviceId"]
        proxy: Json = {"id": "proxy", "applicationPort": 5432, "proxyPort": 40123, "domain": "proxy.example"}
        ids = {"environmentId": ENVIRONMENT, "serviceId": service_id}
        return [{**proxy, **ids}] if service_id in self.tcp else []

    def _deploymentEvents(self, _: Any, **arguments: Any) -> Json:  # noqa: N802
        step: Json = {"id": "step", "step": "BUILD_IMAGE", "createdAt": STAMP, "completedAt": STAMP}
        return views.connection([{**step, "payload": None}], arguments.get("first"))

    def _events(self, _: Any, **arguments: Any) -> Json:
        event: Json = {"id": "event", "action": "deployed", "object": "Deployment", "severity": "INFO"}
        return views.connection([{**event, "createdAt": STAMP, "projectId": PROJECT}], arguments.get("first"))

    def _logs(self, _: Any, **arguments: Any) -> list[Json]:
        limit = arguments.get("limit") or arguments.get("beforeLimit") or 100
        rows = ({"timestamp": STAMP, "message": f"line {n}", "severity": "info"} for n in range(limit))
        return [{**row, "attributes": [], "tags": None} for row in rows]

    _deploymentLogs = _buildLogs = _logs  # noqa: N815 - the schema's names

    def _environmentLogs(self, _: Any, **arguments: Any) -> list[Json]:  # noqa: N802
        if not self.logs:
            return self._logs(_, **arguments)
        test = compile_filter(arguments.get("filter"))
        rows = [row for row in self.logs if test(logs.log_view(row, self.ids[0]))]
        return [views.log(row, {}) for row in rows]


def build_synthetic(project: Synthetic, gatekeeper: Gatekeeper) -> Starlette:
    return graphql_app(project.root, token=TOKEN, gatekeeper=gatekeeper)

"""Resolvers of the root fields. Arguments keep the schema's names, hence the keyword dictionaries."""

from collections.abc import Iterable
from typing import Any

from railyard.api import logs, series, views
from railyard.api.behaviour import RequestError
from railyard.api.logs import compile_filter
from railyard.api.views import Json
from railyard.platform import Deployment, Platform
from railyard.platform.model import HttpRow, LogRow
from railyard.platform.service import ServiceRunner


class Resolvers:
    """`root()` is the root value: one method per root field."""

    def __init__(
        self, platform: Platform, *, project_id: str, project_name: str, environment_id: str
    ) -> None:
        self._platform = platform
        self._project_id = project_id
        self._project_name = project_name
        self._environment_id = environment_id

    def root(self) -> Json:
        return views.root_of(self)

    # -- project

    def _projectToken(self, _: Any) -> Json:  # noqa: N802 - the schema's name
        return views.token(self._project_id, self._environment_id)

    def _apiToken(self, _: Any) -> Json:  # noqa: N802
        return {"workspaces": [{"id": "workspace", "name": self._project_name}]}

    def _projects(self, _: Any, **paging: Any) -> Json:
        return views.connection([self._own_project()], paging.get("first"), paging.get("after"))

    def _own_project(self) -> Json:
        return views.listed_project(self._project_id, self._project_name, [self._environment_id])

    def _platformStatus(self, _: Any) -> Json:  # noqa: N802
        return {"isStable": True, "incident": None, "maintenance": None}

    def _project(self, _: Any, **arguments: Any) -> Json:
        if arguments["id"] != self._project_id:
            raise RequestError("Project not found")
        return self._own_project()

    def _environment(self, _: Any, **arguments: Any) -> Json:
        self._own(arguments["id"])
        if arguments.get("projectId") not in (None, self._project_id):
            raise RequestError("Not Authorized")
        runners, ids = list(self._platform.services.values()), (self._project_id, self._environment_id)
        services = [views.service_instance(runner, *ids) for runner in runners]
        specs = [runner.spec for runner in runners]
        triggers = [views.trigger(spec.service_id, spec.repo, spec.branch, *ids) for spec in specs]
        history = sorted(
            (views.deployment(deployment, *ids) for runner in runners for deployment in runner.deployments),
            key=lambda row: str(row["createdAt"]),
            reverse=True,
        )
        shown = views.environment(
            *ids, serviceInstances=services, deploymentTriggers=triggers, deployments=history
        )
        return {**shown, "unmergedChangesCount": self._platform.staged_changes}

    def _own(self, environment_id: str | None) -> None:
        """Refuse an environment other than the token's; None stands for the token's."""
        if environment_id not in (None, self._environment_id):
            raise RequestError("Not Authorized")  # what Railway answers for one that does not exist

    def _runner(self, arguments: Json) -> ServiceRunner:
        self._own(arguments["environmentId"])
        runner = self._platform.services.get(arguments["serviceId"])
        if runner is None:
            raise RequestError("Not Authorized")
        return runner

    # -- deployments and their logs

    def _find(self, deployment_id: str) -> tuple[ServiceRunner, Deployment]:
        pair = self._platform.find(deployment_id)
        if pair is None:
            raise RequestError("Deployment not found")
        return pair

    def _deployment(self, _: Any, **arguments: Any) -> Json:
        return views.deployment(self._find(arguments["id"])[1], self._project_id, self._environment_id)

    def _deploymentInstanceExecutions(self, _: Any, **arguments: Any) -> Json:  # noqa: N802
        """Return none: no service of this platform is a cron."""
        return views.connection([], arguments.get("first"), arguments.get("after"))

    def _tcpProxies(self, _: Any, **arguments: Any) -> list[Json]:  # noqa: N802
        """Return none: services of this platform listen on HTTP."""
        self._own(arguments["environmentId"])
        return []

    def _deployments(self, _: Any, **arguments: Any) -> Json:
        wanted = arguments["input"]
        self._own(wanted.get("environmentId"))
        runners = self._platform.services.values()
        rows = [
            views.deployment(deployment, self._project_id, self._environment_id)
            for runner in runners
            if wanted.get("serviceId") in (None, runner.spec.service_id)
            for deployment in runner.deployments
        ]
        status = wanted.get("status") or {}
        if status.get("in"):
            rows = [row for row in rows if row["status"] in status["in"]]
        if status.get("notIn"):
            rows = [row for row in rows if row["status"] not in status["notIn"]]
        rows.sort(key=lambda row: str(row["createdAt"]), reverse=True)
        return views.connection(rows, arguments.get("first"), arguments.get("after"))

    def _deploymentEvents(self, _: Any, **arguments: Any) -> Json:  # noqa: N802
        rows = views.steps(self._find(arguments["id"])[1])
        return views.connection(rows, arguments.get("first"), arguments.get("after"))

    def _events(self, _: Any, **arguments: Any) -> Json:
        if arguments["projectId"] != self._project_id:
            raise RequestError("Project not found")
        self._own(arguments.get("environmentId"))
        wanted = ((arguments.get("filter") or {}).get("serviceId") or {}).get("in")
        rows = [
            row
            for service_id, runner in self._platform.services.items()
            if wanted is None or service_id in wanted
            for deployment in runner.deployments
            for row in views.events(deployment, self._project_id, self._environment_id)
        ]
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
        return self._logs(deployment, deployment.build_logs, arguments)

    def _deploymentLogs(self, _: Any, **arguments: Any) -> list[Json]:  # noqa: N802
        deployment = self._find(arguments["deploymentId"])[1]
        return self._logs(deployment, deployment.logs, arguments)

    def _logs(self, deployment: Deployment, rows: Iterable[LogRow], arguments: Json) -> list[Json]:
        test = compile_filter(arguments.get("filter"))
        passed = [row for row in rows if test(logs.log_view(row, deployment.service_id))]
        return [views.log(row, self._tags(deployment)) for row in logs.between(passed, arguments)]

    def _dnsQueryLogs(self, _: Any, **arguments: Any) -> list[Json]:  # noqa: N802
        """Return nothing: services share the machine's network, which keeps no log of them."""
        return []

    def _networkFlowLogs(self, _: Any, **arguments: Any) -> list[Json]:  # noqa: N802
        return []

    def _environmentLogs(self, _: Any, **arguments: Any) -> list[Json]:  # noqa: N802
        self._own(arguments["environmentId"])
        test = compile_filter(arguments.get("filter"))
        rows = [
            (row, deployment)
            for runner in self._platform.services.values()
            for deployment in runner.deployments
            for row in deployment.logs
            if test(logs.log_view(row, deployment.service_id))
        ]
        pairs = logs.anchored(rows, lambda pair: pair[0].at, arguments)
        return [views.log(row, self._tags(deployment)) for row, deployment in pairs]

    def _httpLogs(self, _: Any, **arguments: Any) -> list[Json]:  # noqa: N802
        runner, deployment = self._find(arguments["deploymentId"])
        test = compile_filter(arguments.get("filter"))
        rows = [
            row
            for row in runner.edge.rows
            if row.deployment_id == deployment.id and test(logs.http_view(row))
        ]
        selected = logs.anchored(rows, lambda row: row.at, arguments)
        return [views.http_log(row, deployment.instance_id) for row in selected]

    # -- metrics

    def _metrics(self, _: Any, **arguments: Any) -> list[Json]:
        self._own(arguments.get("environmentId"))
        start, end = series.moment(arguments["startDate"]), series.moment(arguments.get("endDate"))
        step = max(arguments.get("sampleRateSeconds") or 60, 1)
        chosen = [
            runner
            for runner in self._platform.services.values()
            if arguments.get("serviceId") in (None, runner.spec.service_id)
        ]
        grouped = "SERVICE_ID" in (arguments.get("groupBy") or [])
        # Without grouping the whole selection is one series, of sums.
        groups = (
            [([runner], {"serviceId": runner.spec.service_id}) for runner in chosen]
            if grouped
            else [(chosen, {})]
        )
        results = []
        for runners, tags in groups:
            for measurement in arguments["measurements"]:
                parts = [series.resource(runner, measurement, start, end, step) for runner in runners]
                if values := series.added(parts):  # a service without samples is absent
                    results.append({"measurement": measurement, "tags": tags, "values": values})
        return results

    def _http_rows(self, arguments: Json) -> list[HttpRow]:
        runner = self._runner(arguments)
        start, end = series.moment(arguments["startDate"]), series.moment(arguments["endDate"])
        wanted = {
            field: arguments[name]
            for name, field in (("method", "method"), ("path", "path"), ("statusCode", "status"))
            if arguments.get(name) is not None
        }
        rows = series.requests(runner, start, end)
        return [row for row in rows if all(getattr(row, key) == value for key, value in wanted.items())]

    def _httpMetricsGroupedByStatus(self, _: Any, **arguments: Any) -> list[Json]:  # noqa: N802
        start = series.moment(arguments["startDate"])
        return series.by_status(self._http_rows(arguments), start, arguments.get("stepSeconds"))

    def _httpDurationMetrics(self, _: Any, **arguments: Any) -> Json:  # noqa: N802
        start, rows = series.moment(arguments["startDate"]), self._http_rows(arguments)
        return {"samples": series.durations(rows, start, arguments.get("stepSeconds"))}

    def _serviceInstanceLimits(self, _: Any, **arguments: Any) -> Json:  # noqa: N802
        spec = self._runner(arguments).spec
        return {"containers": {"cpu": spec.cpu_limit, "memoryBytes": int(spec.memory_limit_gb * 1e9)}}

    # -- actions

    async def _deploymentRedeploy(self, _: Any, **arguments: Any) -> Json:  # noqa: N802
        runner, deployment = self._find(arguments["id"])
        new = await runner.deploy_again(deployment)
        return views.deployment(new, self._project_id, self._environment_id)

    async def _deploymentRollback(self, _: Any, **arguments: Any) -> bool:  # noqa: N802
        runner, deployment = self._find(arguments["id"])
        if deployment.status != "REMOVED":
            raise RequestError("Problem processing request")
        await runner.deploy_again(deployment)
        return True

    async def _deploymentRestart(self, _: Any, **arguments: Any) -> bool:  # noqa: N802
        runner, deployment = self._find(arguments["id"])
        if deployment is not runner.serving:
            raise RequestError("Deployment is not restartable")
        await runner.restart()
        return True

"""Options of every worker: how it stops, what observes its activities, and its build id."""

from collections.abc import Sequence
from datetime import timedelta
from time import monotonic
from typing import Any, TypedDict

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.common import MetricMeter, VersioningBehavior, WorkerDeploymentVersion
from temporalio.runtime import Runtime
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    WorkerDeploymentConfig,
)

from hosting.metrics import Gauge, record
from railmend import __version__
from railmend.settings import Settings


class Observing(Interceptor):
    """Changes nothing: what an activity returns or raises passes.

    `gauges` are read after each activity, with the process's `meter`: an activity's own would make one series
    of each activity, all but one of them stale.
    """

    def __init__(self, meter: MetricMeter, gauges: Sequence[Gauge] = ()) -> None:
        self._meter = meter
        self._gauges = gauges

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Activity(super().intercept_activity(next), self._meter, self._gauges)


class _Activity(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, meter: MetricMeter, gauges: Sequence[Gauge]) -> None:
        super().__init__(next)
        self._meter = meter
        self._gauges = gauges

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        ids = {
            "workflow_id": info.workflow_id,
            "run_id": info.workflow_run_id,
            "activity": info.activity_type,
            "activity_id": info.activity_id,
            "attempt": info.attempt,
        }
        with structlog.contextvars.bound_contextvars(**ids):
            began = monotonic()
            result = await super().execute_activity(input)
            record(activity.metric_meter(), info.activity_type, input.args, result, monotonic() - began)
            for gauge in self._gauges:
                gauge.record(self._meter)
            return result


class WorkerOptions(TypedDict):
    """Keyword arguments that every `Worker` of a process shares."""

    graceful_shutdown_timeout: timedelta
    interceptors: Sequence[Interceptor]
    deployment_config: WorkerDeploymentConfig


def shared(settings: Settings, client: Client, *gauges: Gauge) -> WorkerOptions:
    """Return the options that all workers of the process share. `gauges` are read after each activity.

    The build id is the package's version; RAILMEND_BUILD_ID replaces it and turns worker versioning on: a
    person then makes a version of the deployment the current one. Runs move on to it by themselves, because a
    ledger never ends and repairs last for weeks, so that a pinned run would keep old workers alive; patches
    and replayed histories keep an upgrade safe.
    """
    runtime = client.service_client.config.runtime or Runtime.default()
    versioned = bool(settings.railmend_build_id)
    return WorkerOptions(
        graceful_shutdown_timeout=timedelta(seconds=settings.railmend_grace_seconds),
        interceptors=[Observing(runtime.metric_meter, gauges)],
        deployment_config=WorkerDeploymentConfig(
            version=WorkerDeploymentVersion(
                settings.railmend_deployment, settings.railmend_build_id or __version__
            ),
            use_worker_versioning=versioned,
            default_versioning_behavior=(
                VersioningBehavior.AUTO_UPGRADE if versioned else VersioningBehavior.UNSPECIFIED
            ),
        ),
    )

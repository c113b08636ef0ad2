"""What surrounds every activity: its ids in each log line, and its figures in the metrics."""

from collections.abc import Sequence
from time import monotonic
from typing import Any

import structlog
from temporalio import activity
from temporalio.common import MetricMeter
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from hosting.metrics import Gauge, record


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

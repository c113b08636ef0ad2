"""How much a worker does at once, how it stops, and which version of the code it is."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypedDict

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.runtime import Runtime
from temporalio.worker import Interceptor, WorkerDeploymentConfig

from hosting.interceptors import Observing
from hosting.metrics import Gauge
from railmend.settings import Settings


class Tuning(TypedDict, total=False):
    """Keyword arguments that every `Worker` of a process shares."""

    graceful_shutdown_timeout: timedelta
    interceptors: Sequence[Interceptor]
    deployment_config: WorkerDeploymentConfig


def shared(settings: Settings, client: Client, *gauges: Gauge) -> Tuning:
    """`gauges` are read after each activity.

    With RAILMEND_BUILD_ID the workers are a version of a deployment, which a person makes the current one.

    Runs move on to the current version by themselves: a ledger never ends and repairs last for weeks, so a
    pinned run would keep old workers alive; patches and replayed histories keep an upgrade safe.
    """
    runtime = client.service_client.config.runtime or Runtime.default()
    tuning = Tuning(
        graceful_shutdown_timeout=timedelta(seconds=settings.railmend_grace_seconds),
        interceptors=[Observing(runtime.metric_meter, gauges)],
    )
    if settings.railmend_build_id:
        version = WorkerDeploymentVersion(settings.railmend_deployment, settings.railmend_build_id)
        tuning["deployment_config"] = WorkerDeploymentConfig(
            version=version,
            use_worker_versioning=True,
            default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
        )
    return tuning

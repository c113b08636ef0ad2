"""Options of every worker: how it stops, what observes its activities, and its build id."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypedDict

from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.runtime import Runtime
from temporalio.worker import Interceptor, WorkerDeploymentConfig

from hosting.interceptors import Observing
from hosting.metrics import Gauge
from railmend import __version__
from railmend.settings import Settings


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

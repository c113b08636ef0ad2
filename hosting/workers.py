"""The workers of one process: orchestration, coding, and the queue of this machine's workspaces."""

import asyncio
import signal
import uuid
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

import httpx
import structlog
from temporalio.client import Client
from temporalio.runtime import Runtime
from temporalio.worker import Worker

from activities.actions import ActionActivities
from activities.by_reference import EvidenceActivities
from activities.checks import CheckActivities
from activities.coding import CodingActivities
from activities.coding_environment import CodingEnvironment
from activities.deployments import DeploymentActivities
from activities.github import GitHubActivities
from activities.ledger import LedgerActivities
from activities.logs import LogActivities
from activities.measurement import MeasurementActivities
from activities.methods import Activity, activity_methods
from activities.notifications import Channel, NotificationActivities
from activities.planning import PlanningActivities, TextActivities
from activities.proof import ProofActivities
from activities.providers import ProviderActivities
from activities.railway import RailwayActivities
from activities.repository import RepositoryActivities
from activities.settings import SettingsActivities
from activities.source import SourceReader
from activities.tools import ToolActivities
from hosting import clients, health, models, worker_options
from hosting.http_server import serving
from hosting.metrics import api_budget, begin, settings_refused
from hosting.notification_channels import channels
from hosting.scan_watch import watch_scans
from hosting.workspace_gc import remove_old_artifacts, removing_abandoned_workspaces
from railmend import __version__
from railmend.coding.session.server import stop_leftovers
from railmend.current_settings import CurrentSettings
from railmend.notifying.delivery import TIMEOUT_SECONDS, MessageLimit
from railmend.providers.status.reader import StatusReader
from railmend.publishing.github import GitHubClient
from railmend.railway.pool import RailwayPool
from railmend.settings import Settings
from railmend.settings_file import load_settings
from workflows.actions.approved_action import ApprovedAction
from workflows.investigation.incident_investigation import IncidentInvestigation
from workflows.ledger.ledger import Ledger
from workflows.repair.repository_repair import RepositoryRepair
from workflows.scan.alarm import ScanAlarm
from workflows.scan.health_scan import HealthScan
from workflows.shared.start import CODING_QUEUE, ORCHESTRATION_QUEUE, PLANNING_QUEUE

log = structlog.get_logger(__name__)

WORKFLOWS = (HealthScan, IncidentInvestigation, RepositoryRepair, ApprovedAction, Ledger, ScanAlarm)
# What an activity tells by a heartbeat is with the server within this, so that a killed one resumes from it.
HEARTBEAT_THROTTLE = timedelta(seconds=2)


class Role(StrEnum):
    """What a worker process does; a process may have all roles."""

    ORCHESTRATION = "orchestration"  # workflows, Railway, GitHub
    PLANNING = "planning"  # asks models
    CODING = "coding"  # workspaces and coding sessions


def machine_queue(state_dir: Path) -> str:
    """Return the queue of this machine's workspaces; it is kept on disk, to be the same after a restart."""
    file = state_dir / "machine"
    if not file.exists():
        state_dir.mkdir(parents=True, exist_ok=True)
        file.write_text(uuid.uuid4().hex[:12])
    return f"{CODING_QUEUE}-{file.read_text().strip()}"


def orchestration_activities(
    client: Client,
    current: CurrentSettings,
    railway: RailwayPool,
    github: GitHubClient,
    status: StatusReader,
    channels: Sequence[Channel],
    *,
    report_only: bool = False,
) -> list[Activity]:
    secrets, artifacts = current.derive(clients.secrets), clients.artifacts(current.get())
    rules, code = current.derive(clients.assessment_rules), SourceReader(github)
    measuring = RailwayActivities(railway, artifacts, lambda environment_id: rules()[environment_id])
    return activity_methods(
        SettingsActivities(
            current.get,
            measuring.screen,
            report_only=report_only,
            own_repository=clients.own_repository(),
        ),
        measuring,
        EvidenceActivities(artifacts),
        ProviderActivities(
            railway=railway,
            network_of=lambda client: client.network,
            code=code,
            status=status,
            artifacts=artifacts,
        ),
        DeploymentActivities(railway, artifacts, secrets),
        LogActivities(railway, artifacts, secrets, lambda: current.get().replay_methods()),
        RepositoryActivities(github, railway, artifacts, secrets, code),
        ToolActivities(
            railway=railway, github=github, status=status, artifacts=artifacts, secrets=secrets, code=code
        ),
        TextActivities(artifacts),
        LedgerActivities(client, ORCHESTRATION_QUEUE),
        NotificationActivities(channels, MessageLimit(current.get().notify_per_hour)),
        GitHubActivities(github, artifacts),
        MeasurementActivities(railway, github, artifacts, current.get().railmend_settle_seconds),
        ActionActivities(railway),
    )


def planning_activities(settings: Settings) -> list[Activity]:
    model, sceptic = models.model(settings), models.sceptic(settings)
    github, artifacts = clients.github(settings), clients.artifacts(settings)
    return activity_methods(PlanningActivities(model, sceptic, github, artifacts))


def coding_activities(
    settings: Settings, environment: CodingEnvironment, queue: str
) -> tuple[list[Activity], list[Activity]]:
    """Return what any coding worker may do, and what only the owner of `queue`, with the workspace, can."""
    artifacts = clients.artifacts(settings)
    work = CodingActivities(
        environment,
        artifacts=artifacts,
        task_queue=queue,
        server_for=clients.coding_servers(settings, environment.sandbox),
        limits=models.limits(settings),
        guard=settings.railmend_guard,
    )
    foreign = environment, settings.railmend_checks, clients.package_egress(settings)
    checks, proof = CheckActivities(*foreign), ProofActivities(*foreign, artifacts)
    return [work.prepare_workspace], activity_methods(work, checks, proof)


def orchestration(
    client: Client,
    current: CurrentSettings,
    railway: RailwayPool,
    status: StatusReader,
    channels: Sequence[Channel] = (),
    *,
    report_only: bool = False,
) -> Worker:
    settings = current.get()
    github = clients.github(settings) if not report_only else clients.github_if_set(settings)
    return Worker(
        client,
        task_queue=ORCHESTRATION_QUEUE,
        workflows=WORKFLOWS,
        activities=orchestration_activities(
            client, current, railway, github, status, channels, report_only=report_only
        ),
        # A slot without a thread would let an activity's time run out before it began.
        activity_executor=ThreadPoolExecutor(settings.slots.activities),
        max_concurrent_workflow_tasks=settings.slots.workflow_tasks,
        max_concurrent_activities=settings.slots.activities,
        max_cached_workflows=settings.slots.cached_workflows,
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        **worker_options.shared(
            settings,
            client,
            api_budget("railway", lambda: railway.left),
            api_budget("github", lambda: github.left),
            settings_refused(lambda: current.problem),
        ),
    )


def planning(client: Client, settings: Settings) -> Worker:
    """Serve a queue of its own: only this process imports a model library, and only when asked."""
    return Worker(
        client,
        task_queue=PLANNING_QUEUE,
        activities=planning_activities(settings),
        max_concurrent_activities=settings.slots.diagnoses,
        # What a call costs is told by a heartbeat as it begins: it must be out before the worker can die.
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        **worker_options.shared(settings, client),
    )


def coding_environment(settings: Settings) -> CodingEnvironment:
    """Return what the coding activities share. Blocking: the sandbox is probed."""
    return CodingEnvironment(
        github=clients.github(settings),
        state_dir=settings.state_dir() / "repairs",
        sandbox=clients.sandbox(settings),
        quota=clients.quota(settings),
    )


def coding(client: Client, settings: Settings, environment: CodingEnvironment) -> list[Worker]:
    """Serve two queues: one that any coding worker serves, and one that only this machine serves."""
    queue = machine_queue(settings.state_dir())
    anywhere, here = coding_activities(settings, environment, queue)
    shared = Worker(
        client,
        task_queue=CODING_QUEUE,
        activities=anywhere,
        max_concurrent_activities=settings.slots.sessions,
        **worker_options.shared(settings, client),
    )
    local = Worker(
        client,
        task_queue=queue,
        activities=here,
        max_concurrent_activities=settings.slots.sessions,
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        **worker_options.shared(settings, client),
    )
    return [shared, local]


def stop_signal() -> asyncio.Event:
    """Return what SIGINT and SIGTERM set."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


async def drain(workers: Sequence[Worker]) -> None:
    """Take no more work, end what can be ended within the grace, and hand back the rest."""
    # Together: one after another they would need the grace of each.
    await asyncio.gather(*(worker.shutdown() for worker in workers))


async def run_until_stopped(
    client: Client,
    settings: Settings,
    roles: Collection[Role] = tuple(Role),
    report_only: str = "",
) -> None:
    """Serve the queues of `roles` until SIGINT or SIGTERM, then drain.

    `report_only`: why scans only measure and report, if they do.
    """
    if report_only:
        log.warning(
            "scans only measure and report; diagnoses and repairs need a model and GitHub",
            missing=report_only.splitlines(),
            next="set what is missing, see docs/getting-started.md, and start the worker again",
        )
    stop = stop_signal()
    # Git and GitHub block a thread each; the default of a handful would let a few slow ones hold up all.
    asyncio.get_running_loop().set_default_executor(
        ThreadPoolExecutor(settings.slots.activities + settings.slots.sessions)
    )
    environment: CodingEnvironment | None = None
    current: CurrentSettings | None = None
    async with AsyncExitStack() as stack:
        workers = []
        if Role.ORCHESTRATION in roles:
            current = CurrentSettings(settings, load_settings)
            railway = RailwayPool(
                settings.railway_api_url,
                current.derive(clients.watched_environments),
                settings.railway_limits,
            )
            stack.push_async_callback(railway.aclose)
            await clients.check_railway(railway)
            status = StatusReader(settings.provider_status_urls)
            stack.push_async_callback(status.aclose)
            web = await stack.enter_async_context(httpx.AsyncClient(timeout=TIMEOUT_SECONDS))
            parts = (railway, status, channels(settings, web))
            workers.append(orchestration(client, current, *parts, report_only=bool(report_only)))
        if Role.PLANNING in roles:
            workers.append(planning(client, settings))
        if Role.CODING in roles:
            environment = await asyncio.to_thread(coding_environment, settings)
            await asyncio.to_thread(stop_leftovers, environment.state_dir, environment.sandbox)
            await stack.enter_async_context(removing_abandoned_workspaces(client, environment))
            await remove_old_artifacts(clients.artifacts(settings), settings.policy())
            workers += coding(client, settings, environment)
        for worker in workers:
            await stack.enter_async_context(worker)
        if address := settings.railmend_health_address:
            app = health.application(client, workers, stop)
            await stack.enter_async_context(serving(app, address, "RAILMEND_HEALTH_ADDRESS"))
        if current is not None:
            meter = (client.service_client.config.runtime or Runtime.default()).metric_meter
            begin(meter)
            watch = asyncio.create_task(watch_scans(client, current.get, ORCHESTRATION_QUEUE, meter))
            stack.callback(watch.cancel)
        log.info("workers ready", version=__version__, queues=[worker.task_queue for worker in workers])
        await stop.wait()
        log.info("stopping")
        await drain(workers)
    if environment is not None:
        # Servers whose session was given up while nobody could stop them.
        await asyncio.to_thread(stop_leftovers, environment.state_dir, environment.sandbox)

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
from temporalio.worker import Worker

from activities.actions import ActionActivities
from activities.checks import CheckActivities
from activities.coding import CodingActivities
from activities.coding_environment import CodingEnvironment
from activities.deployments import DeploymentActivities
from activities.evidence import EvidenceActivities
from activities.ledger import LedgerActivities
from activities.logs import LogActivities
from activities.measurement import MeasurementActivities
from activities.notifications import Channel, NotificationActivities
from activities.planning import PlanningActivities, TextActivities
from activities.providers import ProviderActivities
from activities.pull_requests import PullRequestActivities
from activities.railway import RailwayActivities
from activities.repository import RepositoryActivities
from activities.reviews import ReviewActivities
from hosting import clients, health, worker_options
from hosting.http_server import serving
from hosting.metrics import api_budget
from hosting.notification_channels import channels
from hosting.workspace_gc import sweep
from railmend.coding.server import stop_leftovers
from railmend.notifying.delivery import TIMEOUT_SECONDS
from railmend.providers.status.reader import StatusReader
from railmend.railway.pool import RailwayPool
from railmend.settings import Settings
from workflows.actions.approved_action import ApprovedAction
from workflows.investigation.incident_investigation import IncidentInvestigation
from workflows.ledger.ledger import Ledger
from workflows.repair.repository_repair import RepositoryRepair
from workflows.scan.health_scan import HealthScan
from workflows.shared.policies import CODING_QUEUE, PLANNING_QUEUE

log = structlog.get_logger(__name__)

ORCHESTRATION_QUEUE = "railmend"
WORKFLOWS = (HealthScan, IncidentInvestigation, RepositoryRepair, ApprovedAction, Ledger)
# A killed activity resumes from details at most this old, and a cancel arrives within it.
HEARTBEAT_THROTTLE = timedelta(seconds=2)


class Role(StrEnum):
    """What one worker process does; one machine may do all."""

    ORCHESTRATION = "orchestration"  # workflows, Railway, GitHub
    PLANNING = "planning"  # asks models
    CODING = "coding"  # workspaces and coding sessions


def machine_queue(state_dir: Path) -> str:
    """The queue that reaches this machine's workspaces: the same after a restart, so kept on disk."""
    file = state_dir / "machine"
    if not file.exists():
        state_dir.mkdir(parents=True, exist_ok=True)
        file.write_text(uuid.uuid4().hex[:12])
    return f"{CODING_QUEUE}-{file.read_text().strip()}"


def orchestration(
    client: Client,
    settings: Settings,
    railway: RailwayPool,
    status: StatusReader,
    told: Sequence[Channel] = (),
) -> Worker:
    rules = {one.environment_id: settings.assessment.over(one.assessment) for one in settings.watched()}
    reading = RailwayActivities(railway, rules)
    github, secrets = clients.github(settings), clients.secrets(settings)
    evidence = EvidenceActivities()
    deployments = DeploymentActivities(railway, secrets)
    logs = LogActivities(railway, secrets)
    repository = RepositoryActivities(github, railway, secrets)
    providers = ProviderActivities(
        railway=railway,
        network_of=lambda of: of.network,
        github=github,
        status=status,
    )
    text = TextActivities()
    ledger = LedgerActivities(client, ORCHESTRATION_QUEUE)
    pulls = PullRequestActivities(github)
    reviews = ReviewActivities(github)
    outcome = MeasurementActivities(railway, github, settings.railmend_settle_seconds)
    actions = ActionActivities(railway)
    return Worker(
        client,
        task_queue=ORCHESTRATION_QUEUE,
        workflows=WORKFLOWS,
        activities=[
            reading.screen,
            reading.assess_suspects,
            evidence.finding_facts,
            evidence.build_packet,
            providers.provider_facts,
            deployments.chart_facts,
            deployments.deployment_facts,
            deployments.drift_facts,
            deployments.state_facts,
            logs.build_log_facts,
            logs.deploy_log_facts,
            logs.http_log_facts,
            repository.change_facts,
            text.decide,
            text.describe_incident,
            text.describe_report,
            ledger.claim,
            ledger.settle,
            ledger.reserve,
            ledger.spend,
            pulls.open_pull_request,
            NotificationActivities(told).notify,
            reviews.poll_pull_request,
            reviews.reply_to_notes,
            reviews.find_related,
            reviews.comment_on_related,
            reviews.comment_measurement,
            reviews.comment_not_deployed,
            reviews.open_revert,
            outcome.find_deployment,
            outcome.measure_incident,
            outcome.measure_service,
            actions.find_rollback,
            actions.perform,
        ],
        # A slot without a thread would let an activity's time run out before it began.
        activity_executor=ThreadPoolExecutor(settings.slots.activities),
        max_concurrent_workflow_tasks=settings.slots.workflow_tasks,
        max_concurrent_activities=settings.slots.activities,
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        **worker_options.shared(
            settings,
            client,
            api_budget("railway", lambda: railway.left),
            api_budget("github", lambda: github.left),
        ),
    )


def planning(client: Client, settings: Settings) -> Worker:
    """A queue of its own: only the process that serves it imports a model library, and only when asked."""
    work = PlanningActivities(clients.model(settings), clients.sceptic(settings), clients.github(settings))
    return Worker(
        client,
        task_queue=PLANNING_QUEUE,
        activities=[work.diagnose, work.refute],
        max_concurrent_activities=settings.slots.diagnoses,
        **worker_options.shared(settings, client),
    )


def workbench(settings: Settings) -> CodingEnvironment:
    """Blocking: the sandbox is tried out."""
    return CodingEnvironment(
        github=clients.github(settings),
        state_dir=settings.state_dir() / "repairs",
        sandbox=clients.sandbox(settings),
        quota=clients.quota(settings),
    )


def coding(client: Client, settings: Settings, bench: CodingEnvironment) -> list[Worker]:
    """Two queues: one any coding worker serves, one that only this machine serves."""
    queue = machine_queue(settings.state_dir())
    work = CodingActivities(
        bench,
        task_queue=queue,
        server_for=clients.coding_servers(settings, bench.sandbox),
        limits=clients.limits(settings),
        guard=settings.railmend_guard,
    )
    checks = CheckActivities(bench, settings.railmend_checks, clients.way_out(settings))
    shared = Worker(
        client,
        task_queue=CODING_QUEUE,
        activities=[work.prepare_workspace],
        max_concurrent_activities=settings.slots.sessions,
        **worker_options.shared(settings, client),
    )
    local = Worker(
        client,
        task_queue=queue,
        activities=[
            work.run_session,
            work.review_change,
            work.commit_and_push,
            work.delete_workspace,
            work.trim_workspace,
            work.prepare_workspace,
            checks.prepare_checks,
            checks.run_checks,
        ],
        max_concurrent_activities=settings.slots.sessions,
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        **worker_options.shared(settings, client),
    )
    return [shared, local]


async def run_until_stopped(
    client: Client, settings: Settings, roles: Collection[Role] = tuple(Role)
) -> None:
    """Serve the queues of `roles` until SIGINT or SIGTERM, then drain."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Git and GitHub block a thread each; the default of a handful would let a few slow ones hold up all.
    loop.set_default_executor(ThreadPoolExecutor(settings.slots.activities + settings.slots.sessions))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    bench: CodingEnvironment | None = None
    async with AsyncExitStack() as stack:
        workers = []
        if Role.ORCHESTRATION in roles:
            railway = clients.railway(settings)
            stack.push_async_callback(railway.aclose)
            await clients.check_railway(railway)
            status = StatusReader(settings.provider_status_urls)
            stack.push_async_callback(status.aclose)
            web = await stack.enter_async_context(httpx.AsyncClient(timeout=TIMEOUT_SECONDS))
            told = channels(settings, web)
            workers.append(orchestration(client, settings, railway, status, told))
        if Role.PLANNING in roles:
            workers.append(planning(client, settings))
        if Role.CODING in roles:
            bench = await asyncio.to_thread(workbench, settings)
            await asyncio.to_thread(stop_leftovers, bench.state_dir, bench.sandbox)
            await sweep(client, bench)
            workers += coding(client, settings, bench)
        for worker in workers:
            await stack.enter_async_context(worker)
        if address := settings.railmend_health_address:
            app = health.application(client, workers, stop)
            await stack.enter_async_context(serving(app, address, "RAILMEND_HEALTH_ADDRESS"))
        log.info("workers ready", queues=[worker.task_queue for worker in workers])
        await stop.wait()
        log.info("stopping")
        # Together: one after another they would need the grace of each.
        await asyncio.gather(*(worker.shutdown() for worker in workers))
    if bench is not None:
        # Servers whose session was given up while nobody could stop them.
        await asyncio.to_thread(stop_leftovers, bench.state_dir, bench.sandbox)

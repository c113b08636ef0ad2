"""The workers of one process: orchestration, coding, and the queue of this machine's workspaces."""

import asyncio
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import structlog
from temporalio.client import Client
from temporalio.worker import Worker

from activities.checks import CheckActivities
from activities.coding import CodingActivities
from activities.ledger import LedgerActivities
from activities.logs import EvidenceActivities
from activities.planning import PlanningActivities
from activities.pull_requests import PullRequestActivities
from activities.railway import RailwayActivities
from activities.workbench import Workbench
from hosting import clients
from hosting.sweep import sweep
from railmend.coding.server import stop_leftovers
from railmend.settings import Settings
from workflows.health_scan import HealthScan
from workflows.incident_investigation import IncidentInvestigation
from workflows.ledger import Ledger
from workflows.repository_repair import CODING_QUEUE, RepositoryRepair

log = structlog.get_logger(__name__)

ORCHESTRATION_QUEUE = "railmend"
WORKFLOWS = (HealthScan, IncidentInvestigation, RepositoryRepair, Ledger)
# Each session runs a server of about half a gigabyte.
SESSIONS_AT_ONCE = 2
# A killed session resumes from details at most this old, and a cancel arrives within it.
HEARTBEAT_THROTTLE = timedelta(seconds=2)
GRACE = timedelta(seconds=5)


def machine_queue(state_dir: Path) -> str:
    """The queue that reaches this machine's workspaces: the same after a restart, so kept on disk."""
    file = state_dir / "machine"
    if not file.exists():
        state_dir.mkdir(parents=True, exist_ok=True)
        file.write_text(uuid.uuid4().hex[:12])
    return f"{CODING_QUEUE}-{file.read_text().strip()}"


def orchestration(client: Client, settings: Settings, stack: AsyncExitStack) -> Worker:
    railway = clients.railway(settings)
    stack.push_async_callback(railway.aclose)
    reading = RailwayActivities(railway)
    evidence = EvidenceActivities(railway)
    planning = PlanningActivities(clients.model(settings))
    ledger = LedgerActivities(client, ORCHESTRATION_QUEUE)
    pulls = PullRequestActivities(clients.github(settings))
    return Worker(
        client,
        task_queue=ORCHESTRATION_QUEUE,
        workflows=WORKFLOWS,
        activities=[
            reading.screen,
            reading.assess_suspects,
            evidence.finding_facts,
            evidence.deployment_facts,
            evidence.deploy_log_facts,
            evidence.http_log_facts,
            evidence.build_packet,
            planning.diagnose,
            planning.describe_incident,
            planning.describe_report,
            ledger.claim,
            ledger.settle,
            pulls.open_pull_request,
        ],
        activity_executor=ThreadPoolExecutor(8),
        graceful_shutdown_timeout=GRACE,
    )


def workbench(settings: Settings) -> Workbench:
    """Blocking: the sandbox is tried out."""
    return Workbench(
        github=clients.github(settings),
        github_token=settings.github_token.get_secret_value() if settings.github_token else "",
        state_dir=settings.state_dir() / "repairs",
        fence=clients.fence(settings),
        quota=clients.quota(settings),
    )


def coding(client: Client, settings: Settings, bench: Workbench) -> list[Worker]:
    """Two queues: one any coding worker serves, one that only this machine serves."""
    queue = machine_queue(settings.state_dir())
    work = CodingActivities(
        bench,
        task_queue=queue,
        server_for=clients.coding_servers(settings, bench.fence),
        limits=clients.limits(settings),
        guard=settings.railmend_guard,
    )
    checks = CheckActivities(bench, settings.railmend_checks, clients.way_out(settings))
    shared = Worker(
        client,
        task_queue=CODING_QUEUE,
        activities=[work.prepare_workspace],
        max_concurrent_activities=SESSIONS_AT_ONCE,
        graceful_shutdown_timeout=GRACE,
    )
    local = Worker(
        client,
        task_queue=queue,
        activities=[
            work.run_session,
            work.review_change,
            work.commit_and_push,
            work.remove_workspace,
            checks.prepare_checks,
            checks.run_checks,
        ],
        max_concurrent_activities=SESSIONS_AT_ONCE,
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        graceful_shutdown_timeout=GRACE,
    )
    return [shared, local]


async def run_until_stopped(client: Client, settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM, then drain."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    bench = await asyncio.to_thread(workbench, settings)
    await asyncio.to_thread(stop_leftovers, bench.state_dir, bench.fence)
    await sweep(client, bench)
    async with AsyncExitStack() as stack:
        workers = [orchestration(client, settings, stack), *coding(client, settings, bench)]
        for worker in workers:
            await stack.enter_async_context(worker)
        log.info("workers ready", queues=[worker.task_queue for worker in workers])
        await stop.wait()
        log.info("stopping")
    # Servers whose session was given up while nobody could stop them.
    await asyncio.to_thread(stop_leftovers, bench.state_dir, bench.fence)

"""A worker as production hosts it: encrypted, measured, versioned, stopped in time. Real Temporal server."""

import asyncio
import contextlib
import io
import json
import logging as stdlib_logging
import re
import socket
import sys
import uuid
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from hosting import clients, health, logging, telemetry, worker_options
from hosting.codec import codec, new_key
from hosting.connection import local
from hosting.dev_server import binary
from hosting.http_server import serving
from hosting.metrics import RECORDERS, api_budget
from hosting.workers import WORKFLOWS
from railmend.contracts.policy import Policy
from railmend.contracts.repair import RepairOutcome, WorkspaceChange
from railmend.contracts.scan import HealthReport, ScanRequest, ScanSettings
from railmend.settings import ConfigurationError, Settings
from tests import samples
from tests.patience import PATIENCE
from tests.workflows.stand_ins import World
from workflows.repair.repository_repair import RepositoryRepair
from workflows.scan.health_scan import HealthScan
from workflows.shared.plugin import railmend_plugin
from workflows.shared.search_attributes import REGISTRY
from workflows.shared.start import CODING_QUEUE, PLANNING_QUEUE

pytestmark = pytest.mark.integration
SYMPTOM = "checkout is in trouble."
DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[WorkflowEnvironment]:
    """A plain one: what the client does is what is tested."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(binary()),
        search_attributes=REGISTRY,
        dev_server_extra_args=[
            *("--dynamic-config-value", "history.transferProcessorMaxPollRPS=1000"),
            *("--dynamic-config-value", "history.timerProcessorMaxPollRPS=1000"),
        ],
    ) as started:
        yield started


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"127.0.0.1:{probe.getsockname()[1]}"


def settings_for(server: WorkflowEnvironment, **more: Any) -> Settings:
    return Settings(temporal_address=server.client.service_client.config.target_host, **more)


def world() -> World:
    """One service in trouble, and an agent that changes nothing: a repair that waits for no review."""
    return World(
        change=WorkspaceChange(files=()),
        settings=ScanSettings(policy=Policy(notify=True)),
        queue=f"railmend-{uuid.uuid4().hex[:8]}",
        services=(samples.service("checkout"),),
        findings=(samples.finding("checkout"),),
    )


@contextlib.asynccontextmanager
async def working(
    client: Client, settings: Settings, one: World, workflows: Sequence[type] = WORKFLOWS
) -> AsyncIterator[list[Worker]]:
    """Workers with what production adds to each."""
    gauge = api_budget("railway", lambda: 42)
    shared = worker_options.shared(settings, client, gauge)
    workers = [
        Worker(
            client,
            task_queue=one.queue,
            workflows=workflows,
            activities=one.orchestration(client),  # type: ignore[arg-type]
            **shared,
        ),
        Worker(client, task_queue=CODING_QUEUE, activities=[one.prepare_workspace], **shared),
        Worker(client, task_queue=PLANNING_QUEUE, activities=[one.take_turn], **shared),
    ]
    async with contextlib.AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker)
        yield workers


async def scan_and_repair(client: Client, one: World) -> tuple[HealthReport, str, str]:
    """The report, and the workflow IDs of scan and repair."""
    environment = f"env-{uuid.uuid4().hex[:8]}"
    finding = one.findings[0].model_copy(update={"environment_id": environment})
    one.findings = (finding,)
    one.services = (one.services[0].model_copy(update={"repository": f"{environment}/checkout"}),)
    scan_id = f"scan/{environment}/x"
    report = await client.execute_workflow(
        HealthScan.run,
        ScanRequest(project_id=environment, environment_id=environment),
        id=scan_id,
        task_queue=one.queue,
        static_summary=f"of {SYMPTOM}",
    )
    repair_id = report.rows[0].repair_workflow_id
    assert repair_id is not None
    result = await client.get_workflow_handle_for(RepositoryRepair.run, repair_id).result()
    assert result.outcome is RepairOutcome.NO_CHANGE
    return report, scan_id, repair_id


async def test_the_server_stores_nothing_that_can_be_read_and_a_replay_still_works(
    server: WorkflowEnvironment,
) -> None:
    settings = settings_for(server, railmend_encryption_keys=SecretStr(new_key("2026")))
    client, one = await clients.temporal(settings), world()
    async with working(client, settings, one):
        _, scan_id, repair_id = await scan_and_repair(client, one)
    for workflow_id in (scan_id, repair_id, scan_id.replace("scan/", "ledger/").removesuffix("/x")):
        history = await server.client.get_workflow_handle(workflow_id).fetch_history()
        raw = "".join(event.SerializeToString().decode("latin1") for event in history.events)
        assert SYMPTOM not in raw
        assert "memory_leak" not in raw
        assert "A cache is never emptied" not in raw
        replayer = Replayer(workflows=WORKFLOWS, plugins=[railmend_plugin(codec(settings))])
        await replayer.replay_workflow(history)


async def test_one_endpoint_serves_temporals_metrics_and_ours(server: WorkflowEnvironment) -> None:
    address = free_address()
    settings = settings_for(server, railmend_metrics_address=address)
    client = await clients.temporal(settings, runtime=telemetry.runtime(settings))
    one = world()
    async with working(client, settings, one), httpx.AsyncClient() as web:
        await scan_and_repair(client, one)
        text = (await web.get(f"http://{address}/metrics")).text
    lines = text.splitlines()

    def value(name: str, *labels: str) -> float:
        found = [
            line for line in lines if line.startswith(name + "{") and all(label in line for label in labels)
        ]
        assert found, f"{name} {labels} is not among:\n" + "\n".join(
            line for line in lines if "railmend" in line
        )
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    assert value("railmend_scans_total") == 1
    assert value("railmend_findings_total", 'kind="memory_leak"', 'severity="warning"') == 1
    assert value("railmend_verdicts_total", 'verdict="code"') == 1
    assert value("railmend_repairs_total", 'outcome="no_change"') == 1
    assert value("railmend_session_seconds_count", 'state="done"') == 1
    assert value("railmend_cost_usd_count", 'kind="session"') == 1
    assert value("railmend_api_budget_left", 'api="railway"') == 42
    assert value("temporal_workflow_completed_total") >= 2
    dashboard = (DEPLOY / "grafana/railmend.json").read_text()
    shown = set(re.findall(r"temporal_\w+", dashboard))
    # Nothing failed here, so that counter has no series.
    shown.discard("temporal_activity_execution_failed_total")
    assert {name for name in shown if f"\n{name}{{" not in text} == set()


async def test_every_measured_activity_exists(server: WorkflowEnvironment) -> None:
    known = {work.__name__ for work in world().orchestration(server.client)}  # type: ignore[attr-defined]
    assert set(RECORDERS) <= known


async def test_a_taken_metrics_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ConfigurationError, match="RAILMEND_METRICS_ADDRESS"):
            telemetry.runtime(Settings(railmend_metrics_address=address))


async def test_health_follows_the_workers_and_the_server(server: WorkflowEnvironment) -> None:
    settings = settings_for(server)
    client, stopping = await clients.temporal(settings), asyncio.Event()
    async with httpx.AsyncClient() as web:
        async with working(client, settings, world()) as workers:
            app = health.application(client, workers, stopping)
            async with serving(app, "127.0.0.1:0", "RAILMEND_HEALTH_ADDRESS") as port:
                base = f"http://127.0.0.1:{port}"
                assert (await web.get(f"{base}/healthz")).status_code == 200
                async with asyncio.timeout(PATIENCE):  # the workers begin to poll in their own time
                    while (ready := await web.get(f"{base}/readyz")).status_code != 200:  # noqa: ASYNC110
                        await asyncio.sleep(0.1)
                assert (ready.status_code, ready.json()["status"]) == (200, "ready")
                assert CODING_QUEUE in ready.json()["queues"]
                stopping.set()
                draining = await web.get(f"{base}/readyz")
                assert (draining.status_code, draining.json()["reason"]) == (503, "stopping")
        app = health.application(client, workers, asyncio.Event())
        async with serving(app, "[::]:0", "RAILMEND_HEALTH_ADDRESS") as port:
            idle = await web.get(f"http://127.0.0.1:{port}/readyz")
        assert idle.json()["reason"].startswith("not polling")


async def test_a_server_that_is_away_makes_a_worker_not_ready() -> None:
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=str(binary())) as gone:
        client = await clients.temporal(settings_for(gone))
    app = health.application(client, [], asyncio.Event())
    async with serving(app, "127.0.0.1:0", "RAILMEND_HEALTH_ADDRESS") as port, httpx.AsyncClient() as web:
        answer = await web.get(f"http://127.0.0.1:{port}/readyz")
    assert answer.status_code == 503
    assert "Temporal does not answer" in answer.json()["reason"]


async def test_the_namespace_job_sets_the_retention_and_may_run_again(server: WorkflowEnvironment) -> None:
    target = server.client.service_client.config.target_host
    variables = {"PATH": f"{binary().parent}:/usr/bin:/bin", "TEMPORAL_ADDRESS": target}
    variables["TEMPORAL_NAMESPACE"] = f"railmend-{uuid.uuid4().hex[:6]}"
    for retention in ("30d", "45d"):
        variables["RETENTION"] = retention
        job = await asyncio.create_subprocess_exec(
            str(DEPLOY / "temporal/namespace.sh"),
            env=variables,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await job.communicate()
        assert job.returncode == 0, output.decode()
    asked = DescribeNamespaceRequest(namespace=variables["TEMPORAL_NAMESPACE"])
    found = await server.client.workflow_service.describe_namespace(asked)
    assert found.config.workflow_execution_retention_ttl.seconds == 45 * 24 * 3600


async def test_a_taken_health_port_is_told(server: WorkflowEnvironment) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        app = health.application(server.client, [], asyncio.Event())
        with pytest.raises(ConfigurationError, match="RAILMEND_HEALTH_ADDRESS"):
            async with serving(app, address, "RAILMEND_HEALTH_ADDRESS"):
                pass


@pytest.fixture
def log_lines(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a worker writes to stderr, line by line; the loggers are put back afterwards."""
    root = stdlib_logging.getLogger()
    before, level = root.handlers[:], root.level
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    logging.configure("INFO", json=True)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines() if line.startswith("{")]
    root.handlers[:] = before
    root.setLevel(level)


async def test_every_line_about_a_run_names_it(server: WorkflowEnvironment, log_lines: Any) -> None:
    settings = settings_for(server)
    client = await clients.temporal(settings)
    one = world()
    one.broken = frozenset({"notify", "http_log_facts"})
    async with working(client, settings, one):
        _, scan_id, _ = await scan_and_repair(client, one)
    lines = log_lines()
    unsent = next(line for line in lines if "notifications not sent" in line["event"])
    assert unsent["workflow_id"] == scan_id
    assert unsent["workflow"] == "HealthScan"
    failed = next(line for line in lines if line.get("activity") == "http_log_facts")
    assert failed["workflow_id"].startswith("incident/")
    assert failed["attempt"] == 1
    assert "temporal_activity" not in failed


async def test_temporals_own_lines_are_among_ours(server: WorkflowEnvironment, log_lines: Any) -> None:
    settings = settings_for(server, railmend_log_level="DEBUG")
    stdlib_logging.getLogger().setLevel("DEBUG")
    client, one = await clients.temporal(settings, runtime=telemetry.runtime(settings)), world()
    async with working(client, settings, one):
        await scan_and_repair(client, one)
    core = [line for line in log_lines() if line["logger"] == "temporalio.core"]
    assert core
    assert all(line["core"] and "temporal_log" not in line for line in core)


async def test_spans_join_scan_investigation_and_activities(server: WorkflowEnvironment) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = TracingInterceptor(provider.get_tracer("railmend"), always_create_workflow_spans=True)
    settings = settings_for(server)
    client = await clients.temporal(settings, interceptors=[tracing])
    one = world()
    async with working(client, settings, one):
        await scan_and_repair(client, one)
    spans = {span.name: span for span in exporter.get_finished_spans()}
    assert {"RunWorkflow:HealthScan", "RunWorkflow:RepositoryRepair", "RunActivity:take_turn"} <= set(spans)
    traces = {spans[name].context.trace_id for name in ("StartWorkflow:HealthScan", "RunActivity:take_turn")}
    assert len(traces) == 1


def test_tracing_is_off_unless_asked_for() -> None:
    assert telemetry.tracing(Settings()) == []
    assert len(telemetry.tracing(Settings(railmend_tracing=True))) == 1


async def test_a_version_of_the_workers_takes_over_when_it_is_made_the_current_one(
    server: WorkflowEnvironment,
) -> None:
    deployment = f"railmend-{uuid.uuid4().hex[:6]}"
    settings = settings_for(server, railmend_build_id="b1", railmend_deployment=deployment)
    client, one = await clients.temporal(settings), world()
    async with working(client, settings, one):
        await make_current(settings, deployment, "b1")
        _, scan_id, _ = await scan_and_repair(client, one)
    found = await client.get_workflow_handle(scan_id).describe()
    version = found.raw_description.workflow_execution_info.versioning_info.deployment_version
    assert (version.deployment_name, version.build_id) == (deployment, "b1")


async def make_current(settings: Settings, deployment: str, build: str) -> None:
    """By the command that docs/operations.md gives; the server learns of a version with its first poll."""
    command = [
        *(str(binary()), "worker", "deployment", "set-current-version"),
        *("--deployment-name", deployment, "--build-id", build, "--yes", "--ignore-missing-task-queues"),
        *("--address", settings.temporal_address),
    ]
    output = b""
    for _ in range(40):
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        output, _ = await process.communicate()
        if process.returncode == 0:
            return
        await asyncio.sleep(0.25)
    raise AssertionError(output.decode())


async def test_a_wrong_certificate_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    settings = Settings(temporal_tls_server_ca_cert_path=tmp_path / "ca.pem")
    with pytest.raises(ConfigurationError, match=r"ca\.pem"):
        await clients.temporal(settings)


def test_an_api_key_turns_tls_on_and_a_server_of_ones_own_needs_neither() -> None:
    from hosting.connection import options

    cloud = Settings(
        temporal_address="x.tmprl.cloud:7233", temporal_namespace="a.b", temporal_api_key=SecretStr("k")
    )
    assert options(cloud) == {
        "target_host": "x.tmprl.cloud:7233",
        "namespace": "a.b",
        "api_key": "k",
        "tls": True,
    }
    assert options(local(cloud, "127.0.0.1:1")) == {"target_host": "127.0.0.1:1", "namespace": "default"}


def test_messages_link_to_the_web_ui_of_a_server_that_was_brought_along_unless_another_is_set() -> None:
    ui, other = "http://127.0.0.1:2", "https://temporal.example.com"
    assert local(Settings(), "127.0.0.1:1", ui).railmend_web_url == ui
    assert local(Settings(railmend_web_url=other), "127.0.0.1:1", ui).railmend_web_url == other

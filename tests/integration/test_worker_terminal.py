"""The worker where a person watches: model, Railway and GitHub are dead, and none of its keys is printed."""

import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from hosting.dev_server import binary
from railmend.artifacts import folder_store
from railmend.contracts.base import Contract
from railmend.contracts.incident import CodeRequest, DiagnosisRequest
from tests import samples
from workflows.shared.plugin import railmend_plugin
from workflows.shared.search_attributes import REGISTRY
from workflows.shared.start import ORCHESTRATION_QUEUE, PLANNING_QUEUE

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
DEAD = "http://127.0.0.1:9"
CANARIES = {
    "RAILWAY_TOKEN": "canary-7Qx2-railway",
    "GITHUB_TOKEN": "canary-9Lm4-github",
    "MODEL_API_KEY": "canary-3Vt8-model",
}
READY, READY_SECONDS = "workers ready", 60
# Of rich's tracebacks, which show local variables; a plain one has neither.
LOCALS = ("╭", "locals")


@workflow.defn(sandboxed=False)
class Call:
    """Calls one activity once."""

    @workflow.run
    async def run(self, queue: str, name: str, request: Any) -> None:
        await workflow.execute_activity(
            name,
            request,
            task_queue=queue,
            schedule_to_close_timeout=timedelta(seconds=30),
            retry_policy=RetryPolicy(maximum_attempts=1),
        )


class Terminal:
    """A worker on a pseudo-terminal, and what it has written there."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.text = ""
        self._reader, writer = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "worker.py", "--role", "orchestration", "--role", "planning"],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "xterm-256color", **variables},
            stdin=writer,
            stdout=writer,
            stderr=writer,
        )
        os.close(writer)
        self._thread = Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError):  # nobody writes any more
            while part := os.read(self._reader, 65_536):
                self.text += part.decode(errors="replace")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        self._thread.join(10)
        os.close(self._reader)


@contextmanager
def worker(folder: Path, address: str) -> Iterator[Terminal]:
    started = Terminal(
        folder,
        {
            **CANARIES,
            "TEMPORAL_ADDRESS": address,
            "RAILWAY_API_URL": f"{DEAD}/graphql",
            "RAILWAY_PROJECT_ID": "project",
            "RAILWAY_ENVIRONMENT_ID": samples.incident().environment_id,
            "GITHUB_API_URL": DEAD,
            "MODEL": "openai/dead",
            "MODEL_BASE_URL": f"{DEAD}/v1",
            "RAILMEND_ARTIFACTS": str(folder / "artifacts"),
            "RAILMEND_LOG_LEVEL": "DEBUG",
        },
    )
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(binary()), search_attributes=REGISTRY
    ) as started:
        yield await Client.connect(
            started.client.service_client.config.target_host, plugins=[railmend_plugin()]
        )


async def test_no_key_and_no_local_variable_is_printed(client: Client, tmp_path: Path) -> None:
    packet = await folder_store(tmp_path / "artifacts").put_model(samples.packet())
    incident = samples.incident()
    requests: list[tuple[str, str, Contract]] = [
        (PLANNING_QUEUE, "diagnose", DiagnosisRequest(incident=incident, packet=packet)),
        (ORCHESTRATION_QUEUE, "deploy_log_facts", incident),
        (ORCHESTRATION_QUEUE, "provider_facts", incident),
        (ORCHESTRATION_QUEUE, "change_facts", CodeRequest(**dict(incident))),
    ]
    mine = Worker(client, task_queue="calls", workflows=[Call])
    with worker(tmp_path, client.service_client.config.target_host) as terminal:
        async with mine, asyncio.timeout(READY_SECONDS + 120):
            while READY not in terminal.text:
                assert terminal.process.poll() is None, terminal.text
                await asyncio.sleep(0.1)
            calls = [
                client.execute_workflow(Call.run, args=[queue, name, request], id=name, task_queue="calls")
                for queue, name, request in requests
            ]
            ended = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(end, WorkflowFailureError) for end in ended), ended
    for _, name, _ in requests:
        assert name in terminal.text
    assert "Traceback" in terminal.text
    for secret in CANARIES.values():
        assert secret not in terminal.text
    assert not any(mark in terminal.text for mark in LOCALS)
    assert "SecretStr" not in terminal.text

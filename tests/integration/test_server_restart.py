"""The Temporal server dies in the middle of a wait and comes back: the repair goes on."""

import asyncio
import os
import signal
import socket
import uuid
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from hosting import dev_server, search_attributes
from hosting.dev_server import Running, start_or_adopt, stop_server
from hosting.workers import WORKFLOWS
from railmend.contracts.policy import FollowUp, Policy
from railmend.contracts.repair import RepairOutcome
from railmend.contracts.review import ReviewView
from tests.workflows.review_stage import MERGED, OPEN, ReviewStage
from tests.workflows.stand_ins import World
from tests.workflows.test_after_pull_request import RepairStage, until
from workflows.shared.plugin import railmend_plugin
from workflows.shared.start import CODING_QUEUE

pytestmark = pytest.mark.integration


async def test_a_repair_outlives_its_server(tmp_path: Path) -> None:
    server = await start_or_adopt(tmp_path)
    try:
        client = await Client.connect(server.address, plugins=[railmend_plugin()])
        await search_attributes.register(client)
        await _repair(client, server, tmp_path)
    finally:
        stop_server(tmp_path)


async def _repair(client: Client, server: Running, folder: Path) -> None:
    restarted = False

    def view(_: int) -> ReviewView:
        return MERGED if restarted else OPEN

    after = ReviewStage(on_poll=view)
    world = World(queue=f"review-{uuid.uuid4().hex[:8]}", services=(), findings=(), after_pull_request=after)
    activities: Any = world.orchestration(client)
    async with (
        Worker(client, task_queue=world.queue, workflows=WORKFLOWS, activities=activities),
        Worker(client, task_queue=CODING_QUEUE, activities=[world.prepare_workspace]),
    ):
        follow_up = FollowUp(poll_seconds=2, outcome_seconds=(2,))
        handle = await RepairStage(client, world).start(Policy(follow_up=follow_up))
        await until(lambda: after.seen["poll_pull_request"] == 2)
        os.kill(server.pid, signal.SIGKILL)
        await asyncio.to_thread(os.waitpid, server.pid, 0)
        again = await start_or_adopt(folder)
        assert (again.address, again.pid == server.pid) == (server.address, False)
        restarted = True
        result = await handle.result()
        assert result.outcome is RepairOutcome.HELD
        assert world.calls["open_pull_request"] == 1


@pytest.mark.parametrize("which", [0, 1], ids=["its own", "its page's"])
async def test_a_port_that_was_taken_meanwhile_is_not_the_end(
    which: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What answers there is another's: nothing is asked of it."""
    found = dev_server._free_ports
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = found(2)
        ports[which] = other.getsockname()[1]
        taken = [ports]
        monkeypatch.setattr(dev_server, "_free_ports", lambda count: taken.pop() if taken else found(count))
        running = await start_or_adopt(tmp_path)
    try:
        assert taken == []
        assert await start_or_adopt(tmp_path) == running
    finally:
        stop_server(tmp_path)

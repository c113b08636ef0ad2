"""Records one history of each workflow: `python -m tests.replay.record`.

Run it when a workflow gets new commands on purpose, after the old histories have been proved to replay.
"""

import asyncio
import json
import os
import socket
from pathlib import Path

from temporalio.client import Client

from railmend.contracts.incident import Verdict
from tests import samples
from tests.workflows.conftest import environment
from tests.workflows.review_stage import MERGED, OPEN, commented
from tests.workflows.test_scan_to_repair import row_of, stage
from workflows.actions.approved_action import ApprovedAction
from workflows.scan.alarm import ScanAlarm

HISTORIES = Path(__file__).parent / "histories"


async def save(client: Client, workflow_id: str, name: str) -> None:
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    text = json.dumps(json.loads(history.to_json()), indent=1)
    machine = f"{os.getpid()}@{socket.gethostname()}"
    HISTORIES.mkdir(exist_ok=True)
    (HISTORIES / f"{name}.json").write_text(text.replace(machine, "worker") + "\n")


async def main() -> None:
    async with await environment() as temporal:
        services = (samples.service("checkout"), samples.service("jobs"), samples.service("healthy"))
        async with stage(temporal, *services, verdicts={"jobs": Verdict.BAD_DEPLOY}) as on:
            on.world.after_pull_request.views = [OPEN, commented(1), MERGED]
            report = await on.scan()
            action_id = row_of(report, "jobs").detail.rpartition(" ")[2]
            await on.client.get_workflow_handle_for(ApprovedAction.run, action_id).result()
            repair_id = row_of(report, "checkout").repair_workflow_id
            await on.repair(repair_id)
            (scan_id,) = on.scans
            await save(on.client, scan_id, "health_scan")
            await save(on.client, f"incident/{on.environment_id}/id-checkout", "incident_investigation")
            await save(on.client, repair_id, "repository_repair")
            await save(on.client, action_id, "approved_action")
            await save(on.client, f"ledger/{on.environment_id}", "ledger")
            alarm = await on.client.start_workflow(
                ScanAlarm.run,
                samples.missed_scans(),
                id=f"alarm/{on.environment_id}",
                task_queue=on.world.queue,
            )
            await alarm.signal(ScanAlarm.over)
            await alarm.result()
            await save(on.client, alarm.id, "scan_alarm")
        await asyncio.sleep(0.5)  # the SDK's threads may abort a process that ends at once


if __name__ == "__main__":
    asyncio.run(main())

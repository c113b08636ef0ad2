"""Bytes and events of Temporal's histories for a scan with many affected services of one repository.

The workflows are the product's, on a real server; the outside answers from memory, each service with a full
evidence packet and the longest diagnosis. `largest`: of one payload, counted with its event; Temporal refuses
2 MB, ours is 64 KiB. What lies in the artifact store is counted apart.
"""

import asyncio
import time
from typing import cast

from obstore.store import MemoryStore

from tests.workflows import test_wide_incident as wide
from tests.workflows.conftest import environment
from tests.workflows.story import Stage

SIZES = (1, 5, 20, 60)
HEAD = ("affected", "seconds", "events", "scan kB", "children kB", "repair kB", "largest kB", "artifacts kB")


async def measure(on: Stage) -> list[str]:
    began = time.perf_counter()
    report = await on.scan(policy=wide.POLICY)
    seconds = time.perf_counter() - began
    repair_id = report.rows[0].repair_workflow_id or ""
    await on.repair(repair_id)
    incidents = [f"incident/{on.environment_id}/{row.service_id}" for row in report.rows]
    found = await wide.histories(on.client, *on.scans, *incidents, repair_id)
    size = {name: sum(event.ByteSize() for event in history.events) for name, history in found.items()}
    children = sum(size[name] for name in incidents)
    store = cast(MemoryStore, on.world.artifacts.objects)
    kept = sum([meta["size"] async for batch in store.list() for meta in batch])
    events = sum(len(history.events) for history in found.values())
    bytes_ = (size[on.scans[0]], children, size[repair_id], max(wide.largest(found).values()), kept)
    return [str(len(report.rows)), f"{seconds:.1f}", str(events), *(f"{each / 1e3:.0f}" for each in bytes_)]


async def run() -> None:
    print(("{:>14}" * len(HEAD)).format(*HEAD))
    async with await environment() as temporal:
        for affected in SIZES:
            async with wide.monorepo(temporal, affected=affected) as on:
                print(("{:>14}" * len(HEAD)).format(*await measure(on)), flush=True)


def main() -> None:
    asyncio.run(run())


if __name__ == "__main__":
    main()

"""What a Temporal server counts by itself: billable actions, and calls that it refused."""

import asyncio
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from temporalio.testing import WorkflowEnvironment

from tests.workflows.conftest import environment

LINE = re.compile(r"(?P<name>\w+)\{(?P<labels>.*)\} (?P<value>\S+)")


@dataclass(frozen=True)
class Metered:
    """A server, and the address of its metrics."""

    temporal: WorkflowEnvironment
    url: str

    def _sum(self, metric: str, label: str, **only: str) -> Counter[str]:
        found: Counter[str] = Counter()
        for line in httpx.get(self.url).text.splitlines():
            match = LINE.fullmatch(line)
            if match is None or match["name"] != metric:
                continue
            labels = dict(re.findall(r'(\w+)="([^"]*)"', match["labels"]))
            if all(labels.get(name) == value for name, value in only.items()):
                found[labels.get(label, "")] += int(float(match["value"]))
        return found

    async def actions(self) -> Counter[str]:
        """Count billable actions by kind, as Temporal Cloud does, without those of the server's own runs.

        Wait for the end of what runs, and of the second by which the server's metrics lag.
        """
        found, counted = self._sum("action", "action_type", namespace="default"), None
        while found != counted:
            await asyncio.sleep(1.5)
            found, counted = self._sum("action", "action_type", namespace="default"), found
        return found

    def refused(self) -> int:
        """Count the calls that were refused because there were too many, by the client's repeats too."""
        return sum(self._sum("service_errors_resource_exhausted", "operation").values())


@asynccontextmanager
async def metered() -> AsyncIterator[Metered]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    async with await environment(arguments=("--metrics-port", str(port))) as temporal:
        yield Metered(temporal, f"http://127.0.0.1:{port}/metrics")

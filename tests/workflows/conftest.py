"""A time-skipping Temporal server, and workers with the production plugin and stand-in activities."""

import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from workflows.shared.plugin import railmend_plugin
from workflows.shared.search_attributes import REGISTRY

SETTINGS = (
    "frontend.WorkflowTimeSkippingEnabled=true",
    "history.transferProcessorMaxPollRPS=300",
    "history.timerProcessorMaxPollRPS=300",
    'history.timerProcessorMaxTimeShift="10ms"',
)


async def environment(*more: str, arguments: Sequence[str] = ()) -> WorkflowEnvironment:
    """Start a server. `more`: further values of its dynamic configuration."""
    values = [part for value in (*SETTINGS, *more) for part in ("--dynamic-config-value", value)]
    return await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=str(Path(sys.executable).with_name("temporal")),
        dev_server_extra_args=[*values, *arguments],
        plugins=[railmend_plugin()],
        search_attributes=REGISTRY,
    )


# A server that nobody asks takes two hundredths of a processor: none waits for the next file of its tests.
@pytest.fixture(scope="module")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    async with await environment() as started:
        yield started

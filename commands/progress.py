"""What a scan and its repairs do, told while they do it."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError

from commands.report import ScanResult, render
from commands.show import current_details
from railmend.contracts.repair import RepairOutcome, RepairResult
from railmend.contracts.scan import HealthReport, ServiceRow
from railmend.settings import ConfigurationError
from workflows.repair.repository_repair import RepositoryRepair
from workflows.scan.health_scan import HealthScan

T = TypeVar("T")
POLL_SECONDS = 1.0
# A repair takes minutes, and each look costs its worker a replay.
REPAIR_POLL_SECONDS = 2.0
# Unanswered so often, it is no longer a worker that is only starting.
PATIENCE = 10
MOST = 200


class ProgressPrinter:
    """Says each thing once. `stage`: what comes first on the line, dimmed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: set[tuple[str, str]] = set()

    def say(self, stage: str, text: str) -> None:
        if (stage, text) not in self._said:
            self._said.add((stage, text))
            self._console.print(f"[dim]{stage}[/] {escape(text)}", soft_wrap=True)


async def follow(
    client: Client, handle: WorkflowHandle[HealthScan, HealthReport], console: Console
) -> ScanResult:
    """Until the scan has ended, and each repair it started has its pull request, ended or waits for a person.

    Raises `ConfigurationError` where the scan fails.
    """
    voice = ProgressPrinter(console)
    voice.say("scan", handle.id)
    with console.status("scanning"):  # turns on a terminal, and is nothing elsewhere
        report = await _watch_scan(handle, voice)
    repairs = sorted({row.repair_workflow_id for row in report.rows if row.repair_workflow_id})
    with console.status("repairing"):
        results = await asyncio.gather(*(_watch_repair(client, one, voice) for one in repairs))
    found = dict(zip(repairs, results, strict=True))
    ending = ScanResult(
        report=report,
        repairs={name: result for name, result in found.items() if result},
        waiting=tuple(name for name, result in found.items() if result is None),
    )
    render(ending, console)
    return ending


async def _watch_scan(
    handle: WorkflowHandle[HealthScan, HealthReport], voice: ProgressPrinter
) -> HealthReport:
    unanswered = 0
    result = asyncio.ensure_future(handle.result())
    while not result.done():
        await asyncio.wait([result], timeout=POLL_SECONDS)
        if result.done():
            break
        rows = await _answer(handle.query(HealthScan.rows))
        unanswered = unanswered + 1 if rows is None else 0
        if unanswered == PATIENCE:
            voice.say("waits", "for a worker: start `worker.py`, or end this with Ctrl-C; the scan stays.")
        for row in rows or ():
            _tell(row, voice)
    try:
        report = result.result()
    except WorkflowFailureError as error:
        cause = getattr(error.cause, "cause", None) or error.cause
        raise ConfigurationError(f"The scan failed: {getattr(cause, 'message', cause)}") from error
    for row in report.rows:
        _tell(row, voice)
    return report


def _tell(row: ServiceRow, voice: ProgressPrinter) -> None:
    for finding in row.findings:
        voice.say("found", f"{row.name}: {finding.sentence}")
    if row.findings and row.verdict not in ("affected", "healthy"):
        voice.say("verdict", f"{row.name}: {row.verdict} ({row.detail})")


async def _watch_repair(client: Client, workflow_id: str, voice: ProgressPrinter) -> RepairResult | None:
    """Until its pull request is open; what becomes of that, the repair follows alone for days.

    None where it waits for a person.
    """
    voice.say("repair", workflow_id)
    handle = client.get_workflow_handle_for(RepositoryRepair.run, workflow_id)
    ended = asyncio.ensure_future(handle.result())
    try:
        while (result := await _answer(handle.query(RepositoryRepair.opened))) is None and not ended.done():
            if await _answer(handle.query(RepositoryRepair.waits_for_approval)):
                return None
            if stage := (await current_details(client, workflow_id)).partition("\n")[0]:
                voice.say("repair", f"{workflow_id}: {stage}")
            await asyncio.wait([ended], timeout=REPAIR_POLL_SECONDS)
        result = result or await ended
    except WorkflowFailureError as error:
        result = RepairResult(outcome=RepairOutcome.FAILED, reason=str(error.cause or error))
    finally:
        ended.cancel()
    where = result.pull_request.url if result.pull_request else result.reason[:MOST]
    voice.say("repaired", f"{workflow_id}: {result.outcome.value} {where}")
    return result


async def _answer(query: Awaitable[T]) -> T | None:
    """None while no worker answers: progress is a nicety."""
    try:
        return await query
    except RPCError:
        return None

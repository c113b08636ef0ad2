"""Print what a scan and its repairs do while they do it."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.service import RPCError

from activities.runs import task_failure
from commands import runs
from commands.scan_result import ScanResult, render
from railmend.contracts.repair import RepairOutcome, RepairResult
from railmend.contracts.scan import HealthReport, ServiceRow
from railmend.contracts.status import RepairStatus, ending_label
from railmend.settings import ConfigurationError
from workflows.shared.failures import reason_of

T = TypeVar("T")
POLL_SECONDS = 1.0
# A repair takes minutes, and each query costs its worker a replay.
REPAIR_POLL_SECONDS = 2.0
# A query without a worker hangs: what the scan waits for is said within five seconds.
QUERY_PATIENCE = timedelta(seconds=2)
# An activity or a task that no worker has taken after this waits for one.
UNTAKEN = timedelta(seconds=2)
MOST_CHARACTERS = 200  # of a repair's reason


class ProgressPrinter:
    """Prints each line once. `stage`: what comes first on the line, dimmed."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._printed: set[tuple[str, str]] = set()

    def print(self, stage: str, text: str) -> None:
        if (stage, text) not in self._printed:
            self._printed.add((stage, text))
            self._console.print(f"[dim]{stage}[/] {escape(text)}", soft_wrap=True)


async def follow(client: Client, handle: WorkflowHandle[Any, HealthReport], console: Console) -> ScanResult:
    """Follow a scan to its end, and each repair until it has its pull request, ended or waits for a person.

    Raises `ConfigurationError` where the scan fails.
    """
    printer = ProgressPrinter(console)
    printer.print("scan", handle.id)
    with console.status("scanning"):  # turns on a terminal, and is nothing elsewhere
        report = await _watch_scan(client, handle, printer)
    repairs = sorted({row.repair_workflow_id for row in report.rows if row.repair_workflow_id})
    with console.status("repairing"):
        results = await asyncio.gather(
            *(_watch_repair(client, workflow_id, printer) for workflow_id in repairs)
        )
    by_id = dict(zip(repairs, results, strict=True))
    scan_result = ScanResult(
        report=report,
        repairs={repair: ended for repair, ended in by_id.items() if isinstance(ended, RepairResult)},
        waiting={repair: ended for repair, ended in by_id.items() if isinstance(ended, str)},
    )
    render(scan_result, console)
    return scan_result


async def _watch_scan(
    client: Client, handle: WorkflowHandle[Any, HealthReport], printer: ProgressPrinter
) -> HealthReport:
    result = asyncio.ensure_future(handle.result())
    telling = asyncio.ensure_future(_tell_waits(client, handle, printer))
    try:
        while not result.done():
            await asyncio.wait([result], timeout=POLL_SECONDS)
            if result.done():
                break
            query = handle.query("rows", result_type=list[ServiceRow], rpc_timeout=QUERY_PATIENCE)
            for row in await _answer(query) or ():
                _print_row(row, printer)
    finally:
        telling.cancel()
    try:
        report = result.result()
    except WorkflowFailureError as error:
        raise ConfigurationError(f"The scan failed: {runs.reason_of(error)}") from error
    for row in report.rows:
        _print_row(row, printer)
    return report


async def _tell_waits(
    client: Client, handle: WorkflowHandle[Any, HealthReport], printer: ProgressPrinter
) -> None:
    """Say what the scan waits for, if anything, without waiting for a worker that answers queries."""
    while True:
        await asyncio.sleep(POLL_SECONDS)
        if waits := await _waits_for(client, handle):
            printer.print("waits", waits)


def _print_row(row: ServiceRow, printer: ProgressPrinter) -> None:
    for finding in row.findings:
        printer.print("found", f"{row.name}: {finding.sentence}")
    if row.findings and row.verdict not in ("affected", "healthy"):
        printer.print("verdict", f"{row.name}: {row.verdict} ({row.detail})")


async def _watch_repair(client: Client, workflow_id: str, printer: ProgressPrinter) -> RepairResult | str:
    """Follow a repair until its pull request is open; it goes on alone for days after that.

    Return the command that answers where it waits for a person.
    """
    printer.print("repair", workflow_id)
    handle = runs.handle_of(client, workflow_id)
    ended = asyncio.ensure_future(handle.result())
    try:
        while not ended.done():
            status: RepairStatus | None = await _answer(handle.query("status", result_type=RepairStatus))
            if status is not None:
                printer.print("repair", f"{workflow_id}: {status.sentence}")
                if status.command:
                    return status.command
                if status.link:
                    break
            await asyncio.wait([ended], timeout=REPAIR_POLL_SECONDS)
        result: RepairResult = await _answer(handle.query("opened", result_type=RepairResult)) or await ended
    except WorkflowFailureError as error:
        result = RepairResult(outcome=RepairOutcome.FAILED, reason=str(error.cause or error))
    finally:
        ended.cancel()
    where = result.pull_request.url if result.pull_request else result.reason[:MOST_CHARACTERS]
    printer.print("repaired", f"{workflow_id}: {ending_label(result.outcome.value)}. {where}")
    return result


async def _waits_for(client: Client, handle: WorkflowHandle[Any, HealthReport]) -> str:
    """Return what the scan waits for, and until when, as Temporal knows it; empty while it gets on."""
    run = await _answer(handle.describe(rpc_timeout=QUERY_PATIENCE))
    if run is None:
        return ""
    now, raw = datetime.now(UTC), run.raw_description
    if raw.pending_workflow_task.attempt > 1:
        return f"for working code: its workflow task keeps failing{await task_failure(client, run)}"
    for pending in raw.pending_activities:
        if pending.HasField("last_failure") and pending.attempt > 1:
            error = await client.data_converter.decode_failure(pending.last_failure)
            until = pending.next_attempt_schedule_time.ToDatetime(UTC)
            again = f"It is tried again at {until:%H:%M:%S} UTC" if until > now else "It is being tried again"
            # The server puts a long failure into one that says only that it is long.
            return f"{reason_of(error)} {again} (attempt {pending.attempt})."
    task = raw.pending_workflow_task
    taken = [task.HasField("started_time")] if raw.HasField("pending_workflow_task") else []
    since = [task.scheduled_time.ToDatetime(UTC)] if taken else []
    taken += [pending.HasField("last_started_time") for pending in raw.pending_activities]
    since += [pending.scheduled_time.ToDatetime(UTC) for pending in raw.pending_activities]
    if any(not started and now - at > UNTAKEN for started, at in zip(taken, since, strict=True)):
        return "for a worker: start `worker.py`, or end this with Ctrl-C; the scan waits until one polls."
    return ""


async def _answer(query: Awaitable[T]) -> T | None:
    """Return None if no worker answered; progress output is best effort."""
    try:
        return await query
    except RPCError:
        return None

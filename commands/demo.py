"""`starter.py demo`: the whole loop on this machine, with real parts and no account."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import console, run

if TYPE_CHECKING:
    from rich.console import Console

    from commands.demo_steps import DemoProcesses
    from commands.scan_result import ScanResult


def demo(
    keep: Annotated[bool, typer.Option(help="Leave everything running to look at, until Ctrl-C.")] = False,
    state: Annotated[Path | None, typer.Option(help="Keep repositories, logs and history here.")] = None,
) -> None:
    """Show the whole loop here, without an account.

    Real services, a real Temporal server, a real OpenCode, real git.
    """
    raise typer.Exit(run(_demo(keep, state, console())))


async def _demo(keep: bool, state: Path | None, console: "Console") -> int:
    """Return exit code 0 when each broken service has its pull request and the healthy one has none."""
    import shutil
    import tempfile

    from commands.demo_steps import DemoProcesses

    folder = state or Path(tempfile.mkdtemp(prefix="railmend-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    processes = DemoProcesses(folder, console)
    try:
        code = await _play(processes)
        if keep:
            await _until_interrupted(processes)
        return code
    finally:
        processes.stop()
        if state is None and not keep:
            shutil.rmtree(folder, ignore_errors=True)


async def _play(processes: "DemoProcesses") -> int:
    from commands.demo_steps import environment, triggered, until_symptoms
    from commands.durations import interval
    from commands.progress import follow
    from commands.scan_request import scan_request
    from commands.schedule import create_or_update
    from hosting import clients
    from hosting.connection import local
    from hosting.dev_server import Running
    from railmend.contracts.autonomy import Autonomy
    from railmend.settings import Settings

    console = processes.console
    console.print("[bold]1[/] A miniature Railway starts four real services; three of them have a bug.")
    processes.start("railyard", ["-m", "railyard", "--state", str(processes.state / "railyard")], {})
    railyard = await processes.wait_for(processes.state / "railyard" / "railyard.json")
    variables = environment(railyard, processes.state)
    console.print("[bold]2[/] A worker starts, and brings its own Temporal server.")
    processes.start("worker", ["worker.py", "--dev"], variables)
    temporal = Running.model_validate(await processes.wait_for(processes.state / "worker" / "temporal.json"))
    console.print(f"  Temporal Web UI: {temporal.ui}\n  Repositories:    {variables['FORGE_URL']}")
    console.print("[bold]3[/] Traffic flows until there are symptoms to measure, in about a minute.")
    os.environ.update(variables)  # from here on this process is an ordinary starter.py
    settings = local(Settings(), temporal.address)
    with console.status("measuring"):
        await until_symptoms(settings, console)
    client = await clients.temporal(settings)
    console.print("[bold]4[/] The schedule starts the health scan.")
    schedule = await create_or_update(client, scan_request(settings, Autonomy.PULL_REQUEST), interval("10m"))
    result = await follow(client, await triggered(client, schedule), console)
    console.print(f"Temporal Web UI: {temporal.ui}")
    return _verdict(result, console)


def _verdict(result: "ScanResult", console: "Console") -> int:
    from rich.markup import escape

    from commands.demo_steps import BROKEN, HEALTHY

    pull_requests = result.pull_requests()
    missing = [name for name in BROKEN if name not in pull_requests]
    wrong = [name for name in HEALTHY if name in pull_requests]
    problems = [f"`{name}` got no pull request: {_reason(result, name)}" for name in missing]
    problems += [f"`{name}` got a pull request, and nothing was wrong with it." for name in wrong]
    for problem in problems:
        console.print(f"[red]{escape(problem)}[/]", soft_wrap=True)
    if problems:
        return 1
    console.print("[green]Each broken service has its pull request; the healthy one was left alone.[/]")
    return 0


def _reason(result: "ScanResult", name: str) -> str:
    """Return why a service has no pull request, in one sentence."""
    for row in result.report.rows:
        if row.name == name:
            repair = result.repairs.get(row.repair_workflow_id or "")
            reason = repair.reason if repair else row.detail or row.verdict
            return f"{reason.rstrip('.') or 'no reason is known'}."
    return "the scan found nothing wrong with it."


async def _until_interrupted(processes: "DemoProcesses") -> None:
    import asyncio
    import signal

    processes.console.print(f"Left running; logs in {processes.state}. Stop with Ctrl-C.")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()

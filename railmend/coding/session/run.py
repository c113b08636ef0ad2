"""Runs a coding session: starts its server, watches its quota, and stops the server at the end."""

from collections.abc import Callable
from functools import partial

from railmend.coding.metering.meter import SessionLimits, Usage
from railmend.coding.sandbox.interface import RepairPaths, Sandbox
from railmend.coding.sandbox.quota import Quota, Watch, watching
from railmend.coding.session.follow import SessionLost, SessionProgress, Task, follow
from railmend.coding.session.server import CodingServer
from railmend.contracts.repair import CodingResult, CodingState


async def run_session(
    server: CodingServer,
    sandbox: Sandbox,
    paths: RepairPaths,
    task: Task,
    limits: SessionLimits,
    quota: Quota,
    on_progress: Callable[[SessionProgress], None],
) -> CodingResult:
    """Start or adopt the server, follow the session to its end, stop the server.

    A stopped server loses nothing: its state is on disk, the next attempt continues.
    """
    await server.start_or_adopt()
    pid, last = server.pid(), SessionProgress(session_id="")

    def note(progress: SessionProgress) -> None:
        nonlocal last
        last = progress
        on_progress(progress)

    def end() -> None:
        if pid is not None:
            sandbox.end(paths, pid)

    try:
        async with watching(partial(sandbox.usage, paths, pid), quota, end) as watch:
            try:
                async with server.connect() as client:
                    counted = partial(_usage, server, watch)
                    return await follow(client, task, limits, note, counted)
            except SessionLost as lost:
                if watch.reason is None:
                    raise SessionLost(f"{lost} {await server.ending()}".strip()) from lost
                return CodingResult(
                    state=CodingState.ABORTED,
                    session_id=last.session_id,
                    text="",
                    reason=watch.reason,
                    model_calls=last.model_calls,
                    tokens=last.tokens,
                    cost_usd=last.cost_usd,
                )
    finally:
        await server.stop()


def _usage(server: CodingServer, watch: Watch) -> Usage | None:
    """Return the usage; an exceeded quota ends the session even where the server cannot be killed."""
    usage = server.usage()
    if watch.reason is None:
        return usage
    return (usage or Usage()).model_copy(update={"refused": watch.reason})

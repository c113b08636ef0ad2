"""Options that several commands share, and how a command hands out its result."""

import json
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console

PROGRAM = "starter.py"
# The values of `railmend.contracts.autonomy.Autonomy`, whose import would slow --help down.
Level = Literal["report", "plan", "draft", "pull_request"]
T = TypeVar("T")
COMPLETION_SECONDS = 2  # a person waits for it with a finger on the key

AutonomyOption = Annotated[
    Level | None,
    typer.Option(
        "--autonomy", help="How far Railmend may go alone; default: as the project's setting allows."
    ),
]
ProjectOption = Annotated[
    str | None,
    typer.Option(
        "--project", metavar="NAME", help="A project of railmend.toml; not needed where there is only one."
    ),
]
WindowOption = Annotated[
    str | None,
    typer.Option(
        "--window",
        metavar="TIME",
        help="How far to look back: 90s, 30m, 3h, or seconds; default: the setting.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON alone on standard output.")]


def complete_names(incomplete: str) -> list[str]:
    """Return the services that runs are about, for the shell; none where Temporal does not answer at once."""
    import asyncio

    async def names() -> list[str]:
        from commands.runs import known_names
        from hosting import clients
        from railmend.settings_file import load_settings

        async with asyncio.timeout(COMPLETION_SECONDS):
            return await known_names(await clients.temporal(load_settings(), tries=1))

    try:
        return [name for name in asyncio.run(names()) if name.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - an error in the middle of a typed line helps nobody
        return []


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command to its end; what the user can fix ends it with code 2 and one sentence."""
    from hosting.cli_runtime import run_main

    return run_main(PROGRAM, work)


def console(*, progress_beside_json: bool = False) -> "Console":
    """Return a console with colours on a terminal; elsewhere lines are 160 columns wide."""
    from commands.terminal import SafeConsole

    out = SafeConsole(stderr=progress_beside_json, highlight=False)
    return out if out.is_terminal else SafeConsole(stderr=progress_beside_json, highlight=False, width=160)


def emit(data: Any) -> None:
    """Print one JSON document on standard output."""
    typer.echo(json.dumps(data, indent=2, default=str))

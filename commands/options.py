"""Options that several commands share, and how a command hands out its result."""

import json
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TextIO, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console

PROGRAM = "starter.py"
# The values of `railmend.contracts.autonomy.Autonomy`, whose import would slow --help down.
Level = Literal["report", "plan", "draft", "pull_request"]
T = TypeVar("T")
# Errors whose messages say what to do, by module, so that none is imported for its error alone.
EXPECTED = (
    ("railmend.settings", "ConfigurationError"),
    ("commands.condense", "FormatError"),
    ("railmend.railway.errors", "RailwayError"),
    ("railmend.artifacts", "ArtifactError"),
    ("railmend.artifacts", "ArtifactGone"),
    ("temporalio.service", "RPCError"),
)
COMPLETION_SECONDS = 2  # a person waits for it with a finger on the key

AutonomyOption = Annotated[
    Level | None,
    typer.Option("--autonomy", help="How far Railmend may go alone; default: the project's setting."),
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
        from commands.runs import connected, known_names

        async with asyncio.timeout(COMPLETION_SECONDS):
            return await known_names((await connected())[1])

    try:
        return [name for name in asyncio.run(names()) if name.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - an error in the middle of a typed line helps nobody
        return []


def name_argument(help_: str) -> Any:
    """Return the argument of a command that takes a service, or the workflow ID of a run."""
    return typer.Argument(metavar="SERVICE|ID", help=help_, autocompletion=complete_names)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command to its end; what the user can fix ends it with code 2 and one sentence."""
    from hosting.cli_runtime import run_main

    with worded():
        return run_main(PROGRAM, work)


@contextmanager
def worded() -> Iterator[None]:
    """End the command with code 2 where what a person can fix is raised within: its message is a sentence."""
    try:
        yield
    except Exception as error:
        if isinstance(error, _expected()):
            step = " `starter.py doctor` checks the server." if type(error).__name__ == "RPCError" else ""
            fail(f"{error}{step}")
        raise


def _expected() -> tuple[type[Exception], ...]:
    """Return the classes of `EXPECTED`; from a module that is not imported nothing was raised."""
    found = ((sys.modules.get(module), name) for module, name in EXPECTED)
    return tuple(getattr(module, name) for module, name in found if module is not None)


def fail(sentence: str) -> NoReturn:
    """End the command: what was asked for cannot be done as it was asked."""
    typer.echo(f"{PROGRAM}: {sentence}", err=True)
    raise typer.Exit(2)


def opened(file: Path) -> TextIO:
    """Open a file to be read; `-` is standard input."""
    return sys.stdin if str(file) == "-" else file.open(encoding="utf-8")


@contextmanager
def using(file: Path, what: str = "read") -> Iterator[None]:
    """Raise `ConfigurationError` where a file cannot be read, or written, within."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read the output has seen enough
    except (OSError, UnicodeDecodeError) as error:
        from railmend.settings import ConfigurationError

        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"{file} cannot be {what}: {reason}.") from error


def console(*, progress_beside_json: bool = False) -> "Console":
    """Return a console with colours on a terminal; elsewhere lines are 160 columns wide."""
    from commands.terminal import SafeConsole

    out = SafeConsole(stderr=progress_beside_json, highlight=False)
    return out if out.is_terminal else SafeConsole(stderr=progress_beside_json, highlight=False, width=160)


def emit(data: Any) -> None:
    """Print one JSON document on standard output."""
    typer.echo(json.dumps(data, indent=2, default=str))


def answer(data: Any, *lines: str, as_json: bool) -> None:
    """Print the result of a command as JSON, or in lines."""
    if as_json:
        emit(data)
        return
    for line in lines:
        typer.echo(line)

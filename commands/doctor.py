"""`starter.py doctor`: is everything there that Railmend needs? No check hides another."""

from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import JsonOption, console, emit, run

if TYPE_CHECKING:
    from rich.console import Console

    from commands.checks.check import CheckResult


def doctor(
    ask_model: Annotated[
        bool,
        typer.Option("--ask-model/--no-ask-model", help="Ask the model for one word."),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Check every requirement and say how to fix what is missing.

    One line a check; nothing hides another. Ends with code 1 if one fails.
    """
    from commands.checks.check import any_failed, render_totals

    results = run(run_checks(None if as_json else console(), ask_model=ask_model))
    if as_json:
        emit([result.model_dump(mode="json") for result in results])
    else:
        render_totals(results, console())
    if any_failed(results):
        raise typer.Exit(1)


async def run_checks(output: "Console | None", *, ask_model: bool) -> "list[CheckResult]":
    """Run all checks side by side; given a console, print each result, in order, and what is waited for."""
    from pathlib import Path

    from commands.checks import github, machine, models, railway, temporal
    from commands.checks.check import bad, ok, print_results, results_of
    from railmend.secrets import ENV_FILE
    from railmend.settings import ConfigurationError, config_file
    from railmend.settings_file import load_settings

    try:
        settings = load_settings()
    except ConfigurationError as error:
        hint = "fix it first, the other checks need it; a running worker keeps the last good settings"
        wrong = [result for message in str(error).splitlines() for result in bad("settings", message, hint)]
        print_results(wrong, output)
        return wrong
    files = [str(file) for file in (Path(ENV_FILE), config_file()) if file.is_file()]
    read = ok("settings", f"read from {', '.join((*files, 'the environment'))}")
    print_results(read, output)
    checks = (
        *temporal.checks(settings),
        *railway.checks(settings),
        *github.checks(settings),
        *models.checks(settings, ask=ask_model),
        *machine.checks(settings),
    )
    return read + await results_of(checks, output)

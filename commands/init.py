"""`starter.py init`: ask for what a first report needs, try each answer, and write it down."""

import sys
from typing import TYPE_CHECKING

import typer

from commands.options import fail, run

if TYPE_CHECKING:
    from pydantic import SecretStr

    from railmend.railway.choices import EnvironmentChoice
    from railmend.settings import Settings

TOKEN, PROJECT, ENVIRONMENT = "RAILWAY_TOKEN", "RAILWAY_PROJECT_ID", "RAILWAY_ENVIRONMENT_ID"
WHERE = "Railway: project -> Settings -> Tokens, for one environment; or Account Settings -> Tokens, for all."


def init() -> None:
    """Ask for what a first report needs, and write it to .env.

    Each answer is checked with Railway. Existing values in .env are kept unless you choose otherwise.
    """
    if not sys.stdin.isatty():
        fail(
            "init asks questions, and this is not a terminal. Write .env by hand, as "
            "docs/getting-started.md says, or run init in a terminal."
        )
    if not run(_init()):
        raise typer.Exit(1)


async def _init() -> bool:
    """Return whether what was written works. Raises `ConfigurationError` where settings are wrong already."""
    from commands.checks import railway
    from commands.checks.check import any_failed, conclude, line
    from commands.options import console
    from railmend.settings_file import load_settings

    settings = load_settings()
    if settings.projects:
        fail("PROJECTS or railmend.toml names the projects already: add yours there, see docs/settings.md.")
    token, choices = await _ask_for_token(settings)
    if not _write(settings, token, _choose(choices)):
        typer.echo("Nothing was changed.")
        return True
    settings = load_settings()
    results = [result for check in railway.checks(settings) for result in await conclude(check)]
    for result in results:
        console().print(line(result), soft_wrap=True, highlight=False)
    if not any_failed(results):
        typer.echo(_next(settings))
    return not any_failed(results)


async def _ask_for_token(settings: "Settings") -> "tuple[SecretStr, list[EnvironmentChoice]]":
    """Return a token that Railway takes, and what it reaches; ask until there is one."""
    from pydantic import SecretStr

    from railmend.railway.choices import environment_choices
    from railmend.railway.errors import RailwayError

    token = settings.railway_token
    if token and not typer.confirm(f"{TOKEN} is set already. Keep it?", default=True):
        token = None
    while True:
        if token is None:
            typer.echo(WHERE)
            token = SecretStr(typer.prompt("Railway token (not shown)", hide_input=True).strip())
        try:
            choices = await environment_choices(settings.railway_api_url, token)
        except RailwayError as error:
            if error.retryable:  # not the token's fault
                raise
            typer.echo(f"Railway rejects it: {error}")
        else:
            if choices:
                return token, choices
            typer.echo("This token has access to no project: create one in the project's workspace.")
        token = None


def _choose(choices: "list[EnvironmentChoice]") -> "EnvironmentChoice":
    from railmend.evidence.escaping import visible

    if len(choices) == 1:
        return choices[0]
    for number, each in enumerate(choices, 1):
        typer.echo(f"{number:>3}  {visible(each.project)} / {visible(each.environment)}")
    while True:
        chosen: int = typer.prompt(f"Which one should Railmend watch? 1 to {len(choices)}", type=int)
        if 1 <= chosen <= len(choices):
            return choices[chosen - 1]


def _write(settings: "Settings", token: "SecretStr", choice: "EnvironmentChoice") -> bool:
    """Write what is new to .env, for its owner alone. Return False where a person keeps what is there."""
    import os
    from pathlib import Path

    from dotenv import dotenv_values, set_key

    from commands.options import using
    from railmend.secrets import ENV_FILE

    watched = (settings.railway_project_id, settings.railway_environment_id)
    if any(watched) and watched != (choice.project_id, choice.environment_id):
        question = f"Environment {watched[1]} is watched now. Watch {choice.environment_id} instead?"
        if not typer.confirm(question, default=False):
            return False
    file = Path(ENV_FILE)
    values = {PROJECT: choice.project_id, ENVIRONMENT: choice.environment_id}
    if token != settings.railway_token:
        values[TOKEN] = token.get_secret_value()
    if TOKEN in values and {**dotenv_values(file), **os.environ}.get(f"{TOKEN}_FILE"):
        fail(f"{TOKEN}_FILE is set: put the new token into that file, and run init again.")
    if hiding := [name for name in values if name in os.environ]:
        fail(f"{hiding[0]} is set in the environment, which hides {file}: unset it, and run init again.")
    with using(file, "written"):
        file.touch(0o600)
        file.chmod(0o600)
        for name, value in values.items():
            set_key(file, name, value, quote_mode="auto", follow_symlinks=True)
    typer.echo(f"Written to {file}: {', '.join(sorted(values))}.")
    return True


def _next(settings: "Settings") -> str:
    """Return what to do now, and what the next steps add and cost."""
    policy = settings.policy()
    periods = ((policy.budget.day.usd, "a day"), (policy.budget.month.usd, "a month"))
    limits = [f"{usd:g} {period}" for usd, period in periods if usd is not None]
    lines = (
        "Now, in two terminals:",
        "  .venv/bin/python worker.py --dev --dev-port 7233",
        "  .venv/bin/python starter.py scan --autonomy report    # costs nothing: no model, no change",
        "Then, in .env:",
        "  MODEL, MODEL_API_KEY    diagnoses, for at most "
        f"{', '.join([f'{policy.diagnosis_usd:g} USD each', *limits])}",
        f"  GITHUB_TOKEN            pull requests, for at most {policy.session_usd:g} USD of the model each",
        "docs/getting-started.md says where each comes from.",
    )
    return "\n".join(("", *lines))

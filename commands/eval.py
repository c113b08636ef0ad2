"""`starter.py eval`: how well the model judges, on cases with a known answer."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commands.options import JsonOption, emit, run, using

if TYPE_CHECKING:
    from evals.case import Case
    from evals.score import Score, Summary
    from evals.session import Agent
    from railmend.settings import Settings


def eval(  # noqa: PLR0913 - one for each option
    names: Annotated[list[str] | None, typer.Argument(help="Cases; default: all.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Only so many of them, chosen at random.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random choice.")] = 0,
    repeats: Annotated[int, typer.Option(min=1, help="How often to run each.")] = 1,
    at_once: Annotated[int, typer.Option(min=1, help="How many to run at a time.")] = 4,
    sessions: Annotated[
        bool,
        typer.Option(
            "--sessions", help="Also run a coding session where code is blamed, and test its change."
        ),
    ] = False,
    who: Annotated[str, typer.Option(help="Name of the model in the table.")] = "",
    out: Annotated[Path | None, typer.Option(help="Append each run to this file, as a line of JSON.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how well MODEL judges, and print a row of a table.

    Plays cases with a known answer, offline except for the model. With --sessions
    it also runs a coding session in the sandbox where a change is right, and the
    hidden test on that change. Exit code 1: nothing ran, or some of it failed.
    """

    async def played() -> "Summary":
        cases = _chosen(names or [], sample, seed)
        return await _eval(cases, repeats, at_once, who, out, as_json, sessions=sessions)

    summary = run(played())
    raise typer.Exit(0 if summary.ran and not summary.failed else 1)


def _chosen(names: Sequence[str], sample: int | None, seed: int) -> "list[Case]":
    """Return the cases of these names. Raise `ConfigurationError` for a name that none has."""
    import random

    from evals.case import read_all
    from railmend.settings import ConfigurationError

    cases = {case.name: case for case in read_all()}
    if unknown := [name for name in names if name not in cases]:
        raise ConfigurationError(
            f"There is no case {', '.join(unknown)}; they are the folders of evals/cases."
        )
    chosen = [cases[name] for name in names or cases]
    return random.Random(seed).sample(chosen, min(sample or len(chosen), len(chosen)))  # noqa: S311


async def _eval(
    cases: "Sequence[Case]",
    repeats: int,
    at_once: int,
    who: str,
    out: Path | None,
    as_json: bool,
    *,
    sessions: bool,
) -> "Summary":
    import asyncio

    from evals.play import play
    from evals.score import score, summarised, table
    from evals.session import code
    from hosting import models
    from railmend.settings_file import load_settings

    settings = load_settings()
    model, sceptic = models.model(settings), models.sceptic(settings)
    free, one_session = asyncio.Semaphore(at_once), asyncio.Semaphore(1)
    agent = await asyncio.to_thread(_agent, settings) if sessions else None

    async def try_one(case: "Case") -> "Score":
        async with free:
            played = await play(case, model, sceptic)
        scored, coded = score(case, played), None
        if agent is not None:
            async with one_session:
                coded = await code(case, played, agent)
            scored = scored.coded(coded) if coded is not None else scored
        if out is not None:
            row = played.model_dump(mode="json", exclude={"packet"})
            row |= {"session": coded.model_dump(mode="json")} if coded else {}
            with using(out, "written"), out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        verdict = played.diagnosis.verdict.value if played.diagnosis else "nothing"
        typer.echo(f"{case.name}: {verdict}{_faults(scored)} {played.failure}".rstrip(), err=True)
        return scored

    scores = await asyncio.gather(*(try_one(case) for case in cases for _ in range(repeats)))
    summary = summarised(scores)
    if as_json:
        emit({"summary": summary.model_dump(), "scores": [each.model_dump() for each in scores]})
    else:
        typer.echo(table(summary, model.model, who, datetime.now(UTC).date()))
    if not summary.ran:
        typer.echo("Nothing ran, so there is nothing to report.", err=True)
    return summary


def _agent(settings: "Settings") -> "Agent":
    """Return what sessions run with. Blocking: the sandbox is probed."""
    from evals.session import Agent
    from hosting import clients, models

    sandbox = clients.sandbox(settings)
    return Agent(
        folder=settings.state_dir() / "evals",
        sandbox=sandbox,
        quota=clients.quota(settings),
        server_for=clients.coding_servers(settings, sandbox),
        limits=models.limits(settings),
        guard=settings.railmend_guard,
    )


def _faults(scored: "Score") -> str:
    """Return what is not right, for a person to look at."""
    wrong = [
        name
        for name in ("verdict", "pull_request", "culprit", "named", "cited", "hidden")
        if getattr(scored, name) is False
    ]
    wrong += ["wrong_code"] if scored.wrong_code else []
    return f" (not right: {', '.join(wrong)})" if wrong else ""

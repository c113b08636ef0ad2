"""`starter.py report`: the newest investigations with their series and repairs, as one HTML page."""

from pathlib import Path
from typing import Annotated

import typer

from commands.options import JsonOption, ProjectOption, answer, run, using


def report(
    file: Annotated[str, typer.Option("--html", metavar="FILE", help="The page to write.")],
    incident: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Workflow ID of an investigation; default: the newest of each."),
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write incidents as one HTML page.

    It begins as `status` does, what waits for you first; then each incident with charts, evidence, diagnosis
    and outcome. The page needs no network and no script.
    """
    count = run(_write(Path(file), incident, project))
    text = f"{count} incident{'' if count == 1 else 's'} written to {file}."
    answer({"file": file, "incidents": count}, text, as_json=as_json)


async def _write(file: Path, incident: str | None, project: str | None) -> int:
    """Write the page; return how many incidents it has.

    Raises `ConfigurationError` for an incident that is not known or has not ended.
    """
    from commands.page_content import read_once

    content = await read_once(project, incident)
    with using(file, "written"):
        file.write_text(content.render(), encoding="utf-8")
    return len(content.incidents)

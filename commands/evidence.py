"""`starter.py evidence`: an evidence packet out of Temporal's history."""

from typing import Annotated

import typer

from commands.options import name_argument, run


def evidence(
    incident: Annotated[str, name_argument("A service, or a workflow ID: incident/<environment>/<service>.")],
    markdown: Annotated[bool, typer.Option("--markdown", help="Print text instead of JSON.")] = False,
) -> None:
    """Export the evidence of an incident, as JSON."""
    typer.echo(run(_export(incident, markdown=markdown)))


async def _export(name: str, *, markdown: bool) -> str:
    """Return the packet as JSON with its hash, or as Markdown.

    Raises `ConfigurationError` for an investigation that is not there, has not ended, or failed.
    """
    from commands.runs import look_up, report_of
    from hosting import clients
    from railmend.contracts.incident import EvidencePacket
    from railmend.evidence.packet import export, render

    found = await look_up(name, "incident")
    packet = (await report_of(found)).packet
    stored = await clients.artifacts(found.settings).get_model(packet, EvidencePacket)
    return render(stored) if markdown else export(stored)

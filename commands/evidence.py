"""`starter.py evidence`: an evidence packet out of Temporal's history."""

from typing import Annotated

import typer

from commands.options import complete_names, run


def evidence(
    incident: Annotated[
        str,
        typer.Argument(
            metavar="SERVICE|ID",
            help="A service, or a workflow ID: incident/<environment>/<service>.",
            autocompletion=complete_names,
        ),
    ],
    markdown: Annotated[bool, typer.Option("--markdown", help="As a person reads it.")] = False,
) -> None:
    """Export the evidence of an incident, as JSON."""
    typer.echo(run(_export(incident, markdown=markdown)))


async def _export(name: str, *, markdown: bool) -> str:
    """Return the packet as JSON with its hash, or as Markdown.

    Raises `ConfigurationError` for an investigation that is not there, has not ended, or failed.
    """
    from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
    from temporalio.service import RPCError

    from commands.runs import check_kind, find, handle_of
    from hosting import clients
    from railmend.artifacts import ArtifactError, ArtifactGone
    from railmend.contracts.incident import EvidencePacket
    from railmend.evidence.packet import export, render
    from railmend.settings import ConfigurationError
    from railmend.settings_file import load_settings

    check_kind(name, "incident")
    settings = load_settings()
    client = await clients.temporal(settings, tries=1)
    incident = await find(client, name, "incident")
    handle = handle_of(client, incident)
    try:
        if (await handle.describe()).status is WorkflowExecutionStatus.RUNNING:
            raise ConfigurationError(f"{incident} has not ended yet: ask again in a minute.")
        report = await handle.result()
    except RPCError as error:
        raise ConfigurationError(
            f"No investigation {incident} ({error}). `starter.py incidents` lists IDs; "
            "histories are kept for a limited time."
        ) from error
    except WorkflowFailureError as error:
        raise ConfigurationError(f"{incident} ended without a packet ({error.cause}).") from error
    try:
        packet = await clients.artifacts(settings).get_model(report.packet, EvidencePacket)
    except (ArtifactGone, ArtifactError) as error:
        raise ConfigurationError(str(error)) from error
    return render(packet) if markdown else export(packet)

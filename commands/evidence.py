"""Evidence packets out of Temporal's history, and their diagnosis once more."""

from pathlib import Path

from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.service import RPCError

from hosting import clients
from railmend.contracts.incident import IncidentReport
from railmend.diagnosis.diagnose import diagnose
from railmend.evidence.packet import PacketError, export, load, render
from railmend.settings import ConfigurationError
from railmend.settings_file import load_settings
from workflows.incident_investigation import IncidentInvestigation


async def evidence(incident: str, *, markdown: bool) -> str:
    """The packet as JSON with its hash, or as Markdown.

    Raises `ConfigurationError` for an investigation that is not there, has not ended, or failed.
    """
    client = await clients.temporal(load_settings(), tries=1)
    handle = client.get_workflow_handle_for(IncidentInvestigation.run, incident)
    try:
        described = await handle.describe()
        if described.status is WorkflowExecutionStatus.RUNNING:
            raise ConfigurationError(f"{incident} has not ended yet: ask again in a minute.")
        report: IncidentReport = await handle.result()
    except RPCError as error:
        raise ConfigurationError(
            f"No investigation {incident} ({error}). The ids stand in the Web UI and begin with incident/; "
            "histories are kept for a limited time."
        ) from error
    except WorkflowFailureError as error:
        raise ConfigurationError(f"{incident} ended without a packet ({error.cause}).") from error
    return render(report.packet) if markdown else export(report.packet)


async def diagnose_again(file: Path) -> str:
    """The model's diagnosis as JSON; rules that need the incident itself are not asked."""
    try:
        packet = load(file.read_text(encoding="utf-8"))
    except (OSError, PacketError) as error:
        raise ConfigurationError(f"{file}: {error}") from error
    found = await diagnose(packet, clients.model(load_settings()))
    return found.model_dump_json(indent=2)

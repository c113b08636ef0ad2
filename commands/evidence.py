"""Evidence packets out of Temporal's history, and their diagnosis once more."""

import sys
from pathlib import Path

from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.service import RPCError

from hosting import clients
from railmend.contracts.incident import IncidentReport
from railmend.diagnosis.diagnose import diagnose
from railmend.diagnosis.model import ModelError
from railmend.evidence.packet import PacketError, export, load, render
from railmend.settings import ConfigurationError
from railmend.settings_file import load_settings
from workflows.investigation.incident_investigation import IncidentInvestigation


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
            f"No investigation {incident} ({error}). `starter.py incidents` lists IDs; "
            "histories are kept for a limited time."
        ) from error
    except WorkflowFailureError as error:
        raise ConfigurationError(f"{incident} ended without a packet ({error.cause}).") from error
    return render(report.packet) if markdown else export(report.packet)


async def diagnose_again(file: Path) -> str:
    """The model's diagnosis as JSON; rules that need the incident itself are not asked."""
    try:
        packet = load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}.") from error
    except (PacketError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: {error}") from error
    model = clients.model(load_settings())
    sys.stderr.write(f"Asking {model.model}; this may take a minute.\n")
    try:
        return (await diagnose(packet, model)).model_dump_json(indent=2)
    except ModelError as error:
        raise ConfigurationError(f"{error} `starter.py doctor` checks the model.") from error

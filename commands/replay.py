"""`starter.py replay`: would a history continue with the code as it is now?"""

from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.service import RPCError
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from hosting import clients
from hosting.workers import WORKFLOWS
from railmend.settings import ConfigurationError
from railmend.settings_file import load_settings
from workflows.shared.plugin import railmend_plugin


async def replay(history: str) -> str | None:
    """None where it replays, else what differs. Raises `ConfigurationError` where it cannot be had."""
    file = Path(history)
    recorded = _read(file) if file.is_file() else await _fetch(history)
    try:
        await Replayer(workflows=WORKFLOWS, plugins=[railmend_plugin()]).replay_workflow(recorded)
    except NondeterminismError as error:
        return str(error)
    return None


def _read(file: Path) -> WorkflowHistory:
    try:
        return WorkflowHistory.from_json(file.stem, file.read_text(encoding="utf-8"))
    # The parser of protobuf's JSON has an error of its own for each layer.
    except Exception as error:
        raise ConfigurationError(
            f"{file} is no recorded history ({error}). Save one with `temporal workflow show --output json`."
        ) from error


async def _fetch(workflow_id: str) -> WorkflowHistory:
    client = await clients.temporal(load_settings(), tries=1)
    try:
        return await client.get_workflow_handle(workflow_id).fetch_history()
    except RPCError as error:
        raise ConfigurationError(
            f"{workflow_id} is neither a file nor a workflow ({error.message})."
        ) from error

"""`starter.py cancel`: stop a scan, an incident or a repair."""

from typing import Annotated

from commands.options import JsonOption, answer, name_argument, run


def cancel(
    name: Annotated[str, name_argument("A service, or the workflow ID of a scan, incident or repair.")],
    as_json: JsonOption = False,
) -> None:
    """Stop a scan, an incident or a repair.

    A coding session is ended and its workspace removed.
    """
    workflow_id = run(_cancel(name))
    answer({"id": workflow_id, "decision": "cancelled"}, f"{workflow_id}: asked to stop.", as_json=as_json)


async def _cancel(name: str) -> str:
    """Return what was asked to stop. Raises `ConfigurationError` where nothing runs under this name."""
    from commands.runs import look_up
    from railmend.settings import ConfigurationError

    found = await look_up(name, "repair", "incident", "scan", "action")
    if not found.open:
        raise ConfigurationError(
            f"{found.id} has already ended. `starter.py incidents --open` lists what runs."
        )
    await found.handle.cancel()
    return found.id

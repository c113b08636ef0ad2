"""`starter.py rerun`: do again what a scan, an incident, a repair or an action did."""

from typing import TYPE_CHECKING, Annotated, TypeVar, cast

from commands.options import JsonOption, answer, name_argument, run

if TYPE_CHECKING:
    from temporalio.client import Client

    from railmend.contracts.scan import ScanRequest

Model = TypeVar("Model")


def rerun(
    name: Annotated[
        str, name_argument("A service, or the workflow ID of a scan, incident, repair or action.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Run a scan, incident, repair or action again.

    A new scan looks at the project, or at the services of an incident or repair whatever their cool-down, and
    acts on what it finds. An action that was rejected or has expired is offered again.
    """
    workflow_id = run(_rerun(name))
    answer({"id": workflow_id}, workflow_id, as_json=as_json)


async def _rerun(name: str) -> str:
    """Return the ID of what was started. Raises `ConfigurationError` where there is nothing to do again."""
    from commands.runs import look_up
    from railmend.settings import ConfigurationError

    found = await look_up(name, "repair", "incident", "scan", "action")
    if found.open and found.kind != "scan":
        raise ConfigurationError(
            f"{found.id} is open: `starter.py show {found.id}` says what it does, `starter.py cancel "
            f"{found.id}` ends it."
        )
    if found.kind == "action":
        return await _offer_again(found.client, found.id)
    return await _scan(found.client, await _request(found.client, found.kind, found.id), found.id)


async def _request(client: "Client", kind: str, workflow_id: str) -> "ScanRequest":
    """Return the scan that looks again at what this workflow was about."""
    from railmend.contracts.incident import IncidentRequest
    from railmend.contracts.scan import ScanRequest
    from workflows.repair.state import RepairState

    if kind == "scan":
        return await _input(client, workflow_id, ScanRequest)
    if kind == "incident":
        incident = await _input(client, workflow_id, IncidentRequest)
        return ScanRequest(
            project_id=incident.project_id,
            environment_id=incident.environment_id,
            again=(incident.service.service_id,),
        )
    repair = (await _input(client, workflow_id, RepairState)).request
    incidents = [report.request for report in repair.incidents]
    others = (service.service_id for service in repair.left_out)
    return ScanRequest(
        project_id=repair.project_id,
        environment_id=incidents[0].environment_id,
        again=(*(incident.service.service_id for incident in incidents), *others),
    )


async def _input(client: "Client", workflow_id: str, model: type[Model]) -> Model:
    """Return what the newest run under this ID was started with."""
    from activities.runs import input_of
    from railmend.settings import ConfigurationError

    try:
        payloads = await input_of(client.get_workflow_handle(workflow_id))
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    (decoded,) = await client.data_converter.decode(payloads[:1], [model])
    return cast("Model", decoded)


async def _scan(client: "Client", request: "ScanRequest", workflow_id: str) -> str:
    from uuid import uuid4

    from commands.scan_request import start_scan

    name = f"again-{uuid4().hex[:12]}"
    return (await start_scan(client, request, name, f"{workflow_id} again", "rerun")).id


async def _offer_again(client: "Client", workflow_id: str) -> str:
    from commands.runs import ACTION
    from railmend.contracts.action import ActionRequest
    from workflows.shared.start import ORCHESTRATION_QUEUE

    request = await _input(client, workflow_id, ActionRequest)
    handle = await client.start_workflow(ACTION, request, id=workflow_id, task_queue=ORCHESTRATION_QUEUE)
    return handle.id

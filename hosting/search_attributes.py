"""Registers the search attributes of `workflows.shared.search_attributes` at a Temporal namespace."""

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeIndexedValueType
from temporalio.service import RPCError, RPCStatusCode

from railmend.settings import ConfigurationError
from workflows.shared.search_attributes import REGISTRY

# As the `temporal` command writes them.
TYPES = {
    SearchAttributeIndexedValueType.KEYWORD: "Keyword",
    SearchAttributeIndexedValueType.KEYWORD_LIST: "KeywordList",
    SearchAttributeIndexedValueType.DOUBLE: "Double",
}
Kinds = dict[str, SearchAttributeIndexedValueType]


async def missing(client: Client) -> Kinds:
    """Return the types of the attributes that the namespace lacks, by name.

    Raise `ConfigurationError` for a name that is there with another type, `RPCError` of the server.
    """
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    wanted = {key.name: key.indexed_value_type for key in REGISTRY}
    there = answer.custom_attributes
    other = [name for name, kind in wanted.items() if there.get(name, kind.value) != kind.value]
    if other:
        raise ConfigurationError(
            f"Namespace {client.namespace}: search attributes of another type: {', '.join(other)}. Remove "
            f"them (`temporal operator search-attribute remove --name {other[0]}`) and start again."
        )
    return {name: kind for name, kind in wanted.items() if name not in there}


async def register(client: Client) -> tuple[str, ...]:
    """Create what is missing and return its names; safe to run again and by several workers.

    Raise `ConfigurationError` with the commands where the server does not let us.
    """
    lacking: Kinds = {}
    try:
        lacking = await missing(client)
        if lacking:
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(
                    namespace=client.namespace,
                    search_attributes={
                        name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{kind.name}")
                        for name, kind in lacking.items()
                    },
                )
            )
    except RPCError as error:
        if error.status is RPCStatusCode.ALREADY_EXISTS:
            return ()
        raise ConfigurationError(
            f"The search attributes could not be registered at {client.namespace} ({error.message}). "
            f"Let an administrator run: {commands(client.namespace, lacking)}"
        ) from error
    return tuple(lacking)


def commands(namespace: str, lacking: Kinds) -> str:
    """Return the `temporal` command that creates `lacking`, or all attributes when it is empty."""
    kinds = lacking or {key.name: key.indexed_value_type for key in REGISTRY}
    arguments = " ".join(f"--name {name} --type {TYPES[kind]}" for name, kind in kinds.items())
    return f"temporal operator search-attribute create --namespace {namespace} {arguments}"

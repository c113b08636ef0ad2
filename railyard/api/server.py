"""POST /graphql/v2 with Railway's auth headers and error shapes."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from inspect import isawaitable
from pathlib import Path
from typing import Any, cast

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLObjectType,
    build_schema,
    execute,
    parse,
    validate,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from railyard.api.behaviour import Behaviour, Gatekeeper, RequestError, UnnamedError
from railyard.api.resolvers import Resolvers
from railyard.api.rows import RowExecutor
from railyard.platform import Platform

SCHEMA = build_schema((Path(__file__).parent / "schema.graphql").read_text())
_DEPLOYMENT = cast("GraphQLObjectType", SCHEMA.type_map["Deployment"])
_DEPLOYMENT.fields["environment"].resolve = lambda row, info: info.root_value["environment"](
    info, id=row["environmentId"]
)


def build_api(
    platform: Platform,
    *,
    project_id: str,
    project_name: str,
    environment_id: str,
    token: str,
    gatekeeper: Gatekeeper | None = None,
    account_token: str | None = None,
) -> Starlette:
    """`token`: the project token of the one environment. `account_token`: one that is sent as a bearer's."""
    resolvers = Resolvers(
        platform, project_id=project_id, project_name=project_name, environment_id=environment_id
    )

    async def state(_: Request) -> Response:
        """Show people what runs, and its state."""
        return JSONResponse([_state(runner) for runner in platform.services.values()])

    gatekeeper = gatekeeper or Gatekeeper()
    app = graphql_app(resolvers.root, token=token, gatekeeper=gatekeeper, account_token=account_token)
    app.routes.append(Route("/_railyard/state", state))
    return app


def graphql_app(
    root: Callable[[], dict[str, Any]],
    *,
    token: str,
    gatekeeper: Gatekeeper,
    account_token: str | None = None,
) -> Starlette:
    """`root` gives the resolvers by field; `gatekeeper` counts, delays and fails on demand.

    PUT /_railyard/behaviour switches it, GET /_railyard/stats tells what was asked.
    """

    async def endpoint(request: Request) -> Response:
        if (refused := await gatekeeper.before(hinted=bool(request.url.query))) is not None:
            return refused
        content, status = await _respond(request, gatekeeper, root(), (token, account_token))
        aliases = len(content.get("data") or {})
        text = gatekeeper.after(content, aliases)
        return Response(text, status, gatekeeper.headers, media_type="application/json")

    async def behave(request: Request) -> Response:
        gatekeeper.behaviour = Behaviour.model_validate(await request.json())
        return JSONResponse({"ok": True})

    async def stats(_: Request) -> Response:
        return JSONResponse(gatekeeper.stats.model_dump())

    return Starlette(
        routes=[
            Route("/graphql/v2", endpoint, methods=["POST"]),
            Route("/_railyard/behaviour", behave, methods=["PUT"]),
            Route("/_railyard/stats", stats),
        ]
    )


async def _respond(
    request: Request, gatekeeper: Gatekeeper, root: dict[str, Any], tokens: tuple[str, str | None]
) -> tuple[dict[str, Any], int]:
    refusal = "Not Authorized" if gatekeeper.expired else _refusal(request, *tokens)
    if refusal is not None:
        return {"errors": [_error(refusal)], "data": None}, 200
    try:
        body = await request.json()
    except ValueError:  # not JSON, or not text
        body = None
    if not isinstance(body, dict) or not isinstance(body.get("query"), str):
        return {"errors": [_error("Problem processing request", "BAD_USER_INPUT")]}, 400
    return await _execute(body, gatekeeper.root(root), gatekeeper.behaviour)


def _refusal(request: Request, token: str, account_token: str | None) -> str | None:
    if request.headers.get("project-access-token") == token:
        return None
    if account_token and request.headers.get("authorization") == f"Bearer {account_token}":
        return None
    if "project-access-token" in request.headers or request.headers.get("authorization") == f"Bearer {token}":
        return "Project Token not found"
    return "Not Authorized"


def _error(message: str, code: str = "INTERNAL_SERVER_ERROR", path: list[str | int] | None = None) -> Any:
    """Put the trace id beside the message, not into the extensions."""
    trace = str(int(hashlib.sha256(message.encode()).hexdigest()[:15], 16))
    error: dict[str, Any] = {"message": message, "extensions": {"code": code}, "traceId": trace}
    return error | ({"path": path} if path else {})


@lru_cache(maxsize=256)
def _checked(query: str, missing: tuple[str, ...]) -> tuple[DocumentNode, tuple[GraphQLError, ...]]:
    """Parse and validate a document; a scan sends few different ones, and many of each."""
    document = parse(query)
    with _without(missing):
        return document, tuple(validate(SCHEMA, document))


@contextmanager
def _without(missing: tuple[str, ...]) -> Iterator[None]:
    """Take some fields, "Type.field", out of the schema: building another one takes far longer."""
    types = [cast("GraphQLObjectType", SCHEMA.type_map[name.partition(".")[0]]) for name in missing]
    whole = {kind: kind.fields for kind in types}
    for kind in whole:
        kind.fields = dict(kind.fields)
    for kind, name in zip(types, missing, strict=True):
        kind.fields.pop(name.partition(".")[2])
    try:
        yield
    finally:
        for kind, fields in whole.items():
            kind.fields = fields


def _breadth(document: DocumentNode) -> int:
    """Count the selected fields, as the limit does."""

    def count(node: Any) -> int:
        selections = node.selection_set.selections if node.selection_set else ()
        return sum(1 + count(field) for field in selections)

    return sum(count(definition) for definition in document.definitions)


async def _execute(
    body: dict[str, Any], root: dict[str, Any], behaviour: Behaviour
) -> tuple[dict[str, Any], int]:
    try:
        document, wrong = _checked(body["query"], tuple(behaviour.missing))
    except GraphQLError as error:
        return {"errors": [_error(error.message, "GRAPHQL_PARSE_FAILED")]}, 400
    if wrong:
        return {"errors": [_error(error.message, "GRAPHQL_VALIDATION_FAILED") for error in wrong]}, 400
    if behaviour.breadth is not None and _breadth(document) > behaviour.breadth:
        return {"errors": [_error(f"Query exceeds the maximum breadth of {behaviour.breadth}")]}, 400
    executed = execute(
        SCHEMA,
        document,
        root_value=root,
        variable_values=body.get("variables"),
        operation_name=body.get("operationName"),
        executor_class=RowExecutor,
    )
    result = await executed if isawaitable(executed) else executed
    content: dict[str, Any] = {"data": result.data}
    if result.errors:
        content = {"errors": [_told(error) for error in result.errors], **content}
    return content, 200


def _told(error: GraphQLError) -> Any:
    """Format an error: refusals and wrong variables with their message, a server fault without details."""
    if isinstance(error.original_error, UnnamedError):
        return _error(error.message)
    if isinstance(error.original_error, RequestError):
        return _error(error.message, path=error.path)
    if error.path is None:  # no field: the variables do not fit the document
        return _error(error.message, "BAD_USER_INPUT")
    return _error("Problem processing request", path=error.path)


def _state(runner: Any) -> dict[str, Any]:
    last = runner.samples[-1] if runner.samples else None
    return {
        "service": runner.spec.name,
        "url": runner.address.url,
        "deployments": [{"id": d.id, "status": d.status, "restarts": d.restarts} for d in runner.deployments],
        "memory_gb": last.memory if last else None,
        "cpu": last.cpu if last else None,
        "requests": len(runner.edge.rows),
    }

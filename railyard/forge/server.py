"""HTTP: REST under /api/v3, smart git under /{owner}/{repo}.git, pages for people beside them."""

import asyncio
import base64
import json
import os
import re
import tempfile
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

# Each registers its calls; `commits/{ref}/check-runs` has to come before `commits/{ref}`.
from railyard.forge import checks, git_data, issues, pulls, reviews, rules  # noqa: F401
from railyard.forge.pages import page_routes
from railyard.forge.renaming import Renamed
from railyard.forge.rest import ROUTES, Call, Handler
from railyard.forge.store import ApiError, Forge

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]
API = "/api/v3"
GRAPHQL_TYPES = {403: "FORBIDDEN", 404: "NOT_FOUND"}


def build(forge: Forge) -> Starlette:
    routes = [Route(API + row[1], _rest(forge, *row), methods=[row[0]]) for row in ROUTES]

    async def faults(request: Request) -> Response:
        forge.faults = await request.json()
        return JSONResponse(forge.faults)

    async def lost(_: Request, __: Exception) -> Response:
        return JSONResponse({"message": "Not Found", "status": "404"}, 404)

    routes += [
        Route("/api/graphql", _graphql(forge), methods=["POST"]),
        Route("/_forge/faults", faults, methods=["PUT"]),
        Route("/{owner}/{repo}.git/{rest:path}", _smart_http(forge), methods=["GET", "POST"]),
        *page_routes(forge),
    ]
    middleware = [Middleware(Renamed, forge=forge)]
    return Starlette(routes=routes, exception_handlers={404: lost}, middleware=middleware)


def _token(forge: Forge, request: Request) -> str:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        value = base64.b64decode(value).decode().partition(":")[2]
    if value not in forge.tokens:
        raise ApiError(401, "Bad credentials" if value else "Requires authentication")
    return value


def _fault(forge: Forge, request: Request, *, after: bool) -> Response | None:
    """A switchable fault: {method, path (regex), times, status, after?, delay?, headers?}."""
    for fault in forge.faults:
        same = fault.get("method", "*") in ("*", request.method) and re.search(
            fault["path"], request.url.path
        )
        if fault["times"] > 0 and same and bool(fault.get("after")) == after:
            fault["times"] -= 1
            time.sleep(fault.get("delay", 0))
            if "status" in fault:
                body = {"message": fault.get("message", "Server Error")}
                return JSONResponse(body, fault["status"], headers=fault.get("headers", {}))
    return None


def _rest(forge: Forge, method: str, path: str, handler: Handler, needs: str) -> Endpoint:
    template = re.sub(r":\w+}", "}", path)

    def answer(request: Request, raw: bytes) -> Response:
        if (bad := _fault(forge, request, after=False)) is not None:
            return bad
        web = f"{request.url.scheme}://{request.headers.get('host', '127.0.0.1')}"
        try:
            with forge.lock:
                forge.calls.add((method, template))
                body, token = json.loads(raw) if raw else {}, _token(forge, request)
                call = Call(forge, request, body, forge.tokens[token], web + API, web)
                call.by_app = forge.grants.get(token, ("", {}))[0] == "app"
                forge.permit(token, needs)
                if request.method != "GET" and call.full_name and call.repo.get("archived"):
                    raise ApiError(403, "Repository was archived so is read-only.")
                out = handler(call)
                if request.method != "GET":
                    forge.save()
        except ApiError as error:
            return JSONResponse(error.body, error.status, error.headers)
        except json.JSONDecodeError:
            return JSONResponse({"message": "Problems parsing JSON"}, 400)
        if (bad := _fault(forge, request, after=True)) is not None:
            return bad
        if isinstance(out, Response):
            return out
        status, content = out if isinstance(out, tuple) else (200, out)
        return Response(None, 204) if status == 204 else _paged(request, content, status)

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(answer, request, await request.body())

    return endpoint


def _graphql(forge: Forge) -> Endpoint:
    """Answer the three queries that are asked. As GitHub: a refusal has the status 200, too."""

    async def endpoint(request: Request) -> Response:
        asked = (await request.json())["variables"]
        handler, needs = (rules.protection, "contents:read")
        if "id" in asked:
            handler, needs = (reviews.comment_node, "issues:read")
        elif "n" in asked:
            handler, needs = (reviews.review_threads, "pull_requests:read")
        request.scope["path_params"] = {key: value for key, value in asked.items() if key != "id"}
        answer = await _rest(forge, "POST", "/graphql", handler, needs)(request)
        if answer.status_code not in (403, 404):
            return answer
        refused = {
            "type": GRAPHQL_TYPES[answer.status_code],
            "message": json.loads(bytes(answer.body))["message"],
        }
        return JSONResponse({"data": {"repository": None}, "errors": [refused]})

    return endpoint


def _paged(request: Request, content: Any, status: int) -> Response:
    if not isinstance(content, list):
        return JSONResponse(content, status)
    size = min(max(int(request.query_params.get("per_page", 30)), 1), 100)
    page = max(int(request.query_params.get("page", 1)), 1)
    last = max(-(-len(content) // size), 1)
    links: Sequence[tuple[int, str]] = [(page + 1, "next"), (last, "last")] if page < last else []
    link = ", ".join(f'<{request.url.include_query_params(page=n)}>; rel="{name}"' for n, name in links)
    rows = content[(page - 1) * size : page * size]
    return JSONResponse(rows, status, headers={"Link": link} if link else {})


def _smart_http(forge: Forge) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        path = request.path_params
        full_name, rest = f"{path['owner']}/{path['repo']}", path["rest"]
        push = "git-receive-pack" in rest or request.query_params.get("service") == "git-receive-pack"
        try:
            token = _token(forge, request)
            archived = forge.repo(full_name).get("archived")
            forge.permit(token, "contents:write" if push else "contents:read")
        except ApiError as error:
            headers = {"WWW-Authenticate": 'Basic realm="GitHub"'} if error.status == 401 else {}
            return Response(error.body["message"], error.status, headers)
        user = forge.tokens[token]
        if push and (archived or user.endswith("(read)")):
            return Response("Permission to repository denied.", 403)
        return await _backend(forge, request, full_name, rest, user)

    return endpoint


async def _backend(forge: Forge, request: Request, full_name: str, rest: str, user: str) -> Response:
    """Call `git http-backend` as CGI."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(forge.root),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_PROJECT_ROOT": str(forge.root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "PATH_INFO": f"/{full_name}.git/{rest}",
        "REQUEST_METHOD": request.method,
        "QUERY_STRING": request.url.query,
        "REMOTE_USER": user,
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
    }
    # The whole request goes to a file first: a streaming response listens for a disconnect by calling
    # receive(), which would eat chunks of the body that are not read yet.
    with tempfile.TemporaryFile() as body:
        async for chunk in request.stream():
            body.write(chunk)
        environment["CONTENT_LENGTH"] = str(body.tell())
        body.seek(0)
        process = await asyncio.create_subprocess_exec(
            "git", "http-backend", env=environment, stdin=body, stdout=PIPE
        )
    output = process.stdout
    if output is None:
        raise RuntimeError("git http-backend has no output")
    status, headers = 200, {}
    while line := (await output.readline()).decode().rstrip("\r\n"):
        key, _, value = line.partition(": ")
        if key.lower() == "status":
            status = int(value.split()[0])
        else:
            headers[key] = value

    async def rest_of_it() -> AsyncIterator[bytes]:
        while chunk := await output.read(65536):
            yield chunk
        await process.wait()

    return StreamingResponse(rest_of_it(), status, headers)

"""A renamed repository, as GitHub treats it: the old name leads to the repository's number.

GET is answered 301, other methods 307, so that a client repeats them as they were. Calls by number serve the
repository, whatever its name: https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects
"""

import re
from http import HTTPStatus

from starlette.datastructures import URL
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from railyard.forge.rest import REPO, Answer, Call, on
from railyard.forge.store import DOCUMENTATION, ApiError, Forge

BY_NAME = re.compile(r"(?P<api>.*/repos)/(?P<name>[^/]+/[^/]+)(?P<rest>(/.*)?)")
BY_NUMBER = re.compile(r"(?P<api>.*)/repositories/(?P<number>\d+)(?P<rest>(/.*)?)")
GIT = re.compile(r"/(?P<name>[^/]+/[^/]+)\.git(?P<rest>/.*)")


@on("PATCH", REPO, "administration:write")
def rename(call: Call) -> Answer:
    """Edit a repository; only the name is supported."""
    call.need("Repository", "name")
    if call.forge.role(call.full_name, call.user) != "admin":
        raise ApiError(403, "Must have admin rights to Repository.")
    name = f"{call.path['owner']}/{call.body['name']}"
    call.forge.rename(call.full_name, name)
    return call.at(name).repository()


class Renamed:
    """Middleware of the forge: redirects old names, and resolves numbers."""

    def __init__(self, app: ASGIApp, forge: Forge) -> None:
        self._app = app
        self._forge = forge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, moved = scope["path"], self._moved(scope["path"])
        if moved is not None:
            status = HTTPStatus.MOVED_PERMANENTLY
            if scope["method"] not in ("GET", "HEAD"):
                status = HTTPStatus.TEMPORARY_REDIRECT
            location = str(URL(scope=scope).replace(path=moved))
            body = {"message": status.phrase, "url": location, "documentation_url": DOCUMENTATION}
            await JSONResponse(body, status, {"Location": location})(scope, receive, send)
            return
        found = BY_NUMBER.fullmatch(path)
        name = self._forge.name_of(int(found["number"])) if found else None
        if found and name:
            path = f"{found['api']}/repos/{name}{found['rest']}"
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)

    def _moved(self, path: str) -> str | None:
        """Return where a path with an old name leads to; git's paths keep names."""
        numbers = self._forge.state.get("renamed", {})
        found = BY_NAME.fullmatch(path)
        if found and found["name"] in numbers:
            return (
                f"{found['api'].removesuffix('/repos')}/repositories/{numbers[found['name']]}{found['rest']}"
            )
        found = GIT.fullmatch(path)
        if found and found["name"] in numbers:
            return f"/{self._forge.name_of(numbers[found['name']])}.git{found['rest']}"
        return None

"""REST calls as a table of method, path and handler. Handlers return a body or (status, body)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from railyard.forge.store import FORM, ApiError, Forge, Json, invalid, not_found, now
from railyard.forge.views import View

Answer = Json | list[Json] | tuple[int, Json | None] | Response
Handler = Callable[["Call"], Answer]
# Method, path, handler, and what a limited token needs for it:
# https://docs.github.com/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens
ROUTES: list[tuple[str, str, Handler, str]] = []
REPO = "/repos/{owner}/{repo}"
PULL_READ, PULL_WRITE = "pull_requests:read", "pull_requests:write"
ISSUE_READ, ISSUE_WRITE = f"issues:read|{PULL_READ}", f"issues:write|{PULL_WRITE}"


def on(method: str, path: str, needs: str = "metadata:read") -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        ROUTES.append((method, path, handler, needs))
        return handler

    return register


class Call:
    """One request: caller, repository and arguments. `by_app`: with an installation's token."""

    def __init__(self, forge: Forge, request: Request, body: Any, user: str, api: str, web: str) -> None:
        self.forge, self.query, self.user, self.by_app = forge, request.query_params, user, False
        self.accept = request.headers.get("accept", "")
        self.body: Any = body
        self.path = request.path_params
        self.full_name = f"{self.path['owner']}/{self.path['repo']}" if "owner" in self.path else ""
        self._api, self._web, self.host = api, web, request.url.hostname
        self.view = self.at(self.full_name)
        if self.full_name:
            self.repo = forge.repo(self.full_name)
            self.git_dir = forge.git_dir(self.full_name)

    def at(self, full_name: str) -> View:
        return View(self.forge, full_name, self._api, self._web)

    def need(self, resource: str, *fields: str) -> None:
        for field in fields:
            if not self.body.get(field):
                raise invalid(resource, field, "missing_field")

    def issue(self, *, pull: bool = False) -> Json:
        return self.forge.issue(self.full_name, self.path["n"], pull=pull)

    def refuse_locked(self, issue: Json) -> None:
        if issue.get("locked"):
            raise ApiError(403, "Unable to create comment because issue is locked.")

    def edited(self, comment: Json | None) -> Json:
        """Give a comment its new text; only its author may, and the time of the edit shows it."""
        if comment is None:
            raise not_found()
        if comment["user"] != self.user:
            raise ApiError(403, "You cannot edit this comment.")
        later = datetime.fromisoformat(comment["updated_at"]) + timedelta(seconds=1)
        comment.update(body=self.body["body"], updated_at=max(now(), later.strftime(FORM)), edited_at=now())
        return comment

    def revision(self, ref: str) -> str:
        sha = self.forge.branch(self.full_name, ref) or self.forge.sha(self.full_name, ref)
        if sha is None:
            raise not_found(f"No commit found for SHA: {ref}")
        return sha

    def pulls(self) -> list[Json]:
        rows = [row for row in self.repo["issues"].values() if "head" in row]
        return [self.forge.sync(self.full_name, row) for row in rows]


@on("GET", "/user", "account:read")
def user(call: Call) -> Answer:
    return (call.view.user(call.user) or {}) | {"name": call.user, "email": None}


@on("GET", "/users/{login}", "")
def account(call: Call) -> Answer:
    return call.view.user(call.path["login"]) or {}


@on("GET", REPO)
def repository(call: Call) -> Answer:
    return call.view.repository()

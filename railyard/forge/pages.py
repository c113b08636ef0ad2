"""Pages for reading a pull request, and with buttons for merging it."""

import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import DiffLexer
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from railyard.forge.issues import create_comment
from railyard.forge.markdown import render
from railyard.forge.pulls import edit_pull, merge
from railyard.forge.rest import Call
from railyard.forge.store import PERSON, ApiError, Forge, Json, git
from railyard.forge.views import View

FORMATTER = HtmlFormatter(cssclass="diff")
BUTTONS = ("merge", "comment", "close")


def _diff(patch: str) -> Markup:
    return Markup(highlight(patch, DiffLexer(), FORMATTER))  # noqa: S704 - escaped by it


PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
PAGES.filters |= {"markdown": render, "diff": _diff}
STYLE = str(FORMATTER.get_style_defs(".diff"))  # type: ignore[no-untyped-call] # untyped stub
PAGES.globals["diff_style"] = Markup(STYLE)  # noqa: S704 - a constant


def _page(name: str, title: str, **values: object) -> Response:
    return HTMLResponse(PAGES.get_template(f"{name}.html.j2").render(title=title, **values))


def _name(request: Request) -> str:
    return f"{request.path_params['owner']}/{request.path_params['repo']}"


def page_routes(forge: Forge, *, read_only: bool) -> list[Route]:
    def home(_: Request) -> Response:
        return _page("page", "Repositories", names=list(forge.state["repos"]))

    def repository(request: Request) -> Response:
        return _repository(forge, _name(request))

    def pull(request: Request) -> Response:
        return _pull(forge, _name(request), request.path_params["n"], read_only=read_only)

    def diff(request: Request) -> Response:
        view = View(forge, _name(request), "", "")
        return PlainTextResponse(view.diff(forge.issue(_name(request), request.path_params["n"], pull=True)))

    async def press(request: Request) -> Response:
        if read_only:
            return PlainTextResponse("These pages are read-only.", 403)
        form = urllib.parse.parse_qs((await request.body()).decode())
        await run_in_threadpool(_press, forge, request, form)
        return RedirectResponse(request.url.path, 303)

    return [
        Route("/", home),
        Route("/{owner}/{repo}", _safe(forge, repository)),
        Route("/{owner}/{repo}/pull/{n:int}.diff", _safe(forge, diff)),
        Route("/{owner}/{repo}/pull/{n:int}", _safe(forge, pull)),
        Route("/{owner}/{repo}/pull/{n:int}", press, methods=["POST"]),
    ]


def _safe(forge: Forge, page: Callable[[Request], Response]) -> Callable[[Request], Response]:
    def run(request: Request) -> Response:
        try:
            with forge.lock:
                return page(request)
        except ApiError as error:
            return HTMLResponse(f"<h1>{error.status}</h1>{escape(error.body['message'])}", error.status)

    return run


def _press(forge: Forge, request: Request, form: dict[str, list[str]]) -> None:
    action, text = form.get("act", [""])[0], form.get("body", [""])[0]

    def call(body: Any) -> Call:
        return Call(forge, request, body, PERSON, "", "")

    with forge.lock:
        if text:
            create_comment(call({"body": text}))
        if action == "merge":
            merge(call({}))
        elif action == "close":
            edit_pull(call({"state": "closed"}))
        forge.save()


def _repository(forge: Forge, full_name: str) -> Response:
    repo = forge.repo(full_name)
    pulls = (forge.sync(full_name, row) for row in repo["issues"].values())
    log = git(
        forge.git_dir(full_name),
        *("log", "--format=%h%x09%s%x09%an%x09%ar", "-15", f"refs/heads/{repo['default_branch']}"),
        check=False,
    )
    return _page(
        "repository",
        full_name,
        pulls=sorted(pulls, key=lambda row: -int(row["number"])),
        branch=repo["default_branch"],
        commits=[line.split("\t", 3) for line in log.splitlines()],
    )


def _pull(forge: Forge, full_name: str, number: int, *, read_only: bool) -> Response:
    row = forge.issue(full_name, number, pull=True)
    return _page(
        "pull",
        f"#{number} {row['title']}",
        full_name=full_name,
        row=row,
        talk=[row, *_talk(forge, full_name, number)],
        files=View(forge, full_name, "", "").pull_files(row),
        buttons=() if read_only else BUTTONS,
    )


def _talk(forge: Forge, full_name: str, number: int) -> list[Json]:
    """Return comments, reviews with text, and line comments, oldest first."""
    repo = forge.repo(full_name)
    tables = (repo["comments"], repo["review_comments"], repo.get("reviews", {}))
    rows = [row for table in tables for row in table.values() if row["issue"] == number and row["body"]]
    rows = [{"created_at": row.get("submitted_at"), **row} for row in rows]
    return sorted(rows, key=lambda row: int(row["id"]))

"""Pages for reading a pull request: their visitors need no login, and an agent may run on the machine."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import DiffLexer
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from railyard.forge.markdown import render
from railyard.forge.store import ApiError, Forge, Json, git
from railyard.forge.views import View

FORMATTER = HtmlFormatter(cssclass="diff")


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


def page_routes(forge: Forge) -> list[Route]:
    def home(_: Request) -> Response:
        return _page("page", "Repositories", names=list(forge.state["repos"]))

    def repository(request: Request) -> Response:
        return _repository(forge, _name(request))

    def pull(request: Request) -> Response:
        return _pull(forge, _name(request), request.path_params["n"])

    def diff(request: Request) -> Response:
        view = View(forge, _name(request), "", "")
        return PlainTextResponse(view.diff(forge.issue(_name(request), request.path_params["n"], pull=True)))

    return [
        Route("/", home),
        Route("/{owner}/{repo}", _safe(forge, repository)),
        Route("/{owner}/{repo}/pull/{n:int}.diff", _safe(forge, diff)),
        Route("/{owner}/{repo}/pull/{n:int}", _safe(forge, pull)),
    ]


def _safe(forge: Forge, page: Callable[[Request], Response]) -> Callable[[Request], Response]:
    def run(request: Request) -> Response:
        try:
            with forge.lock:
                return page(request)
        except ApiError as error:
            return HTMLResponse(f"<h1>{error.status}</h1>{escape(error.body['message'])}", error.status)

    return run


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


def _pull(forge: Forge, full_name: str, number: int) -> Response:
    row = forge.issue(full_name, number, pull=True)
    return _page(
        "pull",
        f"#{number} {row['title']}",
        full_name=full_name,
        row=row,
        talk=[row, *_talk(forge, full_name, number)],
        files=View(forge, full_name, "", "").pull_files(row),
    )


def _talk(forge: Forge, full_name: str, number: int) -> list[Json]:
    """Return comments, reviews with text, and line comments, oldest first."""
    repo = forge.repo(full_name)
    tables = (repo["comments"], repo["review_comments"], repo.get("reviews", {}))
    rows = [row for table in tables for row in table.values() if row["issue"] == number and row["body"]]
    rows = [{"created_at": row.get("submitted_at"), **row} for row in rows]
    return sorted(rows, key=lambda row: int(row["id"]))

"""Pages for reading a pull request, and with buttons for merging it."""

import html
import re
import urllib.parse
from collections.abc import Callable
from typing import Any

from markdown_it import MarkdownIt
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import DiffLexer
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from railyard.forge.issues import create_comment
from railyard.forge.pulls import edit_pull, merge
from railyard.forge.rest import Call
from railyard.forge.store import PERSON, ApiError, Forge, Json, git
from railyard.forge.views import View

MARKDOWN = MarkdownIt("js-default", {"html": False})
FORMATTER = HtmlFormatter(cssclass="diff")
STYLE = (
    str(FORMATTER.get_style_defs(".diff"))  # type: ignore[no-untyped-call] # untyped stub
    + """
body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#1f2328}
a{color:#0969da;text-decoration:none}.box{border:1px solid #d0d7de;border-radius:6px;margin:1em 0}
.box>h4{margin:0;padding:.5em 1em;background:#f6f8fa;border-bottom:1px solid #d0d7de;font-weight:500}
.box>div{padding:.5em 1em;overflow-x:auto}.pill{padding:.2em .8em;border-radius:1em;color:#fff}
.open{background:#1a7f37}.closed{background:#cf222e}.merged{background:#8250df}
.label{background:#ddf4ff;border-radius:1em;padding:.1em .6em;font-size:12px}.diff pre{margin:0}
.gi{background:#e6ffec}.gd{background:#ffebe9}code,pre{font-size:13px}td,th{padding:.2em .8em;text-align:left}
pre{overflow-x:auto;background:#f6f8fa;padding:.5em;border-radius:6px}blockquote{border-left:4px solid #ddd;
margin:0;padding-left:1em;color:#59636e}button{padding:.4em 1em}"""
)
# The only HTML allowed in bodies, as on GitHub.
DETAILS = re.compile(r"&lt;(/?(?:details|summary))&gt;")


def _text(body: str | None) -> str:
    """Markdown without the hidden markers."""
    return DETAILS.sub(r"<\1>", MARKDOWN.render(re.sub(r"<!--.*?-->", "", body or "", flags=re.S)))


def _esc(value: object) -> str:
    return html.escape(str(value))


def _page(title: str, body: str) -> Response:
    head = (
        f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{_esc(title)}</title>"
    )
    return HTMLResponse(f"<!doctype html>{head}<style>{STYLE}</style>{body}")


def _pill(issue: Json) -> str:
    state = "merged" if issue.get("merged") else issue["state"]
    return f"<span class='pill {state}'>{state}</span>"


def _labels(issue: Json) -> str:
    return " ".join(f"<span class=label>{_esc(name)}</span>" for name in issue["labels"])


def _box(title: str, body: str) -> str:
    return f"<div class=box><h4>{title}</h4><div>{body}</div></div>"


def _name(request: Request) -> str:
    return f"{request.path_params['owner']}/{request.path_params['repo']}"


def page_routes(forge: Forge, *, read_only: bool) -> list[Route]:
    def home(_: Request) -> Response:
        rows = "".join(f"<li><a href='/{name}'>{name}</a>" for name in forge.state["repos"])
        return _page("Repositories", f"<h1>Repositories</h1><ul>{rows}</ul>")

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
            return HTMLResponse(f"<h1>{error.status}</h1>{_esc(error.body['message'])}", error.status)

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
    pulls = sorted(
        (forge.sync(full_name, row) for row in repo["issues"].values()), key=lambda r: -r["number"]
    )
    rows = "".join(
        f"<li>{_pill(row)} <a href='/{full_name}/pull/{row['number']}'>#{row['number']} "
        f"{_esc(row['title'])}</a> {_labels(row)}"
        for row in pulls
    )
    log = git(
        forge.git_dir(full_name),
        *("log", "--format=%h%x09%s%x09%an%x09%ar", "-15", f"refs/heads/{repo['default_branch']}"),
        check=False,
    )
    commits = "".join(
        "<tr><td><code>{}</code><td>{}<td>{}<td>{}".format(*map(_esc, line.split("\t", 3)))
        for line in log.splitlines()
    )
    return _page(
        full_name,
        f"<p><a href='/'>Repositories</a></p><h1>{_esc(full_name)}</h1><h2>Pull requests</h2>"
        f"<ul>{rows or '<li>none'}</ul><h2>Commits on {_esc(repo['default_branch'])}</h2>"
        f"<table>{commits}</table>",
    )


def _pull(forge: Forge, full_name: str, number: int, *, read_only: bool) -> Response:
    row, view = forge.issue(full_name, number, pull=True), View(forge, full_name, "", "")
    comments = _talk(forge, full_name, number)
    files = view.pull_files(row)
    parts = [
        f"<p><a href='/{full_name}'>{_esc(full_name)}</a></p>",
        f"<h1>{_esc(row['title'])} <small>#{number}</small></h1>",
        f"<p>{_pill(row)} {_labels(row)} <b>{_esc(row['user'])}</b> wants to merge "
        f"<code>{_esc(row['head'])}</code> into <code>{_esc(row['base'])}</code></p>",
        *(_box(f"{_esc(c['user'])} · {_esc(c['created_at'])}", _text(c["body"])) for c in [row, *comments]),
        f"<h2>{len(files)} files changed</h2>",
        *(_file(file) for file in files),
    ]
    if row["state"] == "open" and not read_only:
        buttons = " ".join(
            f"<button name=act value={a}>{a.title()}</button>" for a in ("merge", "comment", "close")
        )
        parts.append(f"<form method=post><textarea name=body rows=3 cols=80></textarea><p>{buttons}</form>")
    return _page(f"#{number} {row['title']}", "".join(parts))


def _talk(forge: Forge, full_name: str, number: int) -> list[Json]:
    """Return comments, reviews with text, and line comments, oldest first."""
    repo = forge.repo(full_name)
    tables = (repo["comments"], repo["review_comments"], repo.get("reviews", {}))
    rows = [row for table in tables for row in table.values() if row["issue"] == number and row["body"]]
    rows = [{"created_at": row.get("submitted_at"), **row} for row in rows]
    return sorted(rows, key=lambda row: int(row["id"]))


def _file(file: Json) -> str:
    title = (
        f"<code>{_esc(file['filename'])}</code> {file['status']} +{file['additions']} −{file['deletions']}"
    )
    return _box(title, highlight(file.get("patch", "(binary)"), DiffLexer(), FORMATTER))

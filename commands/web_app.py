"""The live page's server: who may see it, who may decide, and what it answers."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from time import monotonic
from urllib.parse import parse_qs, urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from temporalio.client import Client
from temporalio.service import RPCError

from commands.approve import check_decision, decide
from commands.page_content import PageContent
from commands.runs import kind_of
from railmend.contracts.repair import Approval
from railmend.publishing.page import TEMPLATES, Live
from railmend.settings import ConfigurationError

Endpoint = Callable[[Request], Awaitable[Response]]
# However many look at it, what it shows is read no more often than this.
FRESH_SECONDS = 10
MOST_NOTICES = 20
DECISIONS = {"approve": "approved", "reject": "rejected"}
MOST_BYTES = 8_000  # of a decision
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    # Not `no-referrer`, with which a browser sends no Origin with a form.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HOW_IN = "Open this page by the address with its token: docs/getting-started.md says where that stands."


class WebPage:
    """One served page. The token admits, and its holder decides as `by`.

    `read`: returns what is shown. `url`: where browsers reach it; empty: at this machine's loopback alone.
    `token`: empty: one of this start.
    """

    def __init__(
        self,
        client: Client,
        read: Callable[[], Awaitable[PageContent]],
        by: str,
        url: str = "",
        token: str = "",
    ) -> None:
        self._client, self._read, self._by, self._url = client, read, by, url
        self._token = token or secrets.token_urlsafe(32)
        self._notices: dict[str, str] = {}
        self._reading = asyncio.Lock()
        self._content: tuple[float, PageContent] | None = None
        self.app = Starlette(
            routes=[
                Route("/", self._guarded(self._page)),
                Route("/page.css", self._guarded(self._file)),
                Route("/page.js", self._guarded(self._file)),
                Route("/decide", self._guarded(self._decide), methods=["POST"]),
            ]
        )

    def address(self, url: str) -> str:
        """Return what a person opens."""
        return f"{url.rstrip('/')}/?token={self._token}"

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        async def run(request: Request) -> Response:
            answer = self._refusal(request) or await endpoint(request)
            answer.headers.update(HEADERS)
            return answer

        return run

    def _refusal(self, request: Request) -> Response | None:
        """Return the answer to who may not ask, or who comes with the token for the first time."""
        port = request.scope["server"][1]
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        # Another name for this machine's address would make a foreign page one of the same origin.
        own = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")} | {
            urlsplit(self._url).netloc.lower()
        }
        if not host or host not in own:
            return PlainTextResponse("This page is not served under that name; --url gives it another.", 421)
        if request.method == "POST" and origin not in (f"http://{host}", f"https://{host}"):
            return PlainTextResponse("A decision must come from this page itself.", 403)
        cookie = f"railmend_{port}"
        if self._is_token(request.query_params.get("token", "")):
            answer = RedirectResponse("/", 303)
            secure = self._url.startswith("https://")
            answer.set_cookie(cookie, self._token, httponly=True, samesite="strict", secure=secure)
            return answer
        return None if self._is_token(request.cookies.get(cookie, "")) else PlainTextResponse(HOW_IN, 401)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self._token.encode())

    async def _page(self, request: Request) -> Response:
        notice = self._notices.get(request.query_params.get("notice", ""), "")
        try:
            content = await self._fresh()
        except (ConfigurationError, RPCError) as error:
            return PlainTextResponse(f"{error}\nReload the page once that is fixed.", 503)
        return HTMLResponse(content.render(Live(self._by, notice)))

    async def _fresh(self) -> PageContent:
        async with self._reading:
            if self._content is None or monotonic() - self._content[0] > FRESH_SECONDS:
                content = await self._read()
                self._content = monotonic(), content
            return self._content[1]

    async def _file(self, request: Request) -> Response:
        return FileResponse(TEMPLATES / request.url.path.removeprefix("/"))

    async def _decide(self, request: Request) -> Response:
        """Send a decision to the repair or the action, and show the page with what came of it."""
        length = request.headers.get("content-length", "")
        if not length.isdigit() or int(length) > MOST_BYTES:
            return PlainTextResponse(f"A decision needs a Content-Length of at most {MOST_BYTES}.", 413)
        form = parse_qs((await request.body()).decode(errors="replace"))
        given = {name: form.get(name, [""])[0] for name in ("id", "plan", "reason", "decision")}
        try:
            await self._send(given["id"], given["decision"], given["reason"], given["plan"])
            notice = f"{given['id']}: {DECISIONS[given['decision']]} by {self._by}."
        except ConfigurationError as error:
            notice = str(error)
        async with self._reading:  # what is read now may be from before the decision
            self._content = None
        if len(self._notices) >= MOST_NOTICES:
            self._notices.pop(next(iter(self._notices)))
        name = secrets.token_urlsafe(8)
        self._notices[name] = notice
        return RedirectResponse(f"/?notice={name}", 303)

    async def _send(self, workflow_id: str, decision: str, reason: str, plan: str) -> None:
        """Raise `ConfigurationError` for what is no decision, or comes too late."""
        if decision not in DECISIONS:
            raise ConfigurationError("Choose to approve or to reject.")
        if kind_of(workflow_id) not in ("repair", "action"):
            raise ConfigurationError("Nothing of that name can be decided.")
        approval = Approval(by=self._by, reason=reason, plan=plan, approved=decision == "approve")
        check_decision(workflow_id, approval)
        if kind_of(workflow_id) == "repair" and not plan:
            raise ConfigurationError("The plan was not shown. Read the page again, then decide.")
        await decide(self._client, workflow_id, approval)

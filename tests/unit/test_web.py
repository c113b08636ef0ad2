"""The served page: who may see it, who may decide, and that nothing of it is anybody else's."""

import stat
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from commands import web_app, web_server
from commands.page_content import PageContent
from commands.web_app import HEADERS, HOW_IN, WebPage
from commands.web_server import check_addresses, page_beside
from railmend.contracts.repair import Approval
from railmend.settings import ConfigurationError, Settings
from tests import samples
from tests.unit.test_page import EVIL, Reader, incident
from tests.unit.test_status_screen import ID, SCREEN

BASE = "http://127.0.0.1:8020"
SAME = {"Origin": BASE}


class Content:
    """What the page reads: how often, and what stands in its way."""

    def __init__(self) -> None:
        self.reads, self.problem = 0, ""

    async def __call__(self) -> PageContent:
        self.reads += 1
        if self.problem:
            raise ConfigurationError(self.problem)
        return PageContent(samples.NOW, [incident()], SCREEN)


def browser(page: WebPage, base: str = BASE) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=page.app), base_url=base)


@pytest.fixture
def content() -> Content:
    return Content()


@pytest.fixture
def page(content: Content) -> WebPage:
    return WebPage(None, content, "ada")  # type: ignore[arg-type] # what is decided is caught below


@pytest.fixture
async def reader(page: WebPage) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(page) as client:
        await client.get(page.address(""))
        yield client


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Approval]]:
    decisions: list[tuple[str, Approval]] = []

    async def decide(_: object, workflow_id: str, approval: Approval) -> None:
        decisions.append((workflow_id, approval))

    monkeypatch.setattr(web_app, "decide", decide)
    return decisions


async def test_the_token_of_the_address_admits_and_is_on_no_page(page: WebPage) -> None:
    address = page.address("")
    token = address.partition("token=")[2]
    async with browser(page) as client:
        for path in ("/", "/page.js", "/page.css", "/?token=", f"/?token={token[:-1]}x", "/?token=é"):
            answer = await client.get(path)
            assert (answer.status_code, answer.text) == (401, HOW_IN)
        first = await client.get(address)
        assert (first.status_code, first.headers["location"]) == (303, "/")
        assert {"HttpOnly", "SameSite=strict"} <= set(first.headers["set-cookie"].split("; "))
        shown = await client.get("/")
        assert shown.status_code == 200
        assert token not in shown.text
        assert shown.headers.items() >= {key.lower(): value for key, value in HEADERS.items()}.items()


async def test_the_page_runs_and_loads_only_what_the_server_itself_has(reader: httpx.AsyncClient) -> None:
    text = (await reader.get("/")).text
    read = Reader(text)
    assert read.open == []
    assert read.fetched == ["/page.js"]
    assert "<style" not in text
    assert ' style="' not in text
    assert "onclick" not in text
    for file in ("/page.js", "/page.css"):
        assert (await reader.get(file)).status_code == 200
    policy = HEADERS["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:8020", "127.0.0.1:8021", "127.0.0.1", "0.0.0.0:8020"]
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_another_name_for_this_machine_is_refused(
    reader: httpx.AsyncClient, sent: list[Any], method: str, host: str
) -> None:
    """A page of somebody else whose name leads here would otherwise be of the same origin."""
    headers = {"Host": host, "Origin": f"http://{host}"}
    answer = await reader.request(method, "/" if method == "GET" else "/decide", headers=headers)
    assert (answer.status_code, sent) == (421, [])


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "null",
        "",
        "http://127.0.0.1:8021",
        "http://localhost:8020",
        "https://evil.example",
        "evil",
        "http://[",
    ],
)
async def test_a_decision_from_another_page_is_refused(
    reader: httpx.AsyncClient, sent: list[Any], origin: str | None
) -> None:
    headers = {} if origin is None else {"Origin": origin}
    answer = await reader.post("/decide", data={"id": ID, "decision": "approve"}, headers=headers)
    assert (answer.status_code, sent) == (403, [])


async def test_without_the_cookie_nothing_is_decided(page: WebPage, sent: list[Any]) -> None:
    async with browser(page) as client:
        answer = await client.post("/decide", data={"id": ID, "decision": "approve"}, headers=SAME)
    assert (answer.status_code, sent) == (401, [])


async def test_a_decision_is_the_holder_s_and_what_came_of_it_is_said(
    reader: httpx.AsyncClient, content: Content, sent: list[tuple[str, Approval]]
) -> None:
    await reader.get("/")
    form = {"id": ID, "plan": "f" * 16, "reason": "Because.", "decision": "approve"}
    answer = await reader.post("/decide", data=form, headers=SAME, follow_redirects=True)
    await reader.post("/decide", data={**form, "decision": "reject"}, headers=SAME)
    assert sent == [
        (ID, Approval(by="ada", plan="f" * 16, reason="Because.", approved=approved))
        for approved in (True, False)
    ]
    assert f'role="alert">{ID}: approved by ada.' in answer.text
    assert content.reads == 2, "what was read before a decision is old"


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"id": ID, "decision": "reject", "reason": " "}, "Say why you reject it"),
        ({"id": ID, "reason": "x"}, "Choose to approve or to reject."),
        ({"id": ID, "decision": "merge"}, "Choose to approve or to reject."),
        ({"id": ID, "decision": "approve"}, "The plan was not shown."),
        ({"id": "ledger/p", "decision": "approve"}, "Nothing of that name can be decided."),
        ({"id": f"scan/{EVIL}", "decision": "approve"}, "Nothing of that name can be decided."),
        ({"id": "action/a/b", "plan": "x", "decision": "approve"}, "is an action, which has no plan"),
        ({}, "Choose to approve or to reject."),
    ],
)
async def test_what_is_no_decision_changes_nothing(
    reader: httpx.AsyncClient, sent: list[Any], form: dict[str, str], why: str
) -> None:
    answer = await reader.post("/decide", data=form, headers=SAME, follow_redirects=True)
    assert (answer.status_code, sent) == (200, [])
    assert why in answer.text
    assert set(Reader(answer.text).fetched) == {"/page.js"}


async def test_a_long_decision_is_not_even_read(reader: httpx.AsyncClient, sent: list[Any]) -> None:
    long = {"id": ID, "decision": "approve", "reason": "x" * 9_000}
    assert (await reader.post("/decide", data=long, headers=SAME)).status_code == 413

    async def endless() -> AsyncIterator[bytes]:
        yield b"id="

    assert (await reader.post("/decide", content=endless(), headers=SAME)).status_code == 413
    assert sent == []


async def test_many_readers_cost_no_more_than_one_and_an_outage_is_said(
    reader: httpx.AsyncClient, content: Content, page: WebPage
) -> None:
    for _ in range(5):
        assert (await reader.get("/")).status_code == 200
    assert content.reads == 1
    content.problem, page._content = "No Temporal server answers.", None
    answer = await reader.get("/")
    assert (answer.status_code, answer.text.splitlines()[0]) == (503, content.problem)
    content.problem = ""
    assert (await reader.get("/")).status_code == 200


@pytest.mark.parametrize("make", [lambda number: f"/?notice={number}", lambda _: f"/?notice={EVIL}"])
async def test_an_address_puts_no_words_on_the_page(
    reader: httpx.AsyncClient, make: Callable[[int], str]
) -> None:
    assert 'role="alert"' not in (await reader.get(make(1))).text


async def test_behind_another_address_its_name_is_taken_and_the_cookie_is_for_tls(content: Content) -> None:
    page = WebPage(None, content, "ada", "https://ops.example/")  # type: ignore[arg-type]
    async with browser(page, "https://ops.example") as client:
        first = await client.get(page.address("https://ops.example/"))
        assert "Secure" in first.headers["set-cookie"]
        assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize("listen", ["0.0.0.0:8020", "[::]:8020", "10.0.0.7:8020", "localhost.example:1"])
def test_the_page_listens_to_others_only_where_its_url_is_given(listen: str) -> None:
    with pytest.raises(ConfigurationError, match="is not this machine alone: give its address with --url"):
        check_addresses(listen, "", "--listen", "--url")
    check_addresses(listen, "https://ops.example", "--listen", "--url")
    with (
        pytest.raises(ConfigurationError, match="RAILMEND_PAGE_URL"),
        page_beside(Settings(railmend_page_address=listen)),
    ):
        pass


@pytest.fixture
def logged(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Return all that was printed so far, the page's log too, wherever other tests sent logs."""
    lines = structlog.wrap_logger(
        structlog.PrintLogger(),
        processors=[structlog.processors.KeyValueRenderer()],
        wrapper_class=structlog.BoundLogger,
    )
    monkeypatch.setattr(web_server, "log", lines)
    said = ""

    def read() -> str:
        nonlocal said
        said += "".join(capfd.readouterr())
        return said

    return read


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, content: Content) -> None:
    """A worker's page, without Temporal: what it reads is `content`."""

    class Fake:
        def __init__(self, *_: object) -> None: ...

        async def read(self, _: object) -> PageContent:
            return await content()

        async def aclose(self) -> None: ...

    async def connect(_: Settings) -> None:
        if content.problem:
            raise ConfigurationError(content.problem)

    monkeypatch.setattr(web_server, "PageReader", Fake)
    monkeypatch.setattr(web_server, "connect", connect)
    monkeypatch.setattr(web_server, "projects_of", lambda *_: [])


def _written(file: Path) -> str:
    for _ in range(600):
        if file.exists() and (text := file.read_text()):
            return text.strip()
        time.sleep(0.05)
    raise AssertionError(f"{file} was not written")


def test_a_worker_serves_the_page_and_logs_no_token(
    served: None, tmp_path: Path, logged: Callable[[], str]
) -> None:
    settings = Settings(railmend_page_address="127.0.0.1:0", railmend_state_dir=tmp_path)
    file = tmp_path / "page"
    with page_beside(settings):
        address = _written(file)
        with httpx.Client(follow_redirects=True) as web:
            assert web.get(address).status_code == 200
            assert web.get(address.partition("?")[0] + "page.css").status_code == 200
        assert httpx.get(address.partition("?")[0]).text == HOW_IN
    token = address.partition("token=")[2]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "the live page is served" in logged()
    assert token
    assert token not in logged()
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)


def test_a_token_that_is_set_stays_and_is_written_nowhere(
    served: None, tmp_path: Path, logged: Callable[[], str]
) -> None:
    token = "q" * 24
    settings = Settings(
        railmend_page_address="127.0.0.1:0", railmend_page_token=token, railmend_state_dir=tmp_path
    )
    with page_beside(settings):
        for _ in range(600):
            if "the live page is served" in logged():
                break
            time.sleep(0.05)
    assert "RAILMEND_PAGE_TOKEN" in logged()
    assert token not in logged()
    assert not list(tmp_path.iterdir())


def test_a_page_that_cannot_be_served_ends_no_worker(
    served: None, content: Content, logged: Callable[[], str]
) -> None:
    content.problem = "Temporal does not answer."
    with page_beside(Settings(railmend_page_address="127.0.0.1:0")):
        pass
    assert "the live page is not served" in logged()

"""The live page's server: of `starter.py web`, or beside a worker."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import urlsplit

import structlog
from temporalio.client import Client

from commands.ledgers import projects_of
from commands.page_content import PageReader
from commands.web_app import WebPage
from hosting.connection import connect
from hosting.http_server import serving, split
from railmend.settings import ConfigurationError, Settings

log = structlog.get_logger()
MOST_PORT = 65_535
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# In the state directory: the address with the token of this start, for its owner alone.
ADDRESS_FILE = "page"
STOP_SECONDS = 10


def check_addresses(listen: str, url: str, listen_name: str, url_name: str) -> None:
    """Raise `ConfigurationError` where the page cannot listen there, or would be open to others unawares."""
    try:
        host, port = split(listen)
        if port > MOST_PORT:
            raise ValueError(port)
    except ValueError as error:
        raise ConfigurationError(
            f"{listen_name} {listen}: give HOST:PORT, such as 127.0.0.1:8020."
        ) from error
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/")):
        raise ConfigurationError(
            f"{url_name} {url}: give an address without a path, such as https://ops.example."
        )
    if not url and host not in LOOPBACK:
        raise ConfigurationError(
            f"{listen_name} {listen} is not this machine alone: give its address with {url_name}."
        )


@asynccontextmanager
async def page_of(
    settings: Settings,
    client: Client,
    project: str | None,
    addresses: tuple[str, str],
    by: str,
    token: str = "",
) -> AsyncIterator[str]:
    """Serve the page while the context lasts; yield its address. `addresses`: where it listens, its URL."""
    listen, url = addresses
    projects = projects_of(settings, project)
    reader = PageReader(settings, client)
    page = WebPage(client, lambda: reader.read(projects), by, url, token)
    try:
        async with serving(page.app, listen, "the page's address") as port:
            yield page.address(url or f"http://{listen.rpartition(':')[0]}:{port}")
    finally:
        await reader.aclose()


@contextmanager
def page_beside(settings: Settings) -> Iterator[None]:
    """Serve the page beside a worker where `RAILMEND_PAGE_ADDRESS` says so.

    It has a thread, an event loop and a connection of its own: a page that is read delays no task, and one
    that fails ends no worker. Raises `ConfigurationError` for an address that it may not have.
    """
    listen, url = settings.railmend_page_address, settings.railmend_page_url or ""
    if listen is None:
        yield
        return
    check_addresses(listen, url, "RAILMEND_PAGE_ADDRESS", "RAILMEND_PAGE_URL")
    beside = _Beside(settings, listen, url)
    thread = threading.Thread(target=beside.run, name="web page", daemon=True)
    thread.start()
    try:
        yield
    finally:
        beside.stop()
        thread.join(STOP_SECONDS)


class _Beside:
    def __init__(self, settings: Settings, listen: str, url: str) -> None:
        self._settings, self._addresses = settings, (listen, url)
        self._stop, self._loop = asyncio.Event(), asyncio.new_event_loop()

    def run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._serve())
            except Exception as error:
                log.exception("the live page is not served", reason=str(error))

    def stop(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    async def _serve(self) -> None:
        settings, secret = self._settings, self._settings.railmend_page_token
        token = secret.get_secret_value() if secret else ""
        client = await connect(settings)
        by = f"the page of {socket.gethostname()}"
        async with page_of(settings, client, None, self._addresses, by, token) as address:
            file = settings.state_dir() / ADDRESS_FILE
            if not token:
                file.unlink(missing_ok=True)
                file.touch(0o600)
                file.write_text(f"{address}\n")
            # Never with the token: logs are read by more people than may decide.
            log.info(
                "the live page is served",
                address=address.partition("?")[0],
                token="RAILMEND_PAGE_TOKEN" if token else str(file),
            )
            await self._stop.wait()

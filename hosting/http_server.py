"""Small HTTP servers inside a worker's event loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.applications import Starlette

from railmend.settings import ConfigurationError


class EmbeddedServer(uvicorn.Server):
    """A server that leaves signals to the worker."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def split(address: str) -> tuple[str, int]:
    """Split "127.0.0.1:8080" or "[::]:8080" into host and port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def listening(address: str, setting: str) -> socket.socket:
    """Listen; `[::]` means IPv4 too, which asyncio would leave out. Raise `ConfigurationError`."""
    host, port = split(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, dualstack_ipv6=host == "::")
    except OSError as error:
        raise ConfigurationError(
            f"{setting}={address}: nothing can listen there ({error.strerror}); choose a free port."
        ) from error


@contextlib.asynccontextmanager
async def serving(app: Starlette, address: str, setting: str) -> AsyncIterator[int]:
    """Serve `app` while the context lasts; yield the port. `setting` names the address in errors."""
    with listening(address, setting) as port:
        server = EmbeddedServer(uvicorn.Config(app, log_config=None, log_level="warning", lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[port]))
        try:
            yield port.getsockname()[1]
        finally:
            server.should_exit = True
            await task

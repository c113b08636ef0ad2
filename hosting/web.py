"""Small HTTP servers inside a worker's event loop."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.applications import Starlette

from railmend.settings import ConfigurationError

START_SECONDS = 5


class _Server(uvicorn.Server):
    """Signals belong to the worker."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def split(address: str) -> tuple[str, int]:
    """ "127.0.0.1:8080" or "[::]:8080" -> host and port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


@contextlib.asynccontextmanager
async def serving(app: Starlette, address: str, setting: str) -> AsyncIterator[int]:
    """Serve `app` while the context lasts; gives the port. `setting` names the address in errors."""
    host, port = split(address)
    server = _Server(
        uvicorn.Config(app, host=host, port=port, log_config=None, access_log=False, lifespan="off")
    )
    task = asyncio.create_task(_serve(server, f"{setting}={address}"))
    try:
        while not server.started:
            if task.done():
                await task
            await asyncio.sleep(0.02)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)


async def _serve(server: uvicorn.Server, what: str) -> None:
    try:
        await server.serve()
    except (SystemExit, OSError) as error:  # uvicorn ends the process where it cannot bind
        raise ConfigurationError(f"{what}: nothing can listen there; is the port taken?") from error

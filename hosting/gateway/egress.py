"""The network of prepare steps: an HTTPS proxy to the package registries and nothing else.

It listens on a Unix socket of one repair, so that what installs packages reaches neither this machine's
loopback (Temporal has no password) nor a private network, even where it runs code of the packages.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress

import structlog

from railmend.coding.sandbox import EGRESS_SOCKET, RepairPaths, listening

log = structlog.get_logger(__name__)

# Of the package managers that Railmend knows how to call.
REGISTRIES = (
    *("pypi.org", "files.pythonhosted.org", "registry.npmjs.org", "registry.yarnpkg.com"),
    *("proxy.golang.org", "sum.golang.org", "static.crates.io", "index.crates.io", "crates.io"),
)
ANY_PUBLIC = "*"
MAX_HEAD_BYTES = 16 * 1024
CONNECT_SECONDS = 20
HEAD_SECONDS = 20
MAX_CONNECTIONS = 64  # of one repair; npm opens about 15
CHUNK = 65536


def allowed(host: str, hosts: Collection[str]) -> bool:
    """Return whether `host` is one of `hosts`; `*` stands for any whose address is public."""
    return host.lower().rstrip(".") in hosts or ANY_PUBLIC in hosts


def public(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_global


@asynccontextmanager
async def egress(paths: RepairPaths, hosts: Collection[str]) -> AsyncIterator[None]:
    """Serve CONNECT on the repair's egress socket, for `hosts` on port 443 (or `host:port` as listed)."""
    proxy = _Proxy(frozenset(host.lower() for host in hosts))
    server = await asyncio.start_unix_server(
        proxy.serve, sock=listening(paths.sockets, EGRESS_SOCKET), limit=MAX_HEAD_BYTES
    )
    try:
        yield
    finally:
        server.close()
        (paths.sockets / EGRESS_SOCKET).unlink(missing_ok=True)


class _Proxy:
    def __init__(self, hosts: frozenset[str]) -> None:
        self._hosts = hosts
        self._places = asyncio.Semaphore(MAX_CONNECTIONS)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._places:
            await self._serve(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_SECONDS)
            there = await self._connect(head.split(b"\r\n")[0].decode("latin-1"))
            if isinstance(there, str):
                writer.write(f"HTTP/1.1 {there}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                await writer.drain()
            else:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(_pipe(reader, there[1]), _pipe(there[0], writer))
        writer.close()

    async def _connect(self, line: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | str:
        """Return the connection, or the HTTP status that says why there is none."""
        method, _, target = line.partition(" ")
        host, _, port = target.split(" ")[0].rpartition(":")
        if method != "CONNECT" or not port.isdigit():
            return "405 Only CONNECT"
        listed = f"{host.lower()}:{port}" in self._hosts
        if not listed and (port != "443" or not allowed(host, self._hosts)):
            log.warning("egress refused", host=host[:200], port=port)
            return "403 Not a package registry"
        loop = asyncio.get_running_loop()
        try:
            rows = await loop.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
            addresses = [str(row[4][0]) for row in rows]
            if ANY_PUBLIC in self._hosts and not listed:
                addresses = [address for address in addresses if public(address)]
            if not addresses:
                return "403 Not a public address"
            connecting = asyncio.open_connection(addresses[0], int(port))
            return await asyncio.wait_for(connecting, CONNECT_SECONDS)
        except (OSError, TimeoutError):
            return "502 Cannot be reached"


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()

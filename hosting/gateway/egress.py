"""The network of prepare steps: an HTTPS proxy to the package registries and nothing else.

It listens on a Unix socket of one repair, so that what installs packages reaches neither this machine's
loopback (Temporal has no password) nor a private network, even where it runs code of the packages. What is
sent through a tunnel begins with a TLS hello that asks for the tunnel's host: a name that shares its machines
with a registry is not reached through it. Only a target that is listed with its port may speak without TLS,
or encrypt its name.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog

from hosting.gateway.client_hello import HANDSHAKE, UNRECOGNIZED_NAME, HelloRefused, read_hello
from railmend.coding.sandbox.interface import EGRESS_SOCKET, RepairPaths, listening

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
    with listening(paths.sockets, EGRESS_SOCKET) as listener:
        accepting = asyncio.create_task(proxy.accept(listener))
        try:
            yield
        finally:
            for task in (accepting, *proxy.serving):
                task.cancel()
            await asyncio.gather(accepting, *proxy.serving, return_exceptions=True)
            (paths.sockets / EGRESS_SOCKET).unlink(missing_ok=True)


@dataclass(frozen=True)
class _Target:
    """Where a tunnel leads. `listed`: with its port, by whoever set up Railmend."""

    host: str
    port: int
    listed: bool

    async def beginning(self, reader: asyncio.StreamReader) -> bytes:
        """Return what may be sent first. Raise `HelloRefused`, `IncompleteReadError`."""
        begun = await reader.readexactly(1)
        if self.listed and begun[0] != HANDSHAKE:
            return begun
        raw, name = await read_hello(reader, begun, outer=self.listed)
        if name is None and _is_address(self.host):
            return raw  # TLS clients send no address as a name
        if name is None or _plain(name) != _plain(self.host):
            raise HelloRefused(f"it asks for {(name or 'no name')[:200]!r}")
        return raw


def _plain(host: str) -> str:
    return host.lower().rstrip(".")


def _is_address(host: str) -> bool:
    with suppress(ValueError):
        ipaddress.ip_address(host.strip("[]"))
        return True
    return False


class _Proxy:
    def __init__(self, hosts: frozenset[str]) -> None:
        self._hosts = hosts
        self.serving: set[asyncio.Task[None]] = set()

    async def accept(self, listener: socket.socket) -> None:
        """Accept only what there is a place for: each connection takes descriptors of the worker's."""
        places, loop = asyncio.Semaphore(MAX_CONNECTIONS), asyncio.get_running_loop()
        while True:
            await places.acquire()
            connection, _ = await loop.sock_accept(listener)
            task = asyncio.create_task(self._serve(connection))
            self.serving.add(task)
            task.add_done_callback(self.serving.discard)
            task.add_done_callback(lambda _: places.release())

    async def _serve(self, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=connection, limit=MAX_HEAD_BYTES)
        try:
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_SECONDS)
                target = self._target(head.split(b"\r\n")[0].decode("latin-1"))
                there = target if isinstance(target, str) else await self._connect(target)
                if isinstance(there, str) or isinstance(target, str):
                    writer.write(
                        f"HTTP/1.1 {there}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
                    )
                    await writer.drain()
                else:
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    await asyncio.gather(_forward(target, reader, writer, there[1]), _pipe(there[0], writer))
        finally:
            writer.close()

    def _target(self, line: str) -> _Target | str:
        """Return where the request wants to go, or the HTTP status that says why it may not."""
        method, _, target = line.partition(" ")
        host, _, port = target.split(" ")[0].rpartition(":")
        if method != "CONNECT" or not port.isdigit():
            return "405 Only CONNECT"
        listed = f"{host.lower()}:{port}" in self._hosts
        if not listed and (port != "443" or not allowed(host, self._hosts)):
            log.warning("egress refused", host=host[:200], port=port)
            return "403 Not a package registry"
        return _Target(host, int(port), listed)

    async def _connect(self, target: _Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | str:
        """Return the connection, or the HTTP status that says why there is none."""
        loop = asyncio.get_running_loop()
        try:
            rows = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
            addresses = [str(row[4][0]) for row in rows]
            if ANY_PUBLIC in self._hosts and not target.listed:
                addresses = [address for address in addresses if public(address)]
            if not addresses:
                return "403 Not a public address"
            connecting = asyncio.open_connection(addresses[0], target.port)
            return await asyncio.wait_for(connecting, CONNECT_SECONDS)
        except (OSError, TimeoutError):
            return "502 Cannot be reached"


async def _forward(
    target: _Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, there: asyncio.StreamWriter
) -> None:
    """Carry what the client sends, if it begins as it must."""
    try:
        there.write(await asyncio.wait_for(target.beginning(reader), HEAD_SECONDS))
        await _pipe(reader, there)
    except HelloRefused as refused:
        log.warning("egress refused", host=target.host[:200], port=target.port, reason=str(refused))
        with suppress(OSError):
            writer.write(UNRECOGNIZED_NAME)
            await writer.drain()
    finally:
        there.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()

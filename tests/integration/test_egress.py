"""The agent's way out: to what is listed, by TLS to the host that was asked for, and no further."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from hosting.gateway.client_hello import UNRECOGNIZED_NAME, HelloRefused, server_name
from hosting.gateway.egress import REGISTRIES, allowed, egress, public
from railmend.coding.sandbox.interface import EGRESS_SOCKET, RepairPaths, short_path

pytestmark = pytest.mark.integration


@asynccontextmanager
async def connected(paths: RepairPaths, line: str) -> AsyncIterator[tuple[bytes, asyncio.StreamReader]]:
    with short_path(paths.sockets, EGRESS_SOCKET) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(f"{line}\r\n\r\n".encode())
        try:
            yield await reader.readuntil(b"\r\n\r\n"), reader
        finally:
            writer.close()


async def test_the_way_out_leads_to_what_is_listed(tmp_path: Path) -> None:
    paths = RepairPaths(tmp_path / "key")
    paths.create()
    greeting = await asyncio.start_server(lambda _, writer: writer.write(b"hello"), "127.0.0.1", 0)
    port = greeting.sockets[0].getsockname()[1]
    async with greeting:
        async with egress(paths, [f"localhost:{port}"]):
            async with connected(paths, f"CONNECT localhost:{port} HTTP/1.1") as (head, reader):
                assert head.startswith(b"HTTP/1.1 200 ")
                assert await reader.read(5) == b"hello"
            for line, status in (
                (f"CONNECT 127.0.0.1:{port} HTTP/1.1", b"403"),
                ("CONNECT localhost:7233 HTTP/1.1", b"403"),
                ("CONNECT evil.example:443 HTTP/1.1", b"403"),
                (f"GET http://localhost:{port}/ HTTP/1.1", b"405"),
            ):
                async with connected(paths, line) as (head, _):
                    assert head.split()[1] == status, line
        async with egress(paths, ["*"]), connected(paths, "CONNECT localhost:443 HTTP/1.1") as (head, _):
            assert head.startswith(b"HTTP/1.1 403 Not a public address")
    assert not (paths.sockets / EGRESS_SOCKET).exists()


class Tls:
    """What the bytes of a TLS client are, and what may be in them."""

    @staticmethod
    def hello(name: str | None) -> bytes:
        """The first flight of a real client."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sent = ssl.MemoryBIO()
        with suppress(ssl.SSLWantReadError):
            context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name).do_handshake()
        return sent.read()

    @staticmethod
    def in_records(hello: bytes, size: int) -> bytes:
        """The same hello, in records of `size` bytes."""
        body = hello[5:]
        parts = [body[start : start + size] for start in range(0, len(body), size)]
        return b"".join(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in parts)

    @staticmethod
    def with_extension(hello: bytes, extension: bytes) -> bytes:
        """The same hello with one more extension at its end."""
        at = 5 + 4 + 34
        for size in (1, 2, 1):
            at += size + int.from_bytes(hello[at : at + size], "big")
        extensions = hello[at + 2 :] + extension
        body = hello[9:at] + len(extensions).to_bytes(2, "big") + extensions
        message = b"\x01" + len(body).to_bytes(3, "big") + body
        return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


HELLO = Tls.hello("registry.example")
# As BoringSSL makes it where it has no key to encrypt with (RFC 9849, section 6.2); Bun did before 1.3.14.
# type and cipher suite, id of the configuration, key, what would be the encrypted hello
GREASE = bytes((0, 0, 1, 0, 1, 77, 0, 32)) + bytes(range(32)) + b"\0\x90" + bytes(range(144))
PRETENDS = b"\xfe\x0d" + len(GREASE).to_bytes(2, "big") + GREASE
NAME_EXTENSION = b"\0\0\0\x0b\0\x09\0\0\6evil.x"
RIGHT_NAME = b"\0\0\0\x15\0\x13\0\0\x10registry.example"


NAMED = {
    "as it is": HELLO,
    "in capitals": Tls.hello("REGISTRY.example"),
    "in records of a byte": Tls.in_records(HELLO, 1),
    "in records": Tls.in_records(HELLO, 200),
    "with early data": HELLO + b"\x17\x03\x03\0\1x",
}
UNNAMED = {
    "another": Tls.hello("evil.example"),
    "a longer one": Tls.hello("registry.example.evil.example"),
    "none": Tls.hello(None),
    "an address": Tls.hello("127.0.0.1"),
    "encrypted, or as if": Tls.with_extension(HELLO, PRETENDS),
    "encrypted in the draft's way": Tls.with_extension(HELLO, b"\xff\xce\0\1x"),
    "two": Tls.with_extension(HELLO, NAME_EXTENSION),
    "two, of which the last is right": Tls.with_extension(Tls.hello("evil.example"), RIGHT_NAME),
    "an empty list": Tls.with_extension(Tls.hello(None), b"\0\0\0\2\0\0"),
    "far down": Tls.with_extension(HELLO, b"\x12\x34\x3f\x00" + bytes(0x3F00)),
    "no hello": HELLO[:5] + b"\2" + HELLO[6:],
    "empty records": b"\x16\x03\x01\0\0" * 3,
    "no TLS": b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "SSL 2": b"\x80\x2e\1\3\1" + bytes(99),
}


@pytest.mark.parametrize("case", [*NAMED, *UNNAMED])
async def test_a_tunnel_begins_with_a_hello_for_its_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """It arrives whole or not at all."""
    first, passes = (NAMED | UNNAMED)[case], case in NAMED
    got: list[bytes] = []
    ended = asyncio.Event()

    async def registry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.read(-1))
        writer.close()
        ended.set()

    paths = RepairPaths(tmp_path / "key")
    paths.create()
    server = await asyncio.start_server(registry, "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    connect = asyncio.open_connection
    monkeypatch.setattr(asyncio, "open_connection", lambda *_: connect(*address))
    loop = asyncio.get_running_loop()

    async def resolved(*_: object, **__: object) -> list[object]:
        return [(None, None, None, "", ("192.0.2.1", 443))]

    monkeypatch.setattr(loop, "getaddrinfo", resolved)
    async with server, egress(paths, ["registry.example"]):
        with short_path(paths.sockets, EGRESS_SOCKET) as path:
            reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"CONNECT registry.example:443 HTTP/1.1\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.write(first[:50])
        await asyncio.sleep(0)
        writer.write(first[50:])
        writer.write_eof()
        alert = await reader.read(len(UNRECOGNIZED_NAME))
        await ended.wait()
        writer.close()
    assert got == [first if passes else b""]
    assert alert == (b"" if passes else UNRECOGNIZED_NAME)


async def test_a_target_listed_with_its_port_may_do_without_tls_but_not_lie(tmp_path: Path) -> None:
    paths = RepairPaths(tmp_path / "key")
    paths.create()

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(4))
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    local = address.replace("127.0.0.1", "localhost")
    async with server, egress(paths, [address, local]):
        for target, first, answer in (
            (local, b"GET / HTTP/1.1", b"GET "),
            (local, Tls.hello("localhost"), HELLO[:4]),
            (local, Tls.hello("evil.example"), UNRECOGNIZED_NAME),
            (local, Tls.with_extension(Tls.hello("localhost"), PRETENDS), HELLO[:4]),
            (local, Tls.with_extension(Tls.hello("evil.example"), PRETENDS), UNRECOGNIZED_NAME),
            (address, Tls.hello(None), HELLO[:4]),
            (address, Tls.hello("evil.example"), UNRECOGNIZED_NAME),
        ):
            with short_path(paths.sockets, EGRESS_SOCKET) as path:
                reader, writer = await asyncio.open_unix_connection(path)
            writer.write(f"CONNECT {target} HTTP/1.1\r\n\r\n".encode() + first)
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.read(len(answer)) == answer, (target, first[:9])
            writer.close()


def test_a_hello_cut_anywhere_is_waited_for_or_refused() -> None:
    """The body of a hello, at each length: never another name, and no other error."""
    body = HELLO[9:]
    for size in range(len(body)):
        with suppress(HelloRefused):
            assert server_name(body[:size]) is None
    assert server_name(body) == "registry.example"


def test_which_hosts_and_addresses_are_meant() -> None:
    assert allowed("PyPI.org.", REGISTRIES)
    assert not allowed("pypi.org.evil.example", REGISTRIES)
    assert allowed("anything.example", ["*"])
    assert public("1.1.1.1")
    for address in (
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:10.0.0.1",
        "fd00::1",
        "fe80::1%eth0",
        "0.0.0.0",
    ):
        assert not public(address), address

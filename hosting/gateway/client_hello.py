"""The server name that a TLS client asks for, read before anything is passed on.

RFC 8446, section 4.1.2; RFC 6066, section 3. Strict: what two parsers could read differently is refused.
"""

import asyncio
import struct

# Hellos have 0.3 to 2 KiB, with post-quantum keys.
MAX_HELLO_BYTES = 16 * 1024
HANDSHAKE, CLIENT_HELLO, HOST_NAME, SERVER_NAME = 22, 1, 0, 0
# encrypted_client_hello (RFC 9849) and its draft: the name that can be read may not be the one that is asked
# for. Some clients only pretend (GREASE, section 6.2), so that nobody can tell.
ENCRYPTED = frozenset({0xFE0D, 0xFFCE})
# A fatal alert, unrecognized_name: clients print it.
UNRECOGNIZED_NAME = bytes((21, 3, 1, 0, 2, 2, 112))


class HelloRefused(ValueError):
    """It is no hello, or a name cannot be read in it for certain."""


class _Bytes:
    """Reads from the front. Raises `HelloRefused` where too little is left."""

    def __init__(self, data: bytes) -> None:
        self.left = data

    def take(self, size: int) -> bytes:
        if len(self.left) < size:
            raise HelloRefused("the TLS hello is cut short")
        taken, self.left = self.left[:size], self.left[size:]
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def block(self, size: int) -> bytes:
        """Return a vector whose length is a number of `size` bytes."""
        return self.take(self.number(size))


def server_name(hello: bytes, *, outer: bool = False) -> str | None:
    """Return the server name in the body of a ClientHello; None: there is none. Raise `HelloRefused`.

    `outer`: also where another one may be encrypted beside it.
    """
    data = _Bytes(hello)
    data.take(2 + 32)  # version, random
    for size in (1, 2, 1):  # session, cipher suites, compression methods
        data.block(size)
    if not data.left:
        return None
    listed, extensions = _Bytes(data.block(2)), dict[int, bytes]()
    while listed.left:
        kind, body = listed.number(2), listed.block(2)
        if kind in extensions:
            raise HelloRefused("an extension is there twice")
        extensions[kind] = body
    if data.left:
        raise HelloRefused("there is more than a TLS hello")
    if ENCRYPTED & extensions.keys() and not outer:
        raise HelloRefused("its server name may be encrypted (ECH), as Bun before 1.3.14 has it")
    return _host_name(extensions[SERVER_NAME]) if SERVER_NAME in extensions else None


def _host_name(extension: bytes) -> str:
    outer = _Bytes(extension)
    names = _Bytes(outer.block(2))
    kind, name = names.number(1), names.block(2)
    if kind != HOST_NAME or names.left or outer.left:
        raise HelloRefused("it has no single server name")
    try:
        return name.decode("ascii")
    except UnicodeDecodeError as error:
        raise HelloRefused("its server name is no host name") from error


async def read_hello(reader: asyncio.StreamReader, begun: bytes, *, outer: bool) -> tuple[bytes, str | None]:
    """Return the bytes of a ClientHello, which `begun` begins, and the server name in it.

    It may come in any number of segments and records. Raise `HelloRefused`, `IncompleteReadError`.
    """
    raw, message = b"", b""
    while len(message) < 4 or len(message) < 4 + int.from_bytes(message[1:4], "big"):
        head = begun + await reader.readexactly(5 - len(begun))
        begun = b""
        kind, version, size = struct.unpack("!BHH", head)
        if kind != HANDSHAKE or version >> 8 != 3 or not size:
            raise HelloRefused("it does not begin with a TLS hello")
        if len(raw) + size > MAX_HELLO_BYTES:
            raise HelloRefused(f"the TLS hello has more than {MAX_HELLO_BYTES} bytes")
        body = await reader.readexactly(size)
        raw, message = raw + head + body, message + body
        if message[0] != CLIENT_HELLO:
            raise HelloRefused("it does not begin with a TLS hello")
    if len(message) != 4 + int.from_bytes(message[1:4], "big"):
        raise HelloRefused("there is more than a TLS hello")
    return raw, server_name(message[4:], outer=outer)

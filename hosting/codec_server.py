"""Decrypts payloads for the Temporal Web UI and the `temporal` command line (Temporal's codec protocol).

`python -m hosting.codec_server`; the keys never leave it. Whoever may call it may read everything.
"""

import argparse
import asyncio
import contextlib
import hmac
import ipaddress
import signal
import sys

from google.protobuf import json_format
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from temporalio.api.common.v1 import Payloads

from hosting import logging
from hosting.cli_runtime import run_main
from hosting.codec import DecryptionRefused, EncryptionCodec, codec, new_key
from hosting.http_server import serving, split
from railmend.settings import ConfigurationError, Settings

DEFAULT_ADDRESS = "127.0.0.1:8081"
# Temporal's own bound of one gRPC message is 4 MB; base64 and JSON make it larger.
MAX_BYTES = 16 * 1024 * 1024


def application(keys: EncryptionCodec, token: SecretStr | None, origins: tuple[str, ...]) -> Starlette:
    """`POST /encode` and `/decode`, also below a namespace. Without `token` only `origins` are answered."""

    def allowed(request: Request) -> bool:
        if token is None:
            return request.headers.get("origin") in (None, *origins)
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token.get_secret_value()}".encode())

    async def answer(request: Request) -> Response:
        if not allowed(request):
            return JSONResponse({"error": "not allowed: wrong token or origin"}, 401)
        if int(request.headers.get("content-length", MAX_BYTES + 1)) > MAX_BYTES:
            return JSONResponse({"error": f"say a length of at most {MAX_BYTES} bytes"}, 413)
        try:
            payloads = json_format.Parse(await request.body(), Payloads()).payloads
            turn = keys.encode if request.url.path.endswith("/encode") else keys.decode
            done = Payloads(payloads=await turn(payloads))
        except (json_format.ParseError, DecryptionRefused) as error:
            return JSONResponse({"error": str(error)[:500]}, 400)
        return Response(json_format.MessageToJson(done), media_type="application/json")

    paths = ("/encode", "/decode", "/{namespace}/encode", "/{namespace}/decode")
    return Starlette(
        routes=[Route(path, answer, methods=["POST"]) for path in paths],
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=list(origins),
                allow_methods=["POST"],
                allow_headers=["content-type", "x-namespace", "authorization"],
                allow_credentials=True,
            )
        ],
    )


def _checked(settings: Settings, address: str, *, behind_loopback: bool) -> Starlette:
    keys = codec(settings)
    if keys is None:
        raise ConfigurationError("Not set: RAILMEND_ENCRYPTION_KEYS. There is nothing to decrypt without it.")
    if settings.railmend_codec_token is None and not (behind_loopback or _is_loopback(split(address)[0])):
        raise ConfigurationError(
            f"--address {address} can be reached from outside: set RAILMEND_CODEC_TOKEN, or say "
            "--behind-loopback where only this machine reaches it, as a container's published port."
        )
    return application(keys, settings.railmend_codec_token, settings.railmend_codec_origins)


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


async def serve(address: str, *, behind_loopback: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    app = _checked(Settings(), address, behind_loopback=behind_loopback)
    async with serving(app, address, "--address"):
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m hosting.codec_server", description=__doc__)
    parser.add_argument("--address", default=DEFAULT_ADDRESS, help=f"HOST:PORT (default {DEFAULT_ADDRESS})")
    parser.add_argument(
        "--behind-loopback",
        action="store_true",
        help="only this machine reaches the address: no token needed",
    )
    parser.add_argument("--new-key", metavar="ID", help="print an entry for RAILMEND_ENCRYPTION_KEYS and end")
    options = parser.parse_args()
    if options.new_key:
        sys.stdout.write(new_key(options.new_key) + "\n")
        return
    logging.configure()
    run_main("codec server", serve(options.address, behind_loopback=options.behind_loopback))


if __name__ == "__main__":
    main()

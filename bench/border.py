"""What attacks on the worker cost it in memory and time: each in a process of its own."""

import asyncio
import gzip
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import httpx
from pydantic import SecretStr

from hosting.gateway.model_gateway import ModelGateway
from railmend.coding.git.repository import TrustedRepository
from railmend.coding.guard.review import Plan, review
from railmend.coding.metering.meter import ModelEndpoint, SessionLimits
from railmend.coding.sandbox.bounded_http import BoundedTransport, load_json
from railmend.coding.sandbox.interface import GATEWAY_SOCKET, RepairPaths, short_path
from railmend.coding.settings import GuardSettings

MIB = 1024 * 1024
STALL_SECONDS = 0.01


async def change(leave: Callable[[Path], None], folder: Path) -> str:
    """Have the guard look at what `leave` puts into a work tree."""

    def judged() -> str:
        work = folder / "work"
        work.mkdir()
        git = ["git", "-C", str(work), "-c", "user.name=d", "-c", "user.email=d@example.invalid"]
        subprocess.run([*git, "init", "-q", "-b", "main"], check=True)
        subprocess.run([*git, "commit", "-qm", "base", "--allow-empty"], check=True)
        repository = TrustedRepository(folder / "repair", f"file://{work}", None)
        base = repository.prepare("main", None)
        leave(repository.tree)
        taken = repository.take(base)
        files = repository.changed_files(taken.tree, base, taken.oversized)
        return f"refused with {len(review(files, Plan(), GuardSettings()))} sentences"

    return await asyncio.to_thread(judged)


def text_of_50_mib(tree: Path) -> None:
    line = b"an ordinary line of text\n"
    with (tree / "data.txt").open("wb") as file:
        for _ in range(50):
            file.write(line * (MIB // len(line)))


def hundred_texts(tree: Path) -> None:
    for number in range(100):
        (tree / f"{number}.txt").write_bytes(b"x\n" * 450_000)


def many_files(tree: Path) -> None:
    for number in range(20_000):
        (tree / f"file-of-an-ordinary-name-{number}.txt").touch()


def lines_of_1_mb(tree: Path) -> None:
    for name in ("app.py", "test_app.py", "requirements.txt", "app.java"):
        (tree / name).write_bytes(b"token='" + b"assert(" * 35_000 + b"\n")
    (tree / "data.md").write_bytes(b"ghp_" * 249_000)


def sparse_gibibyte(tree: Path) -> None:
    with (tree / "sparse").open("wb") as file:
        file.truncate(1024 * MIB)


async def answer(headers: bytes, body: Callable[[], bytes], folder: Path) -> str:
    """Ask a server in OpenCode's place."""

    content = body()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + headers + b"\r\n")
        for start in range(0, len(content), 65536):
            writer.write(content[start : start + 65536])
            await writer.drain()
        writer.close()

    path = str(folder / "server.sock")
    server = await asyncio.start_unix_server(serve, path)
    transport = BoundedTransport(httpx.AsyncHTTPTransport(uds=path))
    async with server, httpx.AsyncClient(transport=transport, base_url="http://opencode") as client:
        try:
            raw = (await client.get("/session")).content
            await asyncio.to_thread(load_json, raw)
        except (httpx.TransportError, ValueError) as error:
            return str(error)
    return "read"


def zeros_of_200_mib() -> bytes:
    """Return zeros, packed piece by piece: this process must not have had them."""
    with tempfile.TemporaryFile() as file:
        with gzip.GzipFile(fileobj=file, mode="wb") as stream:
            for _ in range(200):
                stream.write(bytes(MIB))
        file.seek(0)
        return file.read()


def many_values() -> bytes:
    return b"[" + b"[]," * (7 * MIB // 3) + b"[]]"


def long_text() -> bytes:
    return json.dumps(["\U0001f600" + "x" * 7 * MIB], ensure_ascii=False).encode()


async def gateway(attack: Callable[[str], Awaitable[str]], folder: Path) -> str:
    paths = RepairPaths(folder / "key")
    paths.create()
    model = ModelEndpoint(base_url="http://127.0.0.1:9/v1", model_id="m", api_key=SecretStr("k"))
    opened = ModelGateway(model, SessionLimits())
    await opened.open(paths, "key")
    try:
        with short_path(paths.sockets, GATEWAY_SOCKET) as socket:
            return await attack(socket)
    finally:
        await opened.close()


def _head(size: int) -> bytes:
    lines = (
        "POST /v1/chat/completions HTTP/1.1",
        "Host: x",
        "Authorization: Bearer key",
        f"Content-Length: {size}",
    )
    return "\r\n".join((*lines, "", "")).encode()


async def _send(socket: str, size: int, piece: bytes, sent: int) -> str:
    """Send `sent` of `size` bytes of a body, and return the first line of the answer, if any comes."""
    reader, writer = await asyncio.open_unix_connection(socket)
    try:
        writer.write(_head(size))
        for _ in range(sent // len(piece)):
            writer.write(piece)
            await asyncio.wait_for(writer.drain(), 2)
        return (await asyncio.wait_for(reader.readline(), 2)).decode().strip()
    except (TimeoutError, OSError):
        return "no answer"
    finally:
        writer.close()


async def half_sent_bodies(socket: str) -> str:
    piece = b" " * 65536
    size = 8 * MIB
    answers = await asyncio.gather(*(_send(socket, size, piece, size - 65536) for _ in range(60)))
    return f"{len(answers)} connections, {answers.count('no answer')} without an answer"


async def request_of(size: int, socket: str) -> str:
    return await _send(socket, size, b"[]," * 20_000, size)


ATTACKS: dict[str, Callable[[Path], Awaitable[str]]] = {
    "a text file of 50 MiB": partial(change, text_of_50_mib),
    "100 texts of 0.9 MB": partial(change, hundred_texts),
    "20,000 files": partial(change, many_files),
    "lines of 0.2 to 1 MB": partial(change, lines_of_1_mb),
    "a sparse file of 1 GiB": partial(change, sparse_gibibyte),
    "a gzip answer of 200 MiB": partial(answer, b"Content-Encoding: gzip\r\n", zeros_of_200_mib),
    "an answer of 2.4 million values": partial(answer, b"", many_values),
    "an answer of one text of 7 MiB": partial(answer, b"", long_text),
    "60 half-sent bodies of 8 MiB": partial(gateway, half_sent_bodies),
    "a request of 12.5 MB": partial(gateway, partial(request_of, 12_500_000)),
    "a request of 2.6 million values": partial(gateway, partial(request_of, 7_800_000)),
}


async def _measured(name: str) -> dict[str, object]:
    longest = 0.0

    async def beat() -> None:
        nonlocal longest
        while True:
            began = time.perf_counter()
            await asyncio.sleep(STALL_SECONDS)
            longest = max(longest, time.perf_counter() - began - STALL_SECONDS)

    with tempfile.TemporaryDirectory() as folder:
        task = asyncio.create_task(beat())
        idle, began, used = _memory("VmRSS"), time.perf_counter(), sum(os.times()[:4])
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew, proc(5)
        said = await ATTACKS[name](Path(folder))
        row = {
            "said": said,
            "idle": idle,
            "peak": _memory("VmHWM"),
            "seconds": time.perf_counter() - began,
            "cpu": sum(os.times()[:4]) - used,
            "child": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
            "stall": longest,
        }
        task.cancel()
    return row


def _memory(field: str) -> float:
    rows = dict(row.split(":", 1) for row in Path("/proc/self/status").read_text().splitlines())
    return int(rows[field].split()[0]) / 1024


def run(name: str) -> dict[str, object]:
    """Return the numbers of one attack, in a new process."""
    command = [sys.executable, "-m", "bench.border", name]
    done = subprocess.run(command, check=True, capture_output=True, env={**os.environ, "NO_COLOR": "1"})
    row: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return row


def main() -> None:
    print("Attacks on the worker: MiB above idle, MiB of its largest child (git, code reader), seconds,")
    print("CPU seconds of all of them, longest stall of the event loop in ms")
    for name in ATTACKS:
        row = run(name)
        above = float(str(row["peak"])) - float(str(row["idle"]))
        stall = 1000 * float(str(row["stall"]))
        numbers = f"{above:6.0f} {row['child']:6.0f} {row['seconds']:6.1f} {row['cpu']:6.1f} {stall:6.0f}"
        print(f"  {name:34} {numbers}   {row['said']}")


if __name__ == "__main__":
    logging.disable()
    if len(sys.argv) > 1:
        print(json.dumps(asyncio.run(_measured(sys.argv[1]))))
    else:
        main()

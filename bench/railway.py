"""Time a scan of N services, cold and again, against one server with 150 ms latency."""

import asyncio
import json
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import httpx
from pydantic import SecretStr

from railmend.contracts.scan import Window
from railmend.railway.client import RailwayClient

LATENCY_SECONDS = 0.15
SIZES = ((5, 3), (20, 10), (50, 25), (200, 100))  # services, of these with HTTP traffic
CANDIDATES = 10
TOKEN, PROJECT, ENVIRONMENT = "synthetic-token", "synthetic-project", "synthetic-environment"


def window() -> Window:
    end = datetime(2026, 1, 2, tzinfo=UTC)
    return Window(start=end - timedelta(minutes=180), end=end, step_seconds=60)


async def measured(url: str, candidates: int) -> dict[str, float]:
    client = RailwayClient(url, SecretStr(TOKEN))
    began = time.perf_counter()
    survey = await client.surveyor.survey(PROJECT, ENVIRONMENT, window())
    await client.surveyor.fetch_detailed(ENVIRONMENT, survey.services[:candidates], window())
    cold, cold_seconds = client.requests, time.perf_counter() - began
    began = time.perf_counter()
    await client.surveyor.survey(PROJECT, ENVIRONMENT, window())
    warm, warm_seconds = client.requests - cold, time.perf_counter() - began
    await client.aclose()
    return {"requests": cold, "seconds": cold_seconds, "warm": warm, "warm_seconds": warm_seconds}


def start(services: int, web: int, troubled: int = CANDIDATES) -> tuple[subprocess.Popen[str], str]:
    """Run the server as its own process, so that memory and time measured are the client's."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.railway", "serve", str(services), str(web), str(troubled)],
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdout is None:
        raise RuntimeError("the server has no output")
    return process, process.stdout.readline().strip()


async def serve(services: int, web: int, troubled: int) -> None:
    """Serve a synthetic project: print its address, then run until killed."""
    from railyard.api.behaviour import Behaviour, Gatekeeper
    from railyard.api.synthetic import Synthetic, build_synthetic
    from railyard.serving import Serving

    behaviour = Behaviour(latency_seconds=LATENCY_SECONDS, quota=1_000_000)
    project = Synthetic(services, web, min(troubled, web))
    serving = Serving(build_synthetic(project, Gatekeeper(behaviour)))
    serving.start()
    print(f"{serving.url}/graphql/v2", flush=True)
    await asyncio.Event().wait()


def scan(services: int, web: int) -> None:
    """Print a line of JSON; each size is scanned in its own process, for its peak memory."""
    process, url = start(services, web)
    try:
        figures = asyncio.run(measured(url, min(CANDIDATES, web)))
        stats = httpx.get(url.replace("/graphql/v2", "/_railyard/stats")).json()
    finally:
        process.kill()
        process.wait()
    figures["bytes"] = stats["bytes_out"]
    print(json.dumps(figures | {"megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


def main() -> None:
    head = ("services", "requests", "warm", "MB read", "seconds", "warm s", "resident MB")
    print(("{:>12}" * len(head)).format(*head))
    for services, web in SIZES:
        command = [sys.executable, "-m", "bench.railway", "scan", str(services), str(web)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        figures = json.loads(done.stdout.splitlines()[-1])
        row = [services, figures["requests"], figures["warm"]]
        row += [f"{figures['bytes'] / 1e6:.2f}", f"{figures['seconds']:.2f}"]
        row += [f"{figures['warm_seconds']:.2f}", f"{figures['megabytes']:.0f}"]
        print(("{:>12}" * len(row)).format(*row), flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", *sizes]:
            asyncio.run(serve(*map(int, sizes)))
        case ["scan", *sizes]:
            scan(*map(int, sizes))
        case _:
            main()

"""Time a scan of N services: our plan beside the reference plan, against one server with 150 ms latency.

The reference plan is how such tools are usually written: 1 + 2N + S requests without batching. It reads the
project, then limits and metrics of each service, and up to 5,000 HTTP log rows of each deployed one, from
which rates and percentiles are counted; for each affected service it sends three more.
"""

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
REFERENCE_ROWS = 5000
SERVER = "bench.railway_server"


def window() -> Window:
    end = datetime(2026, 1, 2, tzinfo=UTC)
    return Window(start=end - timedelta(minutes=180), end=end, step_seconds=60)


async def ours(url: str, candidates: int) -> dict[str, float]:
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


async def reference(url: str, services: int, candidates: int) -> dict[str, float]:
    """Send one field per request; the requests per service go out all at once, as the original does."""
    sent = 0
    headers = {"Project-Access-Token": TOKEN}
    limits = httpx.Limits(max_connections=10)
    span = 'startDate: "2026-01-01T23:30:00Z", endDate: "2026-01-02T00:00:00Z"'
    async with httpx.AsyncClient(headers=headers, timeout=60, limits=limits) as client:

        async def ask(query: str) -> None:
            nonlocal sent
            sent += 1
            response = await client.post(url, params={"op": "reference"}, json={"query": query})
            response.json()

        began = time.perf_counter()
        await ask(f'{{ project(id: "{PROJECT}") {{ id name }} }}')
        ids = [f"service-{number:04d}" for number in range(services)]
        for service_id in ids:
            await ask(
                f'{{ serviceInstanceLimits(environmentId: "{ENVIRONMENT}", serviceId: "{service_id}") }}'
            )
        metrics = [
            f'{{ metrics(environmentId: "{ENVIRONMENT}", serviceId: "{service_id}", {span}, '
            "sampleRateSeconds: 60, measurements: [CPU_USAGE, MEMORY_USAGE_GB]) "
            "{ measurement values { ts value } } }"
            for service_id in ids
        ]
        rows = [
            f'{{ httpLogs(deploymentId: "deployment-{service_id}", limit: {REFERENCE_ROWS}) '
            "{ timestamp method path httpStatus totalDuration } }"
            for service_id in ids
        ]
        logs = [
            f'{{ deploymentLogs(deploymentId: "deployment-{service_id}", limit: 1000) '
            "{ timestamp message } }"
            for service_id in ids[:candidates]
        ]
        await asyncio.gather(*(ask(query) for query in [*metrics, *rows, *logs * 3]))
        return {"requests": sent, "seconds": time.perf_counter() - began}


def start(services: int, web: int, troubled: int = CANDIDATES) -> tuple[subprocess.Popen[str], str]:
    """Run the server as its own process, so that memory and time measured are the client's."""
    process = subprocess.Popen(
        [sys.executable, "-m", SERVER, str(services), str(web), str(troubled), str(LATENCY_SECONDS)],
        stdout=subprocess.PIPE,
        text=True,
    )
    if process.stdout is None:
        raise RuntimeError("the server has no output")
    return process, process.stdout.readline().strip()


def stats(url: str) -> dict[str, int]:
    counts: dict[str, int] = httpx.get(url.replace("/graphql/v2", "/_railyard/stats")).json()
    return counts


def run_plan(plan: str, services: int, web: int) -> None:
    """Run one plan and print a line of JSON; each runs in its own process, for its peak memory."""
    process, url = start(services, web)
    candidates = min(CANDIDATES, web)
    try:
        work = ours(url, candidates) if plan == "ours" else reference(url, services, candidates)
        figures = asyncio.run(work)
        figures |= {"bytes": stats(url)["bytes_out"], "rows": stats(url)["rows"]}
    finally:
        process.kill()
        process.wait()
    figures["megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(figures))


def main() -> None:
    head = ("services", "plan", "requests", "warm", "rows", "MB read", "seconds", "warm s", "resident MB")
    print(("{:>12}" * len(head)).format(*head))
    for services, web in SIZES:
        for plan in ("ours", "reference"):
            command = [sys.executable, "-m", "bench.railway", plan, str(services), str(web)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            figures = json.loads(done.stdout.splitlines()[-1])
            row = [services, plan, f"{figures['requests']:.0f}", f"{figures.get('warm', 0):.0f}"]
            row += [f"{figures['rows']:.0f}", f"{figures['bytes'] / 1e6:.2f}", f"{figures['seconds']:.2f}"]
            row += [f"{figures.get('warm_seconds', 0):.2f}", f"{figures['megabytes']:.0f}"]
            print(("{:>12}" * len(row)).format(*row), flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        run_plan(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()

"""Time the condensing and redaction of logs, and measure memory; each size in its own process.

Bounds, on one idle core: a hundred thousand distinct messages in 6 s and 100 MB, and time that grows with the
number of lines.
"""

import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from railmend.evidence.condense import condense_logs
from railmend.evidence.redact import redact
from railmend.evidence.streams import StreamRow

START = datetime(2026, 1, 1, tzinfo=UTC)
SIZES = (10_000, 100_000, 1_000_000)
DISTINCT_SIZES = (25_000, 50_000, 100_000)
REDACTED_MB = 1
TRACE = (
    "ERROR:    Exception in ASGI application",
    "Traceback (most recent call last):",
    '  File "/app/.venv/lib/python3.12/site-packages/uvicorn/h11_impl.py", line 403, in run_asgi',
    "    result = await app(self.scope, self.receive, self.send)",
    '  File "/app/app/pricing.py", line 8, in convert',
    '    raise ValueError(f"unsupported currency {currency!r}")',
    "ValueError: unsupported currency 'SEK'",
)


def rows(count: int) -> Iterator[StreamRow]:
    """Yield typical log lines: access lines, ids, hashes, retries; one in a hundred starts a stack trace."""
    chance = random.Random(1)  # noqa: S311 - made-up logs
    made = 0
    while made < count:
        for severity, message in _lines(chance):
            yield StreamRow(START + timedelta(milliseconds=10 * made), severity, message)
            made += 1


def _lines(chance: random.Random) -> list[tuple[str, str]]:
    share, number = chance.random(), chance.randrange(100_000)
    if share < 0.01:
        return [("error", line) for line in TRACE]
    if share < 0.3:
        return [("info", f'INFO:     127.0.0.1:{number} - "GET /api/orders/{number} HTTP/1.1" 200 OK')]
    if share < 0.5:
        return [("error", f"2026-02-03 22:07:24,{number % 999} INFO shop order {number} loaded in 5ms")]
    if share < 0.7:
        return [("info", f"request {chance.getrandbits(128):032x} user={number} done path=/x/{number}")]
    if share < 0.85:
        return [
            ("info", f"cache hit key=user:{chance.getrandbits(32):08x}:profile took {number / 1e4:.3f}ms")
        ]
    return [("error", f"WARN worker-{number % 20} retrying job {chance.getrandbits(64):016x}")]


def distinct_rows(count: int) -> Iterator[StreamRow]:
    """Yield errors and ordinary lines, no two of which are of one template."""
    chance = random.Random(1)  # noqa: S311 - made-up logs
    words = [
        "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 9))) for _ in range(5000)
    ]
    for made in range(count):
        text = " ".join(chance.choices(words, k=chance.randint(4, 12)))
        level = chance.choice(("ERROR failed for ", "WARN ", "", '{"level":"info","msg":"'))
        message = f'{level}{text}"}}' if level[:1] == "{" else f"{level}{text}"
        yield StreamRow(START + timedelta(milliseconds=10 * made), "info", message)


def condense_once(count: int, *, distinct: bool) -> None:
    """Print CPU seconds, without those of generating the rows, and peak resident megabytes."""
    generate = distinct_rows if distinct else rows
    began = time.process_time()
    for _ in generate(count):
        pass
    making = time.process_time() - began
    began = time.process_time()
    condense_logs(generate(count), budget_tokens=2000)
    seconds = time.process_time() - began - making
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{seconds:.3f} {megabytes:.0f}")


def main() -> None:
    print(f"{'what':<40}{'CPU s':>10}{'per second':>14}{'MB resident':>14}")
    for kind, count in [
        *(("usual", size) for size in SIZES),
        *(("distinct", size) for size in DISTINCT_SIZES),
    ]:
        arguments = [sys.executable, "-m", "bench.evidence", kind, str(count)]
        done = subprocess.run(arguments, capture_output=True, text=True, check=True)
        seconds, megabytes = (float(part) for part in done.stdout.split())
        name = f"condense {count:,} {kind} log lines"
        print(f"{name:<40}{seconds:>10.2f}{count / seconds:>14.0f}{megabytes:>14.0f}")
    text = "\n".join(row.message for row in rows(REDACTED_MB * 16_000))
    began = time.process_time()
    redact(text)
    seconds = time.process_time() - began
    size = len(text) / 1e6
    print(f"{f'redact {size:.1f} MB of log text':<40}{seconds:>10.2f}{size / seconds:>11.1f} MB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        condense_once(int(sys.argv[2]), distinct=sys.argv[1] == "distinct")
    else:
        main()

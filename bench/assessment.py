"""Time how many slices one core assesses per second of its own time, by their length."""

from collections.abc import Callable
from time import process_time

from bench.detection import generate
from railmend.assessment.recorded import Recorded, coarsen
from railmend.assessment.rules import assess
from railmend.assessment.screening import is_candidate
from railmend.contracts.scan import Service
from railmend.railway.model import Slice

EACH = 12
COARSE_SECONDS = 360


def slices(minutes: int) -> list[tuple[Slice, Service]]:
    """Return the generated slices with HTTP, affected and healthy: ten series each."""
    rows = (Recorded.model_validate(row) for row, _ in generate(EACH, lengths=(minutes,)))
    return [(row.slice(), row.subject()) for row in rows if row.http]


def best(work: Callable[[], object]) -> float:
    """Return the CPU seconds of the fastest of three runs."""

    def timed() -> float:
        began = process_time()
        work()
        return process_time() - began

    return min(timed() for _ in range(3))


def main() -> None:
    print(f"{'what':<40}{'CPU s':>10}{'per second':>14}")
    for minutes in (180, 360, 720, 1440):
        pairs = slices(minutes)
        seconds = best(lambda pairs=pairs: [assess(*pair, environment_id="bench") for pair in pairs])  # type: ignore[misc]
        line(f"assess {len(pairs)} slices of {minutes} points", len(pairs), seconds)
    coarse = [(coarsen(source, COARSE_SECONDS), service) for source, service in slices(180)]
    line(
        f"screen {len(coarse)} slices of 30 points",
        len(coarse),
        best(lambda: [is_candidate(*pair) for pair in coarse]),
    )


def line(what: str, count: int, seconds: float) -> None:
    print(f"{what:<40}{seconds:>10.3f}{count / seconds:>14.0f}")

"""How many slices one core assesses a second, and how that grows with their length."""

from bench.detection import generate
from bench.timing import best
from railmend.assessment import assess, suspect
from railmend.assessment.recorded import Recorded, coarsen
from railmend.contracts.scan import Service
from railmend.railway.model import Slice

EACH = 12
COARSE_SECONDS = 360


def slices(minutes: int) -> list[tuple[Slice, Service]]:
    """The generator's slices with HTTP, troubled and not: ten series each."""
    rows = (Recorded.model_validate(row) for row, _ in generate(EACH, lengths=(minutes,)))
    return [(row.slice(), row.subject()) for row in rows if row.http]


def main() -> None:
    print(f"{'what':<40}{'seconds':>10}{'per second':>14}")
    for minutes in (180, 360, 720, 1440):
        some = slices(minutes)
        seconds = best(lambda some=some: [assess(*one, environment_id="bench") for one in some])  # type: ignore[misc]
        line(f"assess {len(some)} slices of {minutes} points", len(some), seconds)
    coarse = [(coarsen(one, COARSE_SECONDS), service) for one, service in slices(180)]
    line(
        f"screen {len(coarse)} slices of 30 points",
        len(coarse),
        best(lambda: [suspect(*one) for one in coarse]),
    )


def line(what: str, count: int, seconds: float) -> None:
    print(f"{what:<40}{seconds:>10.3f}{count / seconds:>14.0f}")

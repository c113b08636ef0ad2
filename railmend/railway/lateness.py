"""Tell late samples from dead services: what ends everywhere at once is the measuring, not the services."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from railmend.contracts.scan import Window
from railmend.railway.model import Series, Slice

# All series may end so much before the window, as single samples arrive late.
USUAL = timedelta(minutes=3)
# Share of requests after the samples' end that must succeed for the end to be the samples' alone.
SERVED = 0.5


def late_steps(slices: Sequence[Slice]) -> int:
    """Return by how many steps the samples of a whole project end before the window, 0 if they are in time.

    At least two services must end together, and they must be half of those that run; requests that fail from
    then on tell of a real outage.
    """
    running = [(each, end) for each in slices if (end := _end(each.memory_gb, each.cpu)) is not None]
    if len(running) < 2:
        return 0
    newest = max(end for _, end in running)
    together = [each for each, end in running if end >= newest - 1]
    step = timedelta(seconds=running[0][0].step_seconds)
    late = max(len(each.memory_gb) or len(each.cpu) for each, _ in running) - newest
    if late * step < USUAL or len(together) < max(2, len(running) / 2):
        return 0
    return late if _served(together, newest) else 0


def _end(*series: Series) -> int | None:
    """Return the number of steps up to the last sample, None without any."""
    ends = (index + 1 for values in series for index, value in enumerate(values) if value is not None)
    return max(ends, default=None)


def _served(slices: Iterable[Slice], since: int) -> bool:
    failed = total = 0.0
    for each in slices:
        for status, values in each.http.items():
            count = sum(filter(None, values[since:]))
            total += count
            failed += count if status == "5xx" else 0
    return failed <= (1 - SERVED) * total


def without_newest(source: Slice, steps: int) -> Slice:
    """Return a slice that ends so many steps earlier."""
    return source.between(0, source.points - steps) if steps else source


def earlier(window: Window, by: timedelta) -> Window:
    return window.model_copy(update={"start": window.start - by, "end": window.end - by})

"""What a check is, and how its result reads."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape

# Longer than any client's own limit; a check that hangs must not hide the next.
LIMIT_SECONDS = 60


class Status(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BAD = "bad"


class Result(BaseModel):
    """One line. `mend`: what to do where it is not ok. Neither ever holds a secret."""

    name: str
    status: Status
    said: str
    mend: str = ""


@dataclass(frozen=True)
class Check:
    name: str
    look: Callable[[], Awaitable[list[Result]]]


class Bad(Exception):
    """A check's finding in one sentence, and what to do."""

    def __init__(self, said: str, mend: str = "") -> None:
        super().__init__(said)
        self.mend = mend


async def conclude(check: Check) -> list[Result]:
    """The check's own results; whatever it raises is its result, so that no check hides another."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await check.look()
    except Bad as error:
        return [Result(name=check.name, status=Status.BAD, said=str(error), mend=error.mend)]
    except TimeoutError:
        return [Result(name=check.name, status=Status.BAD, said=f"no answer within {LIMIT_SECONDS} s")]
    # A fault that nobody foresaw is still only this check's.
    except Exception as error:  # noqa: BLE001
        return [Result(name=check.name, status=Status.BAD, said=f"{type(error).__name__}: {error}"[:500])]


def ok(name: str, said: str) -> list[Result]:
    return [Result(name=name, status=Status.OK, said=said)]


def warning(name: str, said: str, mend: str) -> list[Result]:
    return [Result(name=name, status=Status.WARNING, said=said, mend=mend)]


def failed(results: Iterable[Result]) -> bool:
    return any(one.status is Status.BAD for one in results)


COLOURS = {Status.OK: "green", Status.WARNING: "yellow", Status.BAD: "red"}


def line(result: Result) -> str:
    """Rich markup: `ok      temporal: ...`."""
    mend = f" -> {result.mend}" if result.mend else ""
    colour = COLOURS[result.status]
    return f"[{colour}]{result.status.value:<8}[/]{escape(f'{result.name}: {result.said}{mend}')}"


def render(results: list[Result], console: Console) -> None:
    """The last line; the others were printed as they came."""
    counts = {status: sum(one.status is status for one in results) for status in Status}
    console.print(
        f"{counts[Status.OK]} ok, {counts[Status.WARNING]} to know of, {counts[Status.BAD]} to mend.",
        highlight=False,
    )

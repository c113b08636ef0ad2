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


class CheckStatus(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BAD = "bad"


class CheckResult(BaseModel):
    """One line. `mend`: what to do where it is not ok. Neither ever holds a secret."""

    name: str
    status: CheckStatus
    said: str
    mend: str = ""


@dataclass(frozen=True)
class Check:
    name: str
    look: Callable[[], Awaitable[list[CheckResult]]]


class CheckFailed(Exception):
    """A check's finding in one sentence, and what to do."""

    def __init__(self, said: str, mend: str = "") -> None:
        super().__init__(said)
        self.mend = mend


async def conclude(check: Check) -> list[CheckResult]:
    """The check's own results; whatever it raises is its result, so that no check hides another."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await check.look()
    except CheckFailed as error:
        return [CheckResult(name=check.name, status=CheckStatus.BAD, said=str(error), mend=error.mend)]
    except TimeoutError:
        return [
            CheckResult(name=check.name, status=CheckStatus.BAD, said=f"no answer within {LIMIT_SECONDS} s")
        ]
    # A fault that nobody foresaw is still only this check's.
    except Exception as error:  # noqa: BLE001
        return [
            CheckResult(
                name=check.name, status=CheckStatus.BAD, said=f"{type(error).__name__}: {error}"[:500]
            )
        ]


def ok(name: str, said: str) -> list[CheckResult]:
    return [CheckResult(name=name, status=CheckStatus.OK, said=said)]


def warning(name: str, said: str, mend: str) -> list[CheckResult]:
    return [CheckResult(name=name, status=CheckStatus.WARNING, said=said, mend=mend)]


def failed(results: Iterable[CheckResult]) -> bool:
    return any(one.status is CheckStatus.BAD for one in results)


COLOURS = {CheckStatus.OK: "green", CheckStatus.WARNING: "yellow", CheckStatus.BAD: "red"}


def line(result: CheckResult) -> str:
    """Rich markup: `ok      temporal: ...`."""
    mend = f" -> {result.mend}" if result.mend else ""
    colour = COLOURS[result.status]
    return f"[{colour}]{result.status.value:<8}[/]{escape(f'{result.name}: {result.said}{mend}')}"


def render(results: list[CheckResult], console: Console) -> None:
    """The last line; the others were printed as they came."""
    counts = {status: sum(one.status is status for one in results) for status in CheckStatus}
    console.print(
        f"{counts[CheckStatus.OK]} ok, {counts[CheckStatus.WARNING]} to know of, "
        f"{counts[CheckStatus.BAD]} to mend.",
        highlight=False,
    )

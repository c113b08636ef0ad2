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
# A person who waits longer is told what for.
PATIENCE_SECONDS = 4


class CheckStatus(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BAD = "bad"


class CheckResult(BaseModel):
    """One line. `hint`: what to do where it is not ok. Neither text ever holds a secret."""

    name: str
    status: CheckStatus
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Check:
    name: str
    run: Callable[[], Awaitable[list[CheckResult]]]


class CheckFailed(Exception):
    """What is wrong in one sentence, and what to do."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


async def conclude(check: Check) -> list[CheckResult]:
    """Return the check's own results; whatever it raises is its result, so that no check hides another."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            return await check.run()
    except CheckFailed as error:
        return bad(check.name, str(error), error.hint)
    except TimeoutError:
        return bad(check.name, f"no answer within {LIMIT_SECONDS} s")
    # A fault that nobody foresaw is still only this check's.
    except Exception as error:  # noqa: BLE001
        return bad(check.name, f"{type(error).__name__}: {error}"[:500])


async def results_of(checks: Iterable[Check], output: Console | None) -> list[CheckResult]:
    """Run the checks side by side and return their results in order, printed as soon as that allows."""
    results: list[CheckResult] = []
    named = ""
    async with asyncio.TaskGroup() as group:
        running = [(check.name, group.create_task(conclude(check))) for check in checks]
        for _, task in running:
            while not (await asyncio.wait([task], timeout=PATIENCE_SECONDS))[0]:
                missing = "; ".join(name for name, other in running if not other.done())
                if output and missing != named:
                    output.print(f"[dim]waiting for {escape(missing)}[/]", soft_wrap=True, highlight=False)
                    named = missing
            print_results(task.result(), output)
            results += task.result()
    return results


def print_results(results: Iterable[CheckResult], output: Console | None) -> None:
    if output:
        for result in results:
            output.print(line(result), soft_wrap=True, highlight=False)


def ok(name: str, message: str) -> list[CheckResult]:
    return [CheckResult(name=name, status=CheckStatus.OK, message=message)]


def warning(name: str, message: str, hint: str) -> list[CheckResult]:
    return [CheckResult(name=name, status=CheckStatus.WARNING, message=message, hint=hint)]


def bad(name: str, message: str, hint: str = "") -> list[CheckResult]:
    return [CheckResult(name=name, status=CheckStatus.BAD, message=message, hint=hint)]


COLOURS = {CheckStatus.OK: "green", CheckStatus.WARNING: "yellow", CheckStatus.BAD: "red"}


def line(result: CheckResult) -> str:
    """Return rich markup: `ok      temporal: ...`."""
    hint = f" -> {result.hint}" if result.hint else ""
    colour = COLOURS[result.status]
    return f"[{colour}]{result.status.value:<8}[/]{escape(f'{result.name}: {result.message}{hint}')}"


def render_totals(results: list[CheckResult], console: Console) -> None:
    """Print the last line; the others were printed as they came."""
    counts = {status: sum(result.status is status for result in results) for status in CheckStatus}
    warnings, errors = counts[CheckStatus.WARNING], counts[CheckStatus.BAD]
    console.print(
        f"{counts[CheckStatus.OK]} ok, {warnings} warning{'' if warnings == 1 else 's'}, "
        f"{errors} error{'' if errors == 1 else 's'}.",
        highlight=False,
    )


def any_failed(results: list[CheckResult]) -> bool:
    return any(result.status is CheckStatus.BAD for result in results)

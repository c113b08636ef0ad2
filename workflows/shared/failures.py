"""Read a failed activity: its reason in words, its type for decisions; tell how a run ends."""

import asyncio
import builtins
from collections.abc import Awaitable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    FailureError,
    TimeoutError,
    TimeoutType,
    is_cancelled_exception,
)

from workflows.shared import policies

T = TypeVar("T")
# Errors that end the workflow, as the SDK has it; every other one is a bug: it fails the workflow's task, and
# the run waits for a worker that is fixed.
ENDING = (FailureError, builtins.TimeoutError, asyncio.CancelledError)
LEDGER_CALLS = frozenset({"claim", "confirm", "reserve", "spend"})


def reason_of(error: BaseException) -> str:
    """Return what a person can use: an activity's error says only that it failed, its cause says why."""
    cause = error.__cause__ or error
    return getattr(cause, "message", None) or str(cause)


def type_of(error: BaseException) -> str:
    """Return the type that the activity gave its error; empty for time-outs and cancellations."""
    cause = error.__cause__
    return (cause.type or "") if isinstance(cause, ApplicationError) else ""


async def attempted(call: Awaitable[T]) -> T | ActivityError:
    """Return what an activity returns, or the error with which it failed for good; raise a cancellation."""
    try:
        return await call
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        return error


async def logged(obstacle: str, call: Awaitable[T]) -> T | None:
    """Return what an activity returns that can be done without; where it fails for good, log that alone."""
    done = await attempted(call)
    if not isinstance(done, ActivityError):
        return done
    workflow.logger.warning("%s: %s", obstacle, reason_of(done))
    return None


def ledger_is_away(error: ActivityError) -> bool:
    """Tell whether a call of the ledger failed, which whoever waits for it briefly goes on without."""
    return (
        error.activity_type in LEDGER_CALLS
        and not is_cancelled_exception(error)
        and workflow.patched(policies.PATCH_WITHOUT_LEDGER)
    )


def machine_is_gone(error: BaseException) -> bool:
    """Tell whether nobody took the task from the workspace's own queue: its machine no longer answers."""
    cause = error.__cause__
    return isinstance(cause, TimeoutError) and cause.type == TimeoutType.SCHEDULE_TO_START

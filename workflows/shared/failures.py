"""Read a failed activity: its reason in words, its type for decisions; tell how a run ends."""

import asyncio

from temporalio.exceptions import ApplicationError, FailureError, TimeoutError, TimeoutType

from workflows.shared.policies import FAILURE_TYPES

# Errors that end a workflow; every other one fails its task, and the run waits for a worker that is fixed.
ENDING = (FailureError, asyncio.CancelledError, *FAILURE_TYPES)


def reason_of(error: BaseException) -> str:
    """Return what a person can use: an activity's error says only that it failed, its cause says why."""
    cause = error.__cause__ or error
    return getattr(cause, "message", None) or str(cause)


def type_of(error: BaseException) -> str:
    """Return the type that the activity gave its error; empty for time-outs and cancellations."""
    cause = error.__cause__
    return (cause.type or "") if isinstance(cause, ApplicationError) else ""


def machine_is_gone(error: BaseException) -> bool:
    """Tell whether nobody took the task from the workspace's own queue: its machine no longer answers."""
    cause = error.__cause__
    return isinstance(cause, TimeoutError) and cause.type == TimeoutType.SCHEDULE_TO_START

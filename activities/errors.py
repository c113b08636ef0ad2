"""Turns the clients' errors into Temporal's: retryable or not is decided by the client that raised it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol, runtime_checkable

from temporalio.exceptions import ApplicationError

# Longer messages are cut: they ride in history, and a person reads the first lines.
MAX_MESSAGE = 2000


@runtime_checkable
class Classified(Protocol):
    """An error that says whether a retry may succeed, as all errors of Railmend's clients do."""

    retryable: bool


@contextmanager
def translated() -> Iterator[None]:
    """Raise `ApplicationError` (type: the error's class name) for an error that says whether to retry."""
    try:
        yield
    except ApplicationError:
        raise
    except Exception as error:
        if not isinstance(error, Classified):
            raise
        after: float | None = getattr(error, "retry_after", None)
        raise ApplicationError(
            str(error)[:MAX_MESSAGE],
            type=type(error).__name__,
            non_retryable=not error.retryable,
            next_retry_delay=timedelta(seconds=after) if after else None,
        ) from error

"""GitHub's refusals as one error that says whether and when to retry, and what to do."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import requests
from github import GithubException, RateLimitExceededException

from railmend.evidence.redact import Redactor

T = TypeVar("T")
U = TypeVar("U")
logger = logging.getLogger(__name__)
# The wait that GitHub asks for if a secondary limit comes without Retry-After:
# https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api
SECONDARY_LIMIT_SECONDS = 60.0
# The primary limit is reset every hour.
LONGEST_WAIT_SECONDS = 3600.0
# It may not be done, or there is nothing to do it with (any more); asking again will not help. 400: what
# PyGithub makes of errors in an answer of GraphQL, whose own status is 200.
REFUSALS = frozenset({400, 403, 404, 409, 410, 422})
MAX_TOLD = 500


class GitHubError(Exception):
    """A refusal by GitHub. The message says what to do, and never holds the token."""

    def __init__(
        self, message: str, *, retryable: bool, retry_after: float | None = None, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.retry_after = retry_after
        self.status = status

    @property
    def refused(self) -> bool:
        """Whether GitHub refuses this one call for good, and may well allow others."""
        return not self.retryable and self.status in REFUSALS


@contextmanager
def classified(what: str) -> Iterator[None]:
    """Raise `GitHubError` for errors of PyGithub and its HTTP client. `what`: the thing requested."""
    try:
        yield
    except requests.RequestException as error:
        raise GitHubError(
            f"{what}: GitHub did not answer ({type(error).__name__}).", retryable=True
        ) from error
    except GithubException as error:
        raise from_status(what, error) from error


def unless_refused(what: str, call: Callable[[], T], otherwise: U, level: int = logging.WARNING) -> T | U:
    """Call it; where GitHub refuses it for good, log that and return `otherwise`. Raise `GitHubError`.

    `level`: of the log; `logging.DEBUG` for what is asked again and again, and said elsewhere.
    """
    try:
        with classified(what):
            return call()
    except GitHubError as error:
        if not error.refused:
            raise
        logger.log(level, "%s", error)
        return otherwise


def from_status(what: str, error: GithubException) -> GitHubError:
    """Return the error for GitHub's status and headers. `what`: the thing requested."""
    headers = error.headers or {}
    limited = isinstance(error, RateLimitExceededException) or error.status == 429 or "retry-after" in headers
    limited = limited or any(row.get("type") == "RATE_LIMITED" for row in _errors(error))
    if limited or headers.get("x-ratelimit-remaining") == "0":
        return GitHubError(
            f"{what}: GitHub's rate limit.", retryable=True, retry_after=_wait(headers), status=error.status
        )
    hint = {
        401: "Check GITHUB_TOKEN, or the app's id and key.",
        403: _forbidden(headers),
        404: "Check that it exists, was not moved to another owner, and that the token reaches it.",
    }.get(error.status, "")
    return GitHubError(
        f"{what}: GitHub answered {error.status} {_message_of(error)}. {hint}".strip(),
        retryable=error.status >= 500,
        status=error.status,
    )


def _message_of(error: GithubException) -> str:
    """Return GitHub's message, with what its list of errors says.

    A proxy may say what it was given: credentials are redacted.
    """
    data = error.data if isinstance(error.data, dict) else {}
    parts = [str(data.get("message") or "").strip().rstrip(".")]
    for row in _errors(error):
        named = (row.get(key) for key in ("resource", "field", "code"))
        parts.append(str(row.get("message") or " ".join(filter(None, named))).rstrip("."))
    return Redactor()("; ".join(filter(None, parts)))[:MAX_TOLD]


def _errors(error: GithubException) -> list[dict[str, Any]]:
    rows = error.data.get("errors") if isinstance(error.data, dict) else None
    return [row if isinstance(row, dict) else {"message": row} for row in rows or ()]


def _forbidden(headers: Mapping[str, str]) -> str:
    """Say what a 403 asks for, as far as GitHub tells: single sign-on, or a permission."""
    if sso := headers.get("x-github-sso", "").partition("url=")[2]:
        return f"Authorize the token for the organization: {sso}"
    if needs := headers.get("x-accepted-github-permissions"):
        return f"The call needs one of: {needs} (docs/github.md lists them)."
    return "Check what the token may do in this repository: `starter.py doctor`, docs/github.md."


def _wait(headers: Mapping[str, str]) -> float:
    after = headers.get("retry-after", "")
    if after.isdigit():
        return float(after)
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        # By GitHub's own clock: by a fast one the limit would seem to be reset.
        now = server_time(headers.get("date", "")).timestamp()
        return min(max(float(reset) - now, 1.0), LONGEST_WAIT_SECONDS)
    return SECONDARY_LIMIT_SECONDS


def server_time(date: str) -> datetime:
    """Return the time that GitHub's header `Date` tells; this machine's where it tells none."""
    try:
        return parsedate_to_datetime(date)
    except ValueError:
        return datetime.now(UTC)

"""Errors of Railway's API, and whether a retry can help.

RailwayError
├── NotAuthorized       wrong token kind, missing scope, or a resource that does not exist
├── ProjectTokenInvalid bad project token, or sent with the wrong header
├── NotFound            the project, environment or deployment is gone
├── RateLimited         either limiter; `retry_after` in seconds
├── SchemaDrift         the API no longer knows a field or argument
├── NotWatched          the worker does not watch the environment, or its token reaches another one
└── Unavailable         the catch-all, a server error, a broken answer
    └── Unreachable     no connection, or no answer in time
"""


class RailwayError(Exception):
    """`retryable`: whether the same request may succeed later. `path`: first element of the GraphQL path."""

    retryable = False

    def __init__(
        self,
        message: str,
        *,
        trace_id: str | None = None,
        retry_after: float | None = None,
        path: str | None = None,
    ) -> None:
        super().__init__(f"{message} (Railway trace {trace_id})" if trace_id else message)
        self.trace_id = trace_id
        self.retry_after = retry_after
        self.path = path


class NotAuthorized(RailwayError):
    pass


class ProjectTokenInvalid(RailwayError):
    pass


class NotFound(RailwayError):
    pass


class RateLimited(RailwayError):
    retryable = True


class SchemaDrift(RailwayError):
    pass


class NotWatched(RailwayError):
    pass


class Unavailable(RailwayError):
    retryable = True


class Unreachable(Unavailable):
    pass


# Railway's error codes do not classify (most failures arrive as INTERNAL_SERVER_ERROR), only its messages do.
# This table is the one place that reads them: part of the message, type, what to do.
_BY_MESSAGE: tuple[tuple[str, type[RailwayError], str], ...] = (
    (
        "project token not found",
        ProjectTokenInvalid,
        "Check the token; a project token needs RAILWAY_TOKEN_KIND=project (or auto), other tokens `bearer`.",
    ),
    (
        "not authorized",
        NotAuthorized,
        "Check that the token reaches this project and environment, and that their ids are right.",
    ),
    ("two factor authentication", NotAuthorized, "Use an API token: it needs no second factor."),
    ("not found", NotFound, "It was deleted, or the id is wrong."),
    ("cannot query field", SchemaDrift, "Railway changed its API; update Railmend."),
    ("unknown argument", SchemaDrift, "Railway changed its API; update Railmend."),
    ("is not defined by type", SchemaDrift, "Railway changed its API; update Railmend."),
    ("too quickly", RateLimited, "Railway asks to slow down."),
    (
        "problem processing request",
        Unavailable,
        "It is asked again in smaller parts; logs older than the plan keeps (7 days on Hobby, 30 on Pro) "
        "read the same.",
    ),
)


def classify(
    message: str,
    *,
    trace_id: str | None = None,
    retry_after: float | None = None,
    path: str | None = None,
) -> RailwayError:
    """Return the error for one of Railway's messages; unknown messages count as `Unavailable`."""
    lowered = message.lower()
    for part, kind, hint in _BY_MESSAGE:
        if part in lowered:
            return kind(f"Railway: {message}. {hint}", trace_id=trace_id, retry_after=retry_after, path=path)
    return Unavailable(f"Railway: {message}.", trace_id=trace_id, retry_after=retry_after, path=path)

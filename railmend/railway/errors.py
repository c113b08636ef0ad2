"""Errors of Railway's API, and whether a retry can help.

RailwayError
├── NotAuthorized       wrong token kind, missing scope, or a resource that does not exist
├── ProjectTokenInvalid bad project token, or sent with the wrong header
├── NotFound            the project, environment or deployment is gone
├── RateLimited         either limiter; `retry_after` in seconds
├── EdgeBlocked         the network in front of Railway refuses this address
├── SchemaDrift         the API no longer takes a document: it fails validation
├── NotWatched          the worker does not watch the environment, or its token reaches another one
└── Unavailable         the catch-all, a server error, a broken answer
    └── Unreachable     no connection, or no answer in time
"""

import re


class RailwayError(Exception):
    """`retryable`: whether the same request may succeed later. `retry_after`: in how many seconds.

    `plain`: the message without Railway's trace id, the same for each request that fails alike.
    """

    retryable = False

    def __init__(
        self, message: str, *, trace_id: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{message} (Railway trace {trace_id})" if trace_id else message)
        self.plain = message
        self.retry_after = retry_after


class NotAuthorized(RailwayError):
    pass


class ProjectTokenInvalid(RailwayError):
    pass


class NotFound(RailwayError):
    pass


class RateLimited(RailwayError):
    retryable = True


class EdgeBlocked(RateLimited):
    pass


class SchemaDrift(RailwayError):
    pass


class NotWatched(RailwayError):
    pass


class Unavailable(RailwayError):
    retryable = True


class Unreachable(Unavailable):
    pass


# The codes of documents that fail validation are reliable; other failures arrive under any code (most as
# INTERNAL_SERVER_ERROR), and only their messages tell them apart.
INVALID = frozenset({"GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED"})
DRIFTED = "Railway changed its API; update Railmend."
TRY_AGAIN = re.compile(r"try again in (\d+(?:\.\d+)?) ?s", re.IGNORECASE)
# The one place that reads messages: part of the message, type, what to do.
_BY_MESSAGE: tuple[tuple[str, type[RailwayError], str], ...] = (
    (
        "project token not found",
        ProjectTokenInvalid,
        "Check the token; a project token needs RAILWAY_TOKEN_KIND=project (or auto), other tokens `bearer`.",
    ),
    (
        "not authorized",
        NotAuthorized,
        "Check that the token reaches this project and environment, and that their ids are right: each is a "
        "UUID, as in the address of the project's page.",
    ),
    ("two factor authentication", NotAuthorized, "Use an API token: it needs no second factor."),
    ("not found", NotFound, "It was deleted, or the id is wrong."),
    ("cannot query field", SchemaDrift, DRIFTED),
    ("unknown argument", SchemaDrift, DRIFTED),
    ("is not defined by type", SchemaDrift, DRIFTED),
    ("too quickly", RateLimited, "Railway asks to slow down."),
    (
        "problem processing request",
        Unavailable,
        "Railway did not say why: it may be busy, or the logs are older than the plan keeps (7 days on "
        "Hobby, 30 on Pro). The next scan asks again.",
    ),
)


def classify(message: str, *, code: str | None = None, trace_id: str | None = None) -> RailwayError:
    """Return the error for one of Railway's; unknown messages count as `Unavailable`."""
    lowered = message.lower()
    kind: type[RailwayError] = Unavailable
    retry_after: float | None = None
    hint = "The next scan asks again."
    if code in INVALID:
        kind, hint = SchemaDrift, DRIFTED
    elif again := TRY_AGAIN.search(message):
        kind, hint, retry_after = RateLimited, "Nothing is sent until then.", float(again[1])
    else:
        known = next((row for row in _BY_MESSAGE if row[0] in lowered), None)
        if known is not None:
            _, kind, hint = known
    text = f"Railway: {message.rstrip('.')}. {hint}"
    return kind(text, trace_id=trace_id, retry_after=retry_after)

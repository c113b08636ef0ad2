"""Which kind of token it is, and what it reaches: found out once, at start-up."""

from typing import Literal

import httpx
from pydantic import BaseModel, SecretStr

from railmend.railway.errors import NotAuthorized, ProjectTokenInvalid
from railmend.railway.limits import RateLimiter, RateLimits
from railmend.railway.transport import TokenKind, Transport

TIMEOUT_SECONDS = 30.0


class Reach(BaseModel):
    """A project token tells its project and environment; the other kinds reach what their owner may."""

    kind: TokenKind
    project_id: str | None = None
    environment_id: str | None = None


async def detect(
    url: str,
    token: SecretStr,
    kind: Literal["auto", "project", "bearer"] = "auto",
    transport: httpx.AsyncBaseTransport | None = None,
) -> Reach:
    """One request. Raises `ProjectTokenInvalid` when the token is said to be a project token and is none.

    A workspace, account or OAuth token cannot be told apart from a wrong one without naming a resource:
    it is taken for good here, and the first survey says when it is not.
    """
    if kind == "bearer":
        return Reach(kind="bearer")
    connection = Transport(url, token, "project", transport, TIMEOUT_SECONDS, RateLimiter(RateLimits()))
    try:
        answer = (await connection.execute("token", {}))["projectToken"]
    except (ProjectTokenInvalid, NotAuthorized):
        if kind == "project":
            raise
        return Reach(kind="bearer")
    finally:
        await connection.aclose()
    return Reach(kind="project", project_id=answer["projectId"], environment_id=answer["environmentId"])

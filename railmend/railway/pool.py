"""Clients of all watched environments; those that share a token share a client and its limiter."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Literal

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr

from railmend.railway.client import RailwayClient
from railmend.railway.errors import (
    NotAuthorized,
    NotWatched,
    ProjectTokenInvalid,
    RailwayError,
    Unreachable,
)
from railmend.railway.limits import RateLimiter, RateLimits
from railmend.railway.reader import PAUSE_SECONDS
from railmend.railway.survey import LastSurvey
from railmend.railway.transport import TokenKind, Transport

TIMEOUT_SECONDS = 30.0
# A worker's start: a hundred projects are tried in some seconds, and one that hangs delays it by no more.
CHECKS_AT_ONCE = 20
CHECK_SECONDS = 15.0


class WatchedEnvironment(BaseModel):
    """One environment of one project, and the token that reaches it, or why there is none."""

    model_config = ConfigDict(frozen=True)

    name: str
    project_id: str
    environment_id: str
    token: SecretStr | None
    token_kind: Literal["auto", "project", "bearer"] = "auto"  # noqa: S105 - a kind, not a token
    no_token: str = ""


class TokenReach(BaseModel):
    """A token's kind; a project token names its project and environment, other kinds reach their owner's."""

    kind: TokenKind
    project_id: str | None = None
    environment_id: str | None = None


class RailwayPool:
    """One client per token; a token's kind is found out at its first use.

    `watched` is asked at each use, so that an environment or token may come, go and change.
    """

    def __init__(
        self,
        url: str,
        watched: Callable[[], Iterable[WatchedEnvironment]],
        limits: RateLimits | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._url = url
        self._pause = pause_seconds
        self._watched = watched
        self._limits = limits or RateLimits()
        self._transport = transport
        self._clients: dict[SecretStr, tuple[RailwayClient, TokenReach]] = {}
        self._detecting: defaultdict[SecretStr, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def client_for(self, environment_id: str) -> RailwayClient:
        """Return the client that reaches an environment.

        Raise `NotWatched`, and the errors of `detect_token`.
        """
        return (await self._reached(environment_id))[0]

    async def kind_of(self, environment_id: str) -> TokenKind:
        """Return the kind of the token that reaches an environment; raise as `client_for`."""
        return (await self._reached(environment_id))[1].kind

    async def _reached(self, environment_id: str) -> tuple[RailwayClient, TokenReach]:
        environment, token = self._find(environment_id)
        async with self._detecting[token]:
            if token not in self._clients:
                reach = await detect_token(self._url, token, environment.token_kind, self._transport)
                client = RailwayClient(
                    self._url,
                    token,
                    reach.kind,
                    self._transport,
                    limits=self._limits,
                    pause_seconds=self._pause,
                )
                self._clients[token] = client, reach
        client, reach = self._clients[token]
        if reach.environment_id not in (None, environment_id):  # Railway would only say `Not Authorized`
            raise NotWatched(
                f"The token of {environment.name} is the project token of environment "
                f"{reach.environment_id}, not of {environment_id}: give each environment its own "
                "token, or correct environment_id."
            )
        return client, reach

    def last_seen(self, environment_id: str) -> LastSurvey:
        """Return what the last survey of an environment saw, with whatever token; empty without one."""
        seen = (client.surveyor.last_seen(environment_id) for client, _ in self._clients.values())
        return next((known for known in seen if known.services), LastSurvey())

    async def check(self, seconds: float = CHECK_SECONDS) -> dict[str, RailwayError | None]:
        """Try every token, some at once, for `seconds`; return by project name what is wrong, or None."""
        environments = tuple(self._watched())
        late = Unreachable(f"Railway has not answered within {seconds:g} s.")
        found: dict[str, RailwayError | None] = dict.fromkeys((each.name for each in environments), late)
        at_once = asyncio.Semaphore(CHECKS_AT_ONCE)

        async def check(environment: WatchedEnvironment) -> None:
            async with at_once:
                try:
                    await self.client_for(environment.environment_id)
                except RailwayError as error:
                    found[environment.name] = error
                    return
            found[environment.name] = None

        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                for environment in environments:
                    group.create_task(check(environment))
        return found

    def _find(self, environment_id: str) -> tuple[WatchedEnvironment, SecretStr]:
        watched = {environment.environment_id: environment for environment in self._watched()}
        environment = watched.get(environment_id)
        if environment is None:
            raise NotWatched(
                f"Environment {environment_id} is not watched here (known: {', '.join(watched) or 'none'}): "
                "add it to railmend.toml."
            )
        if environment.token is None:
            raise NotWatched(f"Project {environment.name} has no token: {environment.no_token}")
        return environment, environment.token

    @property
    def left(self) -> int | None:
        """Requests left in the window of the token with the fewest; None before the first answer."""
        tokens = {environment.token for environment in self._watched() if environment.token}
        lefts = [client.limiter.left for token, (client, _) in self._clients.items() if token in tokens]
        return min((left for left in lefts if left is not None), default=None)

    async def aclose(self) -> None:
        for client, _ in self._clients.values():
            await client.aclose()


async def detect_token(
    url: str,
    token: SecretStr,
    kind: Literal["auto", "project", "bearer"] = "auto",
    transport: httpx.AsyncBaseTransport | None = None,
) -> TokenReach:
    """Find out a token's kind with one request.

    Raise `ProjectTokenInvalid` if `kind` is "project" and the token is none. A workspace, account or OAuth
    token cannot be told from a wrong one without naming a resource: the first survey fails if it is wrong.
    """
    if kind == "bearer":
        return TokenReach(kind="bearer")
    connection = Transport(url, token, "project", transport, TIMEOUT_SECONDS, RateLimiter(RateLimits()))
    try:
        token_data = (await connection.execute("token", {}))["projectToken"]
    except (ProjectTokenInvalid, NotAuthorized):
        if kind == "project":
            raise
        return TokenReach(kind="bearer")
    finally:
        await connection.aclose()
    return TokenReach(
        kind="project", project_id=token_data["projectId"], environment_id=token_data["environmentId"]
    )

"""The clients of all watched environments; environments that share a token share a client and its limiter."""

import asyncio
from collections.abc import Iterable
from typing import Literal

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr

from railmend.railway.client import RailwayClient
from railmend.railway.errors import RailwayError
from railmend.railway.limits import RateLimits
from railmend.railway.tokens import Reach, detect
from railmend.railway.transport import TokenKind


class Watched(BaseModel):
    """One environment of one project, and the token that reaches it."""

    model_config = ConfigDict(frozen=True)

    name: str
    project_id: str
    environment_id: str
    token: SecretStr
    token_kind: Literal["auto", "project", "bearer"] = "auto"  # noqa: S105 - a kind, not a token


class NotWatched(RailwayError):
    """This worker was not told of the environment, or its token reaches another one."""


class RailwayPool:
    """Finds out each token's kind at its first use; one client per token."""

    def __init__(
        self,
        url: str,
        watched: Iterable[Watched],
        limits: RateLimits | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = url
        self._watched = {one.environment_id: one for one in watched}
        self._limits = limits or RateLimits()
        self._transport = transport
        self._reaches: dict[str, Reach] = {}
        self._clients: dict[str, RailwayClient] = {}
        self._detecting = asyncio.Lock()

    async def of(self, environment_id: str) -> RailwayClient:
        """Raises `NotWatched`, and what the detection of the token's kind raises."""
        one = self._watched.get(environment_id)
        if one is None:
            known = ", ".join(self._watched) or "none"
            raise NotWatched(
                f"Environment {environment_id} is not watched here (known: {known}): add it to railmend.toml "
                "and restart the worker."
            )
        secret = one.token.get_secret_value()
        async with self._detecting:
            if secret not in self._clients:
                reach = await detect(self._url, one.token, one.token_kind, self._transport)
                self._reaches[secret] = reach
                self._clients[secret] = RailwayClient(
                    self._url, one.token, reach.kind, self._transport, limits=self._limits
                )
        self._refuse_another(one, self._reaches[secret])
        return self._clients[secret]

    async def kind_of(self, environment_id: str) -> TokenKind:
        """Of the token that reaches the environment; raises as `of`."""
        await self.of(environment_id)
        return self._reaches[self._watched[environment_id].token.get_secret_value()].kind

    async def check(self) -> list[tuple[Watched, RailwayError]]:
        """Every environment whose token cannot be used, with the reason; for a worker's start."""
        failed = []
        for one in self._watched.values():
            try:
                await self.of(one.environment_id)
            except RailwayError as error:
                failed.append((one, error))
        return failed

    @property
    def left(self) -> int | None:
        """Requests left in the window of the token that has the fewest; None: not known yet."""
        known = [client.gate.left for client in self._clients.values() if client.gate.left is not None]
        return min(known, default=None)

    async def aclose(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    @staticmethod
    def _refuse_another(one: Watched, reach: Reach) -> None:
        """A project token belongs to one environment; asking it for another reads as `Not Authorized`."""
        if reach.environment_id not in (None, one.environment_id):
            raise NotWatched(
                f"The token of {one.name} is the project token of environment {reach.environment_id}, not of "
                f"{one.environment_id}: give each environment its own token, or correct environment_id."
            )

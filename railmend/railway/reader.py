"""Sends many asks in few documents, and brings back every answer that can be had.

One bad root field makes Railway answer `data: null` for the whole document. So a named field is dropped
and the rest sent again; where no field is named the document is halved until the bad one stands alone.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from railmend.railway.compose import Query, compose
from railmend.railway.errors import (
    NotAuthorized,
    ProjectTokenInvalid,
    RailwayError,
    RateLimited,
    SchemaDrift,
    Unavailable,
)
from railmend.railway.limits import RateLimits, batches
from railmend.railway.transport import GraphQLReply, Transport

# Railway's catch-all error is often gone after a moment.
PAUSE_SECONDS = 2.0


@dataclass
class QueryResults:
    """`data` by ask; an ask that failed for good is in `errors` instead."""

    data: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, RailwayError] = field(default_factory=dict)

    def add(self, more: "QueryResults") -> None:
        self.data |= more.data
        self.errors |= more.errors

    def get(self, ask: Query) -> Any:
        """The answer, or None where it could not be had."""
        return self.data.get(id(ask))

    def need(self, ask: Query) -> Any:
        """The answer of an ask without which there is no scan; raises its error."""
        if id(ask) in self.errors:
            raise self.errors[id(ask)]
        return self.data[id(ask)]

    def unseen(self, asks: Sequence[Query]) -> list[str]:
        """One sentence for each ask that failed."""
        return [f"{ask.label}: {self.errors[id(ask)]}" for ask in asks if id(ask) in self.errors]


class Reader:
    """`pause_seconds` is waited before a document that failed as a whole is sent again."""

    def __init__(
        self, transport: Transport, limits: RateLimits, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        self._transport = transport
        self._limits = limits
        self._pause = pause_seconds
        self._drifted: set[str] = set()

    async def read(self, asks: Sequence[Query]) -> QueryResults:
        """Raises `RateLimited`, and token errors that concern no single field; all else is in the answers."""
        answers = QueryResults()
        wanted = []
        for ask in asks:
            if ask.document in self._drifted:
                answers.errors[id(ask)] = SchemaDrift("Railway no longer knows this query; update Railmend.")
            else:
                wanted.append(ask)
        try:
            async with asyncio.TaskGroup() as group:
                for batch in batches(wanted, self._limits):
                    group.create_task(self._batch(batch, answers))
        except ExceptionGroup as several:  # the first stops the others; one is enough to tell
            raise several.exceptions[0] from None
        return answers

    async def _batch(self, asks: Sequence[Query], answers: QueryResults, *, again: bool = True) -> None:
        """`again`: the document may be sent once more as it is before it is taken apart."""
        if not asks:
            return
        try:
            reply = await self._send(asks)
        except Unavailable as error:
            await self._whole_failed(asks, answers, error, again=again)
            return
        if not reply.failures:
            for number, ask in enumerate(asks):
                answers.data[id(ask)] = (reply.data or {}).get(f"a{number}")
            return
        await self._some_failed(asks, answers, reply, again=again)

    async def _send(self, asks: Sequence[Query]) -> GraphQLReply:
        document, variables = compose(asks)
        names = list(dict.fromkeys(ask.document for ask in asks))
        return await self._transport.send(document, variables, "+".join(names))

    async def _some_failed(
        self, asks: Sequence[Query], answers: QueryResults, reply: GraphQLReply, *, again: bool
    ) -> None:
        named: Mapping[str, RailwayError] = {f.alias: f.error() for f in reply.failures if f.alias}
        if not named:
            await self._unnamed(asks, answers, reply.failures[0].error(), again=again)
            return
        rest = []
        for number, ask in enumerate(asks):
            error = named.get(f"a{number}")
            if error is None:
                rest.append(ask)
            elif error.retryable and len(asks) > 1:
                await self._batch([ask], answers, again=False)
            else:
                answers.errors[id(ask)] = error
        await self._batch(rest, answers, again=again)

    async def _unnamed(
        self, asks: Sequence[Query], answers: QueryResults, error: RailwayError, *, again: bool
    ) -> None:
        if isinstance(error, (NotAuthorized, ProjectTokenInvalid, RateLimited)):
            raise error
        if isinstance(error, SchemaDrift):
            await self._schema_drifted(asks, answers, error)
        else:
            await self._whole_failed(asks, answers, error, again=again)

    async def _schema_drifted(
        self, asks: Sequence[Query], answers: QueryResults, error: RailwayError
    ) -> None:
        """Validation concerns a query's text, not a service: find the query, and ask it no more."""
        names = list(dict.fromkeys(ask.document for ask in asks))
        if len(names) == 1:
            self._drifted.add(names[0])
            answers.errors.update({id(ask): error for ask in asks})
            return
        for name in names:
            await self._batch([ask for ask in asks if ask.document == name], answers)

    async def _whole_failed(
        self, asks: Sequence[Query], answers: QueryResults, error: RailwayError, *, again: bool
    ) -> None:
        if again:
            await asyncio.sleep(self._pause)
            await self._batch(asks, answers, again=False)
        elif len(asks) == 1 or "did not answer" in str(error):
            # A time-out of one half would only be followed by the time-out of the other.
            answers.errors.update({id(ask): error for ask in asks})
        else:
            half = len(asks) // 2
            await self._batch(asks[:half], answers, again=False)
            await self._batch(asks[half:], answers, again=False)

"""Send many queries in few documents, and return every result that can be had.

One failing root field makes Railway answer `data: null` for the whole document. If the error names the
field, it is dropped and the rest sent again; else the document is halved until the failing one is alone.
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
    Unreachable,
)
from railmend.railway.limits import RateLimits, batches
from railmend.railway.transport import GraphQLReply, Transport

# Railway's catch-all error is often gone after a moment.
PAUSE_SECONDS = 2.0


@dataclass
class QueryResults:
    """`data` by the query's identity; a query that failed for good is in `errors` instead."""

    data: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, RailwayError] = field(default_factory=dict)

    def add(self, more: "QueryResults") -> None:
        self.data |= more.data
        self.errors |= more.errors

    def get(self, query: Query) -> Any:
        """Return the result, or None if it could not be had."""
        return self.data.get(id(query))

    def require(self, query: Query) -> Any:
        """Return the result of an indispensable query, or raise its error."""
        if id(query) in self.errors:
            raise self.errors[id(query)]
        return self.data[id(query)]

    def unseen(self, queries: Sequence[Query]) -> list[str]:
        """Return one sentence for each query that failed."""
        return [f"{query.label}: {self.errors[id(query)]}" for query in queries if id(query) in self.errors]


class Reader:
    """`pause_seconds`: wait before a document that failed as a whole is sent again."""

    def __init__(
        self, transport: Transport, limits: RateLimits, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        self._transport = transport
        self._limits = limits
        self._pause = pause_seconds
        self._drifted: set[str] = set()

    async def read(self, queries: Sequence[Query]) -> QueryResults:
        """Raise `RateLimited`, and token errors that name no field; other errors are in the results."""
        results = QueryResults()
        pending = []
        for query in queries:
            if query.document in self._drifted:
                results.errors[id(query)] = SchemaDrift(
                    "Railway no longer knows this query; update Railmend."
                )
            else:
                pending.append(query)
        try:
            async with asyncio.TaskGroup() as group:
                for batch in batches(pending, self._limits):
                    group.create_task(self._batch(batch, results))
        except ExceptionGroup as group_error:  # the first error cancels the other batches
            raise group_error.exceptions[0] from None
        return results

    async def _batch(self, queries: Sequence[Query], results: QueryResults, *, again: bool = True) -> None:
        """Send one document. `again`: it may be sent once more unchanged before it is split."""
        if not queries:
            return
        try:
            reply = await self._send(queries)
        except Unavailable as error:
            await self._whole_failed(queries, results, error, again=again)
            return
        if not reply.failures:
            for number, query in enumerate(queries):
                results.data[id(query)] = (reply.data or {}).get(f"a{number}")
            return
        await self._some_failed(queries, results, reply, again=again)

    async def _send(self, queries: Sequence[Query]) -> GraphQLReply:
        document, variables = compose(queries)
        names = list(dict.fromkeys(query.document for query in queries))
        return await self._transport.send(document, variables, "+".join(names))

    async def _some_failed(
        self, queries: Sequence[Query], results: QueryResults, reply: GraphQLReply, *, again: bool
    ) -> None:
        named: Mapping[str, RailwayError] = {f.alias: f.error() for f in reply.failures if f.alias}
        if not named:
            await self._unnamed(queries, results, reply.failures[0].error(), again=again)
            return
        rest = []
        for number, query in enumerate(queries):
            error = named.get(f"a{number}")
            if error is None:
                rest.append(query)
            elif error.retryable and len(queries) > 1:
                await self._batch([query], results, again=False)
            else:
                results.errors[id(query)] = error
        await self._batch(rest, results, again=again)

    async def _unnamed(
        self, queries: Sequence[Query], results: QueryResults, error: RailwayError, *, again: bool
    ) -> None:
        if isinstance(error, (NotAuthorized, ProjectTokenInvalid, RateLimited)):
            raise error
        if isinstance(error, SchemaDrift):
            await self._schema_drifted(queries, results, error)
        else:
            await self._whole_failed(queries, results, error, again=again)

    async def _schema_drifted(
        self, queries: Sequence[Query], results: QueryResults, error: RailwayError
    ) -> None:
        """Find the query that fails validation, whatever its service, and never send it again."""
        names = list(dict.fromkeys(query.document for query in queries))
        if len(names) == 1:
            self._drifted.add(names[0])
            results.errors.update({id(query): error for query in queries})
            return
        for name in names:
            await self._batch([query for query in queries if query.document == name], results)

    async def _whole_failed(
        self, queries: Sequence[Query], results: QueryResults, error: RailwayError, *, again: bool
    ) -> None:
        if again:
            await asyncio.sleep(self._pause)
            await self._batch(queries, results, again=False)
        elif len(queries) == 1 or isinstance(error, Unreachable):
            # Splitting does not help: each half would time out in turn.
            results.errors.update({id(query): error for query in queries})
        else:
            half = len(queries) // 2
            await self._batch(queries[:half], results, again=False)
            await self._batch(queries[half:], results, again=False)

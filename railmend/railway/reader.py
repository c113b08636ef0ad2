"""Send many queries in few documents, and return every result that can be had.

One failing root field makes Railway answer `data: null` for the whole document. If the error names the
field, it is dropped and the rest sent again; else the document is halved until the failing one is alone.
What is refused again and again is not asked for again in the same reading.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from railmend.railway.compose import Query, compose
from railmend.railway.drift import Drift
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
from railmend.railway.transport import GraphQLFailure, GraphQLReply, Transport

# Railway's catch-all error is often gone after a moment.
PAUSE_SECONDS = 2.0
# A field that is refused so often is refused for all services: the first number where none was answered.
REFUSALS, REFUSALS_OF_SOME = 3, 8
# So many answers in a row without anything: it is down or takes the token no more; smaller parts do not help.
BROKEN_ANSWERS = 6


@dataclass
class QueryResults:
    """`data` by the query's identity; a query that failed for good is in `errors` instead.

    `stopped`: why nothing more was asked for, such as a rate limit.
    """

    data: dict[int, Any] = field(default_factory=dict)
    errors: dict[int, RailwayError] = field(default_factory=dict)
    stopped: RailwayError | None = None
    _answered: set[str] = field(default_factory=set)
    _refused: dict[str, RailwayError] = field(default_factory=dict)
    _refusals: Counter[str] = field(default_factory=Counter)
    _broken: int = 0

    def get(self, query: Query) -> Any:
        """Return the result, or None if it could not be had."""
        return self.data.get(id(query))

    def error(self, query: Query) -> RailwayError | None:
        return self.errors.get(id(query))

    def unseen(self, queries: Iterable[Query]) -> list[str]:
        """Return one sentence for each query that failed, none of them twice."""
        failed = ((query.label, self.errors[id(query)]) for query in queries if id(query) in self.errors)
        return list(dict.fromkeys(f"{label}: {error.plain}" for label, error in failed))

    def answer(self, query: Query, value: Any) -> None:
        self.data[id(query)] = value
        self._answered.add(query.document)

    def fail(self, query: Query, error: RailwayError) -> None:
        """Note a failure; from some number of them on the field counts as refused."""
        self.errors[id(query)] = error
        self._refusals[query.document] += 1
        most = REFUSALS_OF_SOME if query.document in self._answered else REFUSALS
        if self._refusals[query.document] >= most:
            self.refuse(query.document, error)

    def refuse(self, document: str, error: RailwayError) -> None:
        self._refused[document] = error

    def give_another_chance(self, document: str) -> None:
        """Ask for a document again: what failed of it differs from what comes."""
        self._refused.pop(document, None)
        del self._refusals[document]

    def why_not(self, document: str) -> RailwayError | None:
        """Return why a document is not worth asking for, or None."""
        return self.stopped or self._refused.get(document)

    def broke(self, error: RailwayError) -> None:
        """Count an answer without anything: of no API, or to a token that is no longer taken."""
        self._broken += 1
        if self._broken >= BROKEN_ANSWERS:
            self.stopped = error

    def arrived(self) -> None:
        self._broken = 0


class Reader:
    """`pause_seconds`: wait before a document that failed as a whole is sent again."""

    def __init__(
        self, transport: Transport, limits: RateLimits, pause_seconds: float = PAUSE_SECONDS
    ) -> None:
        self._transport = transport
        self._limits = limits
        self._pause = pause_seconds
        self._sending = asyncio.Semaphore(limits.in_flight)
        self.drift = Drift()

    @property
    def now(self) -> datetime | None:
        """Return the time by Railway's own clock; None before its first answer."""
        return self._transport.now

    async def read(self, queries: Sequence[Query], results: QueryResults | None = None) -> QueryResults:
        """Read all that can be had. Raise nothing of Railway's: each failure is in the results.

        `results`: what was read before in the same scan; it is added to.
        """
        results = results or QueryResults()
        async with asyncio.TaskGroup() as group:
            for batch in batches(queries, self._limits):
                group.create_task(self._batch(batch, results))
        return results

    async def _batch(self, queries: Sequence[Query], results: QueryResults, *, again: bool = True) -> None:
        """Send one document. `again`: it may be sent once more unchanged before it is split."""
        async with self._sending:
            queries = self._worth_asking(queries, results)
            if not queries:
                return
            reply = await self._send(queries)
        if isinstance(reply, Unavailable):
            results.broke(reply)
            await self._whole_failed(queries, results, reply, again=again)
        elif isinstance(reply, RateLimited):
            results.stopped = reply
            self._worth_asking(queries, results)
        elif reply.failures:
            await self._some_failed(queries, results, reply, again=again)
        else:
            results.arrived()
            for number, query in enumerate(queries):
                results.answer(query, (reply.data or {}).get(f"a{number}"))

    def _worth_asking(self, queries: Sequence[Query], results: QueryResults) -> list[Query]:
        """Return the queries that may succeed, and note why the others are not sent."""
        worth = []
        for query in queries:
            error = results.why_not(query.document) or self.drift.gone(query.document)
            if error is None:
                worth.append(query)
            else:
                results.errors[id(query)] = error
        return worth

    async def _send(self, queries: Sequence[Query]) -> GraphQLReply | Unavailable | RateLimited:
        names = list(dict.fromkeys(query.document for query in queries))
        document, variables = compose(queries, {name: self.drift.dropped(name) for name in names})
        try:
            return await self._transport.send(document, variables, "+".join(names))
        except (Unavailable, RateLimited) as error:
            return error

    async def _some_failed(
        self, queries: Sequence[Query], results: QueryResults, reply: GraphQLReply, *, again: bool
    ) -> None:
        asked = {f"a{number}" for number in range(len(queries))}
        named: Mapping[str, GraphQLFailure] = {
            f.alias: f for f in reply.failures if f.alias and f.alias in asked
        }
        if not named:
            await self._unnamed(queries, results, reply.failures, again=again)
            return
        results.arrived()
        rest = []
        for number, query in enumerate(queries):
            failure = named.get(f"a{number}")
            if failure is None or self._spared(query, failure):
                rest.append(query)
            elif failure.error().retryable and len(queries) > 1:
                await self._batch([query], results, again=False)
            else:
                results.fail(query, failure.error())
        await self._batch(rest, results, again=again)

    def _spared(self, query: Query, failure: GraphQLFailure) -> bool:
        """Drop the optional field that failed, so that the rest of its query can be had."""
        parts = failure.field.split(".")
        fields = {".".join(parts[:end]) for end in range(1, len(parts) + 1)} & self.drift.left(query.document)
        self.drift.drop(query.document, fields)
        return bool(fields)

    async def _unnamed(
        self,
        queries: Sequence[Query],
        results: QueryResults,
        failures: Sequence[GraphQLFailure],
        *,
        again: bool,
    ) -> None:
        error = failures[0].error()
        if isinstance(error, ProjectTokenInvalid):
            results.stopped = error
            self._worth_asking(queries, results)
        elif isinstance(error, SchemaDrift):
            await self._drifted(queries, results, failures, error)
        elif isinstance(error, NotAuthorized):
            # What the token may not read, Railway does not name: it is found part by part.
            results.broke(error)
            if len({query.document for query in queries}) > 1:
                await self._by_document(queries, results)
            else:
                await self._whole_failed(queries, results, error, again=False)
        else:
            await self._whole_failed(queries, results, error, again=again)

    async def _drifted(
        self,
        queries: Sequence[Query],
        results: QueryResults,
        failures: Sequence[GraphQLFailure],
        error: SchemaDrift,
    ) -> None:
        """Let optional fields fall away: those that the messages name, else all; then the whole query."""
        names = list(dict.fromkeys(query.document for query in queries))
        fallen = self.drift.named(names, failures)
        culprit = self.drift.culprit(names, failures)
        if not fallen and culprit and (left := self.drift.left(culprit)):
            fallen = {culprit: left}
        for name, fields in fallen.items():
            self.drift.drop(name, fields)
        if not fallen and culprit is None:
            await self._by_document(queries, results)
            return
        if not fallen and culprit:
            self.drift.give_up(culprit, error)
        await self._batch(queries, results)

    async def _by_document(self, queries: Sequence[Query], results: QueryResults) -> None:
        for name in dict.fromkeys(query.document for query in queries):
            await self._batch([query for query in queries if query.document == name], results)

    async def _whole_failed(
        self, queries: Sequence[Query], results: QueryResults, error: RailwayError, *, again: bool
    ) -> None:
        if again:
            await asyncio.sleep(self._pause)
            await self._batch(queries, results, again=False)
        elif len(queries) == 1:
            results.fail(queries[0], error)
        elif isinstance(error, Unreachable):
            # Splitting does not help: each half would time out in turn.
            results.errors |= {id(query): error for query in queries}
        else:
            half = len(queries) // 2
            await self._batch(queries[:half], results, again=False)
            await self._batch(queries[half:], results, again=False)

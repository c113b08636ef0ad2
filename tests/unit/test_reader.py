"""The reader and what it asks of answers, without a network."""

from typing import Any, cast

import pytest
from graphql import DocumentNode, print_ast

from railmend.railway.compose import Query, breadth
from railmend.railway.errors import classify
from railmend.railway.limits import RateLimits, batches
from railmend.railway.model import Slice
from railmend.railway.reader import QueryResults, Reader
from railmend.railway.survey import late_steps
from railmend.railway.transport import GraphQLFailure, GraphQLReply, Transport
from tests import samples

NODE = "serviceInstances.edges.node"


class Sent:
    """A transport to an API where one field of each document fails while it is asked for."""

    now = None

    def __init__(self, path: str) -> None:
        self._path = path
        self.documents: list[str] = []

    async def send(self, document: DocumentNode, _: dict[str, Any], __: str) -> GraphQLReply:
        self.documents.append(print_ast(document))
        if self._path.rpartition(".")[2] not in self.documents[-1]:
            return GraphQLReply(data={"a0": {"name": "production"}})
        failure = GraphQLFailure(message="Problem processing request", alias="a0", field=self._path)
        return GraphQLReply(data=None, failures=[failure])


async def read(sent: Sent) -> tuple[Any, frozenset[str]]:
    reader = Reader(cast("Transport", sent), RateLimits(), pause_seconds=0)
    query = Query("environment", {"environmentId": "e", "projectId": "p", "first": 5}, "The list of services")
    results = await reader.read([query])
    return results.get(query), reader.drift.dropped("environment")


async def test_an_optional_field_that_fails_alone_costs_only_itself() -> None:
    sent = Sent(f"{NODE}.healthcheckPath")
    assert await read(sent) == ({"name": "production"}, {f"{NODE}.healthcheckPath"})
    assert len(sent.documents) == 2


async def test_a_field_that_is_needed_is_not_left_out() -> None:
    sent = Sent(f"{NODE}.serviceName")
    assert await read(sent) == (None, frozenset())
    assert all("serviceName" in document for document in sent.documents)


async def test_a_field_that_fails_once_is_asked_for_once_more_by_itself() -> None:
    sent: list[int] = []

    class Once(Sent):
        async def send(self, _: DocumentNode, variables: dict[str, Any], __: str) -> GraphQLReply:
            services = [value for name, value in variables.items() if name.startswith("serviceId")]
            sent.append(len(services))
            if len(sent) > 1:
                return GraphQLReply(data={f"a{n}": name for n, name in enumerate(services)})
            failure = GraphQLFailure(message="Problem processing request", alias="a1")
            return GraphQLReply(data=None, failures=[failure])

    queries = [Query("statuses", {"serviceId": name}, name) for name in ("web", "api", "admin")]
    results = await Reader(cast("Transport", Once("")), RateLimits(), pause_seconds=0).read(queries)
    assert [results.get(query) for query in queries] == ["web", "api", "admin"]
    assert sent == [3, 1, 2]


def test_what_fails_alike_twice_of_a_service_is_said_once() -> None:
    results = QueryResults()
    queries = [
        Query("statuses", {"start": start}, "HTTP status counts of web") for start in ("today", "before")
    ]
    for trace, query in enumerate(queries):
        results.fail(query, classify("Problem processing request", trace_id=str(trace)))
    (sentence,) = results.unseen(queries)
    assert sentence.startswith("HTTP status counts of web: Railway: Problem processing request. ")


def ending(early: int, **http: float) -> Slice:
    """Return a service of an hour whose samples end so many minutes early, and what is asked of it then."""
    series = {status: [0.0] * (60 - early) + [count] * early for status, count in http.items()}
    memory = [0.3] * (60 - early) + [None] * early
    return Slice(
        service_id="s",
        start=samples.WINDOW.start,
        step_seconds=60,
        memory_gb=memory,
        http=cast("Any", series),
    )


def test_samples_that_end_together_are_late_unless_requests_fail_from_then_on() -> None:
    assert late_steps([ending(12), ending(12), ending(13)]) == 12
    assert late_steps([ending(12, **{"2xx": 9.0, "5xx": 1.0}), ending(12)]) == 12
    assert late_steps([ending(12, **{"2xx": 1.0, "5xx": 9.0}), ending(12)]) == 0
    assert late_steps([ending(12), ending(12), ending(20), ending(30), ending(40)]) == 0, "most died before"
    assert late_steps([ending(12)]) == 0
    assert late_steps([ending(2), ending(2)]) == 0, "single samples are late every day"


@pytest.mark.parametrize(
    ("limits", "sizes"),
    [
        (RateLimits(), [5]),
        (RateLimits(aliases=2), [2, 2, 1]),
        (RateLimits(points=250), [2, 2, 1]),
        (RateLimits(points=50), [1] * 5),  # too large alone is sent alone
        (RateLimits(breadth=3 * breadth("statuses")), [3, 2]),
    ],
    ids=["all in one", "aliases", "points", "too large", "breadth"],
)
def test_a_request_keeps_to_every_limit(limits: RateLimits, sizes: list[int]) -> None:
    queries = [Query("statuses", {}, f"HTTP status counts of {number}", 100) for number in range(5)]
    split = list(batches(queries, limits))
    assert [len(batch) for batch in split] == sizes
    assert [query for batch in split for query in batch] == queries

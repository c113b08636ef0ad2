"""Whom a service talks to, from Railway's logs of its network."""

import json
from typing import Any

import httpx
from pydantic import SecretStr

from railmend.railway.limits import RateLimiter, RateLimits
from railmend.railway.network import NetworkReader, NetworkSeen
from railmend.railway.reader import Reader
from railmend.railway.transport import Transport
from tests import samples

QUERIES = [
    {"qname": "API.stripe.com.", "queryZone": "external", "rcode": "NOERROR", "answers": ["1.2.3.4"]},
    {"qname": "api.stripe.com.internal.", "queryZone": "external", "rcode": "NXDOMAIN", "answers": []},
    {"qname": "api.twilio.com", "queryZone": "external", "rcode": "SERVFAIL", "answers": []},
    {"qname": "api.openai.com", "queryZone": "external", "rcode": "SERVFAIL", "answers": []},
    {"qname": "api.openai.com", "queryZone": "external", "rcode": "NOERROR", "answers": ["5.6.7.8"]},
    {"qname": "db.railway.internal", "queryZone": "internal", "rcode": "NOERROR", "answers": ["fd00::1"]},
]
FLOWS = [
    {
        "direction": "egress",
        "dstAddr": "1.2.3.4",
        "peerKind": "internet",
        "peerServiceId": None,
        "dropCause": None,
    },
    {
        "direction": "egress",
        "dstAddr": "5.6.7.8",
        "peerKind": "internet",
        "peerServiceId": None,
        "dropCause": "LIMIT",
    },
    {
        "direction": "egress",
        "dstAddr": "fd00::1",
        "peerKind": "service",
        "peerServiceId": "db",
        "dropCause": None,
    },
    {
        "direction": "ingress",
        "dstAddr": "9.9.9.9",
        "peerKind": "edge_proxy",
        "peerServiceId": None,
        "dropCause": None,
    },
]
VARIABLES = {
    "variables": {
        "edges": [
            {"node": {"serviceId": "s", "name": "STRIPE_KEY"}},
            {"node": {"serviceId": "other", "name": "SLACK_TOKEN"}},
        ],
        "pageInfo": {"hasNextPage": False, "endCursor": None},
    }
}
ANSWERS = {"dnsQueryLogs": QUERIES, "networkFlowLogs": FLOWS, "environment": VARIABLES}


class Railway:
    """Answers a document of aliases; `forbidden` root fields fail as they do there: no data at all."""

    def __init__(self, *forbidden: str, named: bool = True) -> None:
        self.forbidden = forbidden
        self.named = named
        self.requests = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        query = json.loads(request.content)["query"]
        fields = [
            line.strip().split("(")[0].split(": ") for line in query.splitlines() if line.startswith("  a")
        ]
        for alias, field in fields:
            if field in self.forbidden:
                error: dict[str, Any] = {"message": "Not Authorized", "traceId": "42"}
                return httpx.Response(
                    200, json={"data": None, "errors": [error | ({"path": [alias]} if self.named else {})]}
                )
        return httpx.Response(200, json={"data": {alias: ANSWERS[field] for alias, field in fields}})


async def seen(railway: Railway) -> NetworkSeen:
    limits = RateLimits(per_second=10_000)
    transport = Transport(
        "http://railway/graphql/v2",
        SecretStr("t"),
        "project",
        httpx.MockTransport(railway),
        5,
        RateLimiter(limits),
    )
    window = samples.WINDOW
    return await NetworkReader(Reader(transport, limits)).seen("p", "e", "s", window.start, window.end)


async def test_names_are_joined_with_the_traffic_in_one_request() -> None:
    railway = Railway()
    assert await seen(railway) == NetworkSeen(
        resolved=("api.stripe.com", "api.openai.com"),
        unresolved=("api.stripe.com.internal", "api.twilio.com"),
        connected=("api.stripe.com",),
        dropped=("api.openai.com",),
        variables=("STRIPE_KEY",),
    )
    assert railway.requests == 1


async def test_what_the_token_may_not_read_is_said_and_the_rest_is_read() -> None:
    network = await seen(Railway("dnsQueryLogs", "networkFlowLogs"))
    assert network.variables == ("STRIPE_KEY",)
    assert network.resolved == ()
    assert [sentence.split(":")[0] for sentence in network.unseen] == ["DNS queries", "Network flows"]
    assert "Not Authorized" in network.unseen[0]


async def test_what_the_token_may_not_read_is_found_where_railway_does_not_name_it() -> None:
    network = await seen(Railway("dnsQueryLogs", named=False))
    assert network.variables == ("STRIPE_KEY",)
    assert [sentence.split(":")[0] for sentence in network.unseen] == ["DNS queries"]
    nothing = await seen(Railway("dnsQueryLogs", "networkFlowLogs", "environment", named=False))
    assert nothing == NetworkSeen(unseen=nothing.unseen)
    assert "Not Authorized" in nothing.unseen[0]

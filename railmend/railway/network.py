"""Hosts that a service contacts, from its DNS queries, traffic and names of variables.

Names only: no addresses, no values.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from railmend.railway import parse
from railmend.railway.compose import Query
from railmend.railway.errors import RateLimited
from railmend.railway.reader import Reader

ROWS = 500
PAGE = 500
SUCCESS = frozenset({"noerror", "0", ""})


class NetworkSeen(BaseModel):
    """Host names outside Railway. `variables`: names, None if unknown.

    `unresolved`: names without a successful lookup. `unseen`: what could not be read, one sentence each.
    """

    resolved: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    connected: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    variables: tuple[str, ...] | None = None
    unseen: tuple[str, ...] = ()


class NetworkReader:
    """Reads all of it in one document. A token that may not read these logs is reported, not raised."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def seen(
        self, project_id: str, environment_id: str, service_id: str, start: datetime, end: datetime
    ) -> NetworkSeen:
        """Return what a service contacted in a window; raise only `RateLimited`."""
        span = {"start": parse.iso(start), "end": parse.iso(end), "limit": ROWS}
        ids = {"environmentId": environment_id, "serviceId": service_id}
        dns = Query("dns_queries", {**ids, **span}, "DNS queries", ROWS)
        flows = Query("network_flows", {**ids, **span}, "Network flows", ROWS)
        names = Query(
            "variable_names",
            {"environmentId": environment_id, "projectId": project_id, "first": PAGE, "after": None},
            "Variable names",
        )
        queries = [dns, flows, names]
        results = await self._reader.read(queries)
        if isinstance(results.stopped, RateLimited):
            raise results.stopped
        seen = _join(results.get(dns) or [], results.get(flows) or [])
        variables = _variables(results.get(names), service_id)
        unseen = results.unseen(queries)
        return seen.model_copy(update={"variables": variables, "unseen": tuple(unseen)})


def _join(queries: Iterable[dict[str, Any]], flows: Iterable[dict[str, Any]]) -> NetworkSeen:
    """Name the address of each flow by the DNS answer that held it."""
    good: dict[str, None] = {}
    bad: dict[str, None] = {}
    owners: dict[str, str] = {}
    for query in queries:
        if query["queryZone"] != "external":
            continue
        name = query["qname"].rstrip(".").lower()
        (good if query["rcode"].lower() in SUCCESS else bad)[name] = None
        owners.update(dict.fromkeys(query["answers"], name))
    connected: dict[str, None] = {}
    dropped: dict[str, None] = {}
    for flow in flows:
        owner = owners.get(flow["dstAddr"])
        if flow["direction"] == "egress" and owner is not None:
            (dropped if flow["dropCause"] else connected)[owner] = None
    return NetworkSeen(
        resolved=tuple(good),
        unresolved=tuple(name for name in bad if name not in good),
        connected=tuple(connected),
        dropped=tuple(dropped),
    )


def _variables(environment: dict[str, Any] | None, service_id: str) -> tuple[str, ...] | None:
    """Return the names of a service's variables, None if the list is empty or incomplete."""
    if environment is None or environment["variables"]["pageInfo"]["hasNextPage"]:
        return None
    rows = parse.nodes(environment["variables"])
    return tuple(row["name"] for row in rows if row["serviceId"] == service_id) or None

"""Whom a service really talks to: names it resolved, peers of its traffic, names of its variables.

Names and ids only; no address, no value.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from railmend.railway import parse
from railmend.railway.compose import Query
from railmend.railway.errors import NotAuthorized, ProjectTokenInvalid
from railmend.railway.reader import Reader

ROWS = 500
PAGE = 500
SUCCESS = frozenset({"noerror", "0", ""})


class NetworkSeen(BaseModel):
    """Host names outside Railway, and ids of services within. `variables`: None where not known.

    `unresolved`: no look-up of the name succeeded. `unseen`: what could not be read, one sentence each.
    """

    resolved: tuple[str, ...] = ()
    unresolved: tuple[str, ...] = ()
    connected: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    peer_services: tuple[str, ...] = ()
    variables: tuple[str, ...] | None = None
    unseen: tuple[str, ...] = ()


class NetworkReader:
    """One document for all. Many tokens may not read these logs: that is said, not raised."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def seen(
        self, project_id: str, environment_id: str, service_id: str, start: datetime, end: datetime
    ) -> NetworkSeen:
        """Raises `RateLimited` alone."""
        span = {"start": parse.iso(start), "end": parse.iso(end), "limit": ROWS}
        ids = {"environmentId": environment_id, "serviceId": service_id}
        dns = Query("dns_queries", {**ids, **span}, "DNS queries", ROWS)
        flows = Query("network_flows", {**ids, **span}, "Network flows", ROWS)
        names = Query(
            "variable_names",
            {"environmentId": environment_id, "projectId": project_id, "first": PAGE, "after": None},
            "Variable names",
        )
        asks = [dns, flows, names]
        try:
            answers = await self._reader.read(asks)
        except (NotAuthorized, ProjectTokenInvalid) as error:
            return NetworkSeen(unseen=(f"DNS queries, network flows and variable names: {error}",))
        seen = _join(answers.get(dns) or [], answers.get(flows) or [])
        variables = _variables(answers.get(names), service_id)
        unseen = answers.unseen(asks)
        return seen.model_copy(update={"variables": variables, "unseen": tuple(unseen)})


def _join(queries: Iterable[dict[str, Any]], flows: Iterable[dict[str, Any]]) -> NetworkSeen:
    """A flow knows an address only; the answers to the look-ups tell whose it is."""
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
    peers: dict[str, None] = {}
    for flow in flows:
        if flow["peerServiceId"]:
            peers[flow["peerServiceId"]] = None
        owner = owners.get(flow["dstAddr"])
        if flow["direction"] == "egress" and owner is not None:
            (dropped if flow["dropCause"] else connected)[owner] = None
    return NetworkSeen(
        resolved=tuple(good),
        unresolved=tuple(name for name in bad if name not in good),
        connected=tuple(connected),
        dropped=tuple(dropped),
        peer_services=tuple(peers),
    )


def _variables(environment: dict[str, Any] | None, service_id: str) -> tuple[str, ...] | None:
    """None, too, where the list is not complete: a name that is missing from it then means nothing."""
    if environment is None or environment["variables"]["pageInfo"]["hasNextPage"]:
        return None
    rows = parse.nodes(environment["variables"])
    return tuple(row["name"] for row in rows if row["serviceId"] == service_id) or None

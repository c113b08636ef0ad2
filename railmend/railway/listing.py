"""What is listed of an environment, each connection read page after page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from railmend.railway import parse
from railmend.railway.compose import Query
from railmend.railway.errors import RailwayError
from railmend.railway.limits import RateLimits
from railmend.railway.reader import QueryResults


class Listing:
    """The nodes of one connection by id, so that none counts twice; finished ones are not asked for again.

    `root`: the environment's own fields. `error`: why pages are missing.
    """

    def __init__(self, document: str, connection: str, label: str, variables: dict[str, Any]) -> None:
        self._connection = connection
        self.query = Query(document, variables, label)
        self.nodes: dict[str, dict[str, Any]] = {}
        self.root: dict[str, Any] = {}
        self.error: RailwayError | None = None
        self._after: str | None = None

    @property
    def more(self) -> bool:
        """Whether there is another page."""
        return self._after is not None

    @property
    def why(self) -> str:
        return self.error.plain if self.error else ""

    def next_page(self) -> Query:
        variables = {**self.query.variables, "after": self._after}
        self.query = Query(self.query.document, variables, self.query.label)
        return self.query

    def take(self, results: QueryResults) -> None:
        """Take over a page. The last is the one without a successor, or without any node that is new."""
        self._after = None
        self.error = results.error(self.query)
        self.root = results.get(self.query) or self.root
        if self.error is not None:
            return
        connection = self.root[self._connection]
        before = len(self.nodes)
        self.nodes |= {node["id"]: node for node in parse.nodes(connection)}
        page = connection["pageInfo"]
        if page["hasNextPage"] and len(self.nodes) > before:
            self._after = page["endCursor"]

    def require(self) -> None:
        """Raise where nothing of it could be read."""
        if self.error is not None and not self.nodes:
            raise self.error

    def unseen(self) -> list[str]:
        if self.error is None:
            return []
        part = f" beyond the first {len(self.nodes)}" if self.nodes else ""
        return [f"{self.query.label}{part}: {self.error.plain}"]


@dataclass
class Listings:
    """What is listed of an environment, page after page."""

    services: Listing
    deployed: Listing
    triggers: Listing
    variables: Listing
    volumes: Listing

    def all(self) -> tuple[Listing, ...]:
        return self.services, self.deployed, self.triggers, self.variables, self.volumes

    @classmethod
    def of_environment(cls, ids: Mapping[str, str], limits: RateLimits) -> "Listings":
        def listing(document: str, connection: str, label: str, page: int) -> Listing:
            return Listing(document, connection, label, {**ids, "first": page, "after": None})

        return cls(
            services=listing("environment", "serviceInstances", "The list of services", limits.page),
            deployed=listing("deployed", "serviceInstances", "The list of deployments", limits.page),
            triggers=listing("triggers", "deploymentTriggers", "The branches of services", limits.page),
            variables=listing("references", "variables", "Which service needs which", limits.small_page),
            volumes=listing("volumes", "volumeInstances", "The list of volumes", limits.page),
        )

    def inventory(self, results: QueryResults, failed: Query, runs: Mapping[str, Query]) -> parse.Inventory:
        """Return all that is listed. `failed`: the query for deployments that failed; `runs`: of crons."""
        failures, ran = results.get(failed), {key: results.get(query) for key, query in runs.items()}
        return parse.Inventory(
            instances=self.services.nodes.values(),
            deployed={node["serviceId"]: node for node in self.deployed.nodes.values()},
            failed=None if failures is None else parse.nodes(failures),
            triggers=self.triggers.nodes.values(),
            variables=self.variables.nodes.values(),
            volumes=self.volumes.nodes.values(),
            runs={key: parse.nodes(listed) for key, listed in ran.items() if listed is not None},
        )

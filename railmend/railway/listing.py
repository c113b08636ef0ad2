"""What is listed of an environment, each connection read page after page."""

from typing import Any

from railmend.railway import parse
from railmend.railway.compose import Query
from railmend.railway.errors import RailwayError
from railmend.railway.limits import RateLimits
from railmend.railway.plan import Queries
from railmend.railway.reader import QueryResults

# Newest failed deployments of the environment.
FAILED = 200


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


class Listings:
    """What is listed of an environment, page after page; and what is asked of it once."""

    def __init__(self, environment_id: str, project_id: str, limits: RateLimits) -> None:
        ids = {"environmentId": environment_id, "projectId": project_id}
        self._ids = ids

        def listing(document: str, connection: str, label: str, page: int = limits.page) -> Listing:
            return Listing(document, connection, label, {**ids, "first": page, "after": None})

        self.services = listing("environment", "serviceInstances", "The list of services")
        self.deployed = listing("deployed", "serviceInstances", "The list of deployments")
        self.triggers = listing("triggers", "deploymentTriggers", "The branches of services")
        self.variables = listing("references", "variables", "Which service needs which", limits.small_page)
        self.volumes = listing("volumes", "volumeInstances", "The list of volumes")
        self.status = Query("platform_status", {}, "Railway's own status")
        self.project = Query("project", {"projectId": project_id}, "The project's name")
        failed = {**ids, "status": {"in": ["FAILED", "CRASHED"]}}
        self.failed = Query(
            "failed_deployments", {"input": failed, "first": FAILED}, "Deployments that failed"
        )

    def all(self) -> tuple[Listing, ...]:
        return self.services, self.deployed, self.triggers, self.variables, self.volumes

    def queries(self) -> list[Query]:
        """Return all that is asked before anything is known of the environment."""
        return [self.status, self.project, self.failed, *(listing.query for listing in self.all())]

    def names(self, results: QueryResults) -> tuple[str, str]:
        """Return the names of project and environment, or their ids where those cannot be read."""
        project = (results.get(self.project) or {}).get("name") or self._ids["projectId"]
        return project, self.services.root.get("name") or self._ids["environmentId"]

    def inventory(self, results: QueryResults, queries: Queries | None = None) -> parse.Inventory:
        """Return all that is listed. `queries`: among others for runs of crons."""
        failures = results.get(self.failed)
        runs = {
            key[1]: results.get(query) for key, query in (queries or {}).items() if key[2] == "executions"
        }
        return parse.Inventory(
            instances=self.services.nodes.values(),
            deployed={node["serviceId"]: node for node in self.deployed.nodes.values()},
            failed=parse.nodes(failures) if failures else [],
            triggers=self.triggers.nodes.values(),
            variables=self.variables.nodes.values(),
            volumes=self.volumes.nodes.values(),
            runs={service_id: parse.nodes(listed) for service_id, listed in runs.items() if listed},
        )

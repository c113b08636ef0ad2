"""A connection of an environment, read page after page."""

from typing import Any

from railmend.railway import parse
from railmend.railway.compose import Query
from railmend.railway.errors import RailwayError
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

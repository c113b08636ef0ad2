"""What of Railway's API has gone or is refused, remembered for an hour and then tried again."""

import time
from collections.abc import Callable, Iterable, Sequence

from railmend.railway.compose import paths, root_field
from railmend.railway.errors import SchemaDrift
from railmend.railway.transport import GraphQLFailure

AGAIN_SECONDS = 3600.0
NODE = "serviceInstances.edges.node"
_PAGE = ("serviceInstances", "serviceInstances.edges", NODE, f"{NODE}.id", f"{NODE}.serviceId")
_PAGE_INFO = tuple(f"serviceInstances.pageInfo{field}" for field in ("", ".hasNextPage", ".endCursor"))
# What these documents are useless without; every other field of theirs may fall away. Of a document that is
# not here no field may.
REQUIRED = {
    "environment": frozenset({*_PAGE, *_PAGE_INFO, f"{NODE}.serviceName"}),
    "deployed": frozenset(
        {*_PAGE, *_PAGE_INFO}
        | {
            f"{NODE}.{each}.{field}"
            for each in ("latestDeployment", "activeDeployments")
            for field in ("id", "status")
        }
    ),
    "platform_status": frozenset({"incident", "incident.message"}),
}


def optional(document: str) -> frozenset[str]:
    return paths(document) - REQUIRED[document] if document in REQUIRED else frozenset()


class Drift:
    """Documents that failed validation, and fields that fell away, each until its hour is over."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._documents: dict[str, tuple[float, SchemaDrift]] = {}
        self._fields: dict[tuple[str, str], float] = {}

    def gone(self, document: str) -> SchemaDrift | None:
        """Return why a document is not to be sent, or None."""
        until, error = self._documents.get(document, (0.0, None))
        return error if self._clock() < until else None

    def dropped(self, document: str) -> frozenset[str]:
        """Return the fields that are not to be asked for."""
        now = self._clock()
        return frozenset(
            field for (name, field), until in self._fields.items() if name == document and now < until
        )

    def give_up(self, document: str, error: SchemaDrift) -> None:
        self._documents[document] = self._clock() + AGAIN_SECONDS, error

    def drop(self, document: str, fields: Iterable[str]) -> None:
        self._fields |= {(document, field): self._clock() + AGAIN_SECONDS for field in fields}

    def named(
        self, documents: Iterable[str], failures: Sequence[GraphQLFailure]
    ) -> dict[str, frozenset[str]]:
        """Return the optional fields, by document, that invalid documents' messages name in quotes."""
        words = _quoted(failures)
        found = {
            name: frozenset(path for path in self.left(name) if path.rpartition(".")[2] in words)
            for name in documents
        }
        return {name: fields for name, fields in found.items() if fields}

    def culprit(self, documents: Sequence[str], failures: Sequence[GraphQLFailure]) -> str | None:
        """Return the only document that can be meant by the messages, None if that is not clear."""
        words = _quoted(failures)
        meant = [name for name in documents if words & _fields(name)]
        return documents[0] if len(documents) == 1 else meant[0] if len(meant) == 1 else None

    def left(self, document: str) -> frozenset[str]:
        """Return the optional fields that are still asked for."""
        return optional(document) - self.dropped(document)


def _quoted(failures: Iterable[GraphQLFailure]) -> set[str]:
    return {word for failure in failures for word in failure.message.replace("'", '"').split('"')[1::2]}


def _fields(document: str) -> set[str]:
    """Return the names of all fields of a document."""
    return {path.rpartition(".")[2] for path in paths(document)} | {root_field(document).name.value}

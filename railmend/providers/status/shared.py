"""What the formats share: decoding a body, and incidents of bounded size."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import PydanticUndefined

from railmend.contracts.providers import Impact, ProviderIncident

TITLE, LATEST, COMPONENTS = 300, 600, 20
OVER = frozenset({"resolved", "postmortem", "completed", "cancelled"})

# Takes provider id, body and now. Raises `ValueError` for a body in another format.
Parser = Callable[[str, bytes, datetime], list[ProviderIncident]]


def _names(rows: Sequence[Any]) -> list[str]:
    """Return the names of components that are given as objects or as text."""
    return [row if isinstance(row, str) else row.get("name") or row.get("title", "") for row in rows]


Moment = Annotated[
    datetime, AfterValidator(lambda moment: moment if moment.tzinfo else moment.replace(tzinfo=UTC))
]
Names = Annotated[list[str], BeforeValidator(_names)]


def decoded(body: bytes) -> str:
    """Return the body's text: UTF-16 if it has that byte order mark, as AWS's, else UTF-8."""
    utf16 = body[:2] in (b"\xff\xfe", b"\xfe\xff")
    return body.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")


def json_object(body: bytes, key: str) -> dict[str, Any]:
    """Return a JSON object with the format's main key. Raise `ValueError` for any other body."""
    document = json.loads(decoded(body))
    if not isinstance(document, dict) or key not in document:
        raise ValueError(f"the answer has no {key!r}")
    return document


def json_list(body: bytes) -> Iterator[Any]:
    """Yield the items of a JSON list. Raise `ValueError` for any other body."""
    document = json.loads(decoded(body))
    if not isinstance(document, list):
        raise ValueError("the answer is not a list")
    yield from document


def _called(*names: str | AliasPath, default: Any = PydanticUndefined) -> Any:
    return Field(default, validation_alias=AliasChoices(*names))


class PostedIncident(BaseModel):
    """An incident under the names that pages have for its fields; what is empty is absent.

    `grade`: the page's word for the impact. `ended`: counts if the state says that it is over.
    """

    model_config = ConfigDict(coerce_numbers_to_str=True, populate_by_name=True)

    title: str = _called("title", "name", "external_desc", "service_name", default="Incident")
    started: Moment = _called(
        *("started", "started_at", "begin", "datetime_open", "scheduled_for", "date_created", "created_at")
    )
    state: str = _called("state", "status", default="open")
    ended: Moment | None = _called(
        *("resolved_at", "end", "updated_at", "date_updated", "created_at", "date_created"), default=None
    )
    components: Names = _called(
        *("components", "components_affected", "affected_products", "services"), default=()
    )
    url: str = _called("url", "shortlink", "full_url", default="")
    latest: str | None = _called(
        AliasPath("incident_updates", 0, "body"),
        AliasPath("notes", 0, "body"),
        AliasPath("updates", 0, "contents"),
        AliasPath("messages", -1, "details"),
        AliasPath("most_recent_update", "text"),
        default=None,
    )
    grade: str = _called("impact", "status_impact", "type", AliasPath("messages", -1, "status"), default="")

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, row: Any) -> Any:
        if not isinstance(row, dict):
            return row
        return {name: value for name, value in row.items() if value not in (None, "")}

    def incident(self, provider: str, impact: Impact) -> ProviderIncident:
        """Return the incident with its texts and components cut to their limits."""
        state = self.state.lower()
        return ProviderIncident(
            provider=provider,
            title=self.title[:TITLE],
            impact=impact,
            state=state[:40],
            started=self.started,
            resolved=self.ended if state in OVER else None,
            components=tuple(name[:80] for name in self.components[:COMPONENTS]),
            url=self.url[:300],
            latest=(self.latest or "")[:LATEST],
        )

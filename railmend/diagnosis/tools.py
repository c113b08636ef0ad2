"""The tools that a model may ask for while it diagnoses: their arguments, their schemas, their bounds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from railmend.contracts.investigation import EvidenceCall, Tool
from railmend.diagnosis.answer import faults_of

CONCLUDE = "conclude"
MAX_LINES = 200
# Railway keeps logs for a week on every plan, and series for a month.
OLDEST = timedelta(days=31)


@dataclass(frozen=True)
class Bounds:
    """What one pass may do: answers, calls of tools, at once and in all, tokens of their results, time."""

    turns: int
    calls: int
    calls_at_once: int
    result_tokens: int
    time: timedelta


# One packet has 8,000 tokens; twice as much again is what a careful reader needs, at most.
DIAGNOSIS_BOUNDS = Bounds(8, 16, 4, 16_000, timedelta(minutes=30))
SCEPTIC_BOUNDS = Bounds(4, 6, 3, 6_000, timedelta(minutes=15))
# Tokens of one result.
RESULT_TOKENS = 2_500


def _not_empty(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    return text


def _relative(path: str) -> str:
    """Return a path inside the repository. Raise `ValueError` for one that leads out of it."""
    parts = [part for part in path.strip().removeprefix("./").split("/") if part not in ("", ".")]
    if path.strip().startswith("/") or ".." in parts or not parts:
        raise ValueError("it must be a path inside the repository, from its root")
    return "/".join(parts)


Text = Annotated[str, Field(max_length=200), AfterValidator(_not_empty)]
FilePath = Annotated[str, Field(max_length=300), AfterValidator(_relative)]
Line = Annotated[int, Field(ge=1, le=1_000_000)]
Sha = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{7,40}$")]
Time = Annotated[AwareDatetime, Field(description="ISO 8601 with a zone, such as 2026-01-31T12:00:00Z")]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Stretch(_Arguments):
    """Without times: the window of the findings."""

    start: Time | None = None
    end: Time | None = None


class ReadCodeArguments(_Arguments):
    """Read lines of a file of the commit that serves, at most 200 at once."""

    path: FilePath
    first: Line
    last: Line


class SearchCodeArguments(_Arguments):
    """Find a text in the code of the commit that serves, whatever its case; it is no regular expression."""

    text: Text


class CommitsArguments(_Arguments):
    """List commits, newest first, of one path or of all, up to the one that serves."""

    path: FilePath | None = None
    since: Time | None = None


class ShowCommitArguments(_Arguments):
    """Show one commit: its message, its files, its hunks."""

    sha: Sha


class LogsArguments(_Stretch):
    """Read log lines that hold a text, condensed; without a text all of them."""

    stream: Literal["deploy", "build"] = "deploy"
    text: Text | None = None


class HttpArguments(_Stretch):
    """Read requests, by route: of one path, one status ("500") or one class of them ("5xx"), or all."""

    path: Text | None = None
    status: Annotated[str, Field(pattern=r"^[1-5](?:\d\d|xx)$")] | None = None


class MetricsArguments(_Stretch):
    """Read a series in numbers, and its limit."""

    series: Literal["cpu", "memory", "requests", "latency"]


class DeploymentsArguments(_Arguments):
    """List the service's deployments, newest first, with their commits and states."""


class ConfigurationDriftArguments(_Arguments):
    """Compare settings and names of variables: the last good deployment with the suspected one."""


class NeighbourArguments(_Stretch):
    """Read what a service next to this one writes as errors. `service`: its name, as in the evidence."""

    service: Text


class ProviderStatusArguments(_Stretch):
    """Read the status page of an outside provider, by its id, such as `stripe`."""

    provider: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,60}$")]


ARGUMENTS: Mapping[Tool, type[_Arguments]] = {
    Tool.READ_CODE: ReadCodeArguments,
    Tool.SEARCH_CODE: SearchCodeArguments,
    Tool.COMMITS: CommitsArguments,
    Tool.SHOW_COMMIT: ShowCommitArguments,
    Tool.LOGS: LogsArguments,
    Tool.HTTP: HttpArguments,
    Tool.METRICS: MetricsArguments,
    Tool.DEPLOYMENTS: DeploymentsArguments,
    Tool.CONFIGURATION_DRIFT: ConfigurationDriftArguments,
    Tool.NEIGHBOUR: NeighbourArguments,
    Tool.PROVIDER_STATUS: ProviderStatusArguments,
}


class RefusedCall(Exception):
    """A call that is not made; the message tells the model why."""


def checked(call_id: str, name: str, arguments: Any, now: datetime) -> EvidenceCall:
    """Return the call that a model asks for. Raise `RefusedCall` for one that no tool takes."""
    try:
        tool = Tool(name)
    except ValueError:
        names = ", ".join(tool.value for tool in ARGUMENTS)
        raise RefusedCall(f"There is no tool {name[:40]!r}; there are {names}.") from None
    try:
        given = ARGUMENTS[tool].model_validate(arguments if arguments is not None else {})
    except ValidationError as error:
        faults = faults_of(error, "arguments")
        raise RefusedCall(f"{tool.value} does not take these arguments: {faults}.") from None
    _check_stretch(given, now)
    values = given.model_dump(mode="json", exclude_none=True)
    return EvidenceCall(id=call_id[:100], tool=tool, arguments=values)


def _check_stretch(given: _Arguments, now: datetime) -> None:
    if isinstance(given, ReadCodeArguments) and not given.first <= given.last < given.first + MAX_LINES:
        raise RefusedCall(f"read_code reads 1 to {MAX_LINES} lines at once, `last` not before `first`.")
    if isinstance(given, _Stretch):
        start, end = given.start, given.end
        if start and end and start >= end:
            raise RefusedCall("`start` must be before `end`.")
        if any(time is not None and not now - OLDEST <= time <= now for time in (start, end)):
            raise RefusedCall(f"`start` and `end` must lie within {OLDEST.days} days before now.")


def specifications(schema: type[BaseModel], *, tools: bool) -> list[dict[str, Any]]:
    """Return the tools as a model is told of them; the last one is for its conclusion, of `schema`.

    `tools`: False leaves only that.
    """
    offered = list(ARGUMENTS.items()) if tools else []
    rows = [_specification(tool.value, arguments, arguments.__doc__ or "") for tool, arguments in offered]
    return [*rows, _specification(CONCLUDE, schema, "End the investigation with this.")]


def _specification(name: str, schema: type[BaseModel], description: str) -> dict[str, Any]:
    function = {"name": name, "description": description, "parameters": json.loads(_json_schema(schema))}
    return {"type": "function", "function": function}


@cache
def _json_schema(schema: type[BaseModel]) -> str:
    """Return it as text, of which each model that is asked gets a copy of its own."""
    return json.dumps(schema.model_json_schema())


def stretch(call: EvidenceCall, start: datetime, end: datetime) -> tuple[datetime, datetime]:
    """Return the times that a call names, else those of the window; a day at most, its end."""
    arguments = call.arguments
    first = datetime.fromisoformat(str(arguments["start"])) if "start" in arguments else None
    last = datetime.fromisoformat(str(arguments["end"])) if "end" in arguments else None
    last = last or (end if first is None or first < end else first + (end - start))
    first = first or (start if start < last else last - (end - start))
    return max(first, last - timedelta(days=1)).astimezone(UTC), last.astimezone(UTC)

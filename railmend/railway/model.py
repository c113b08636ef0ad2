"""Models that the client returns beside the contracts; they stay inside an activity."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

Series = list[float | None]


def last_value(series: Series) -> float | None:
    return next((value for value in reversed(series) if value is not None), None)


def thinned(series: Series, most: int) -> Series:
    """Return at most `most` values, the highest of equally long stretches, so that no spike is lost."""
    width = max(-(-len(series) // most), 1)
    stretches = (series[start : start + width] for start in range(0, len(series), width))
    return [max((value for value in stretch if value is not None), default=None) for stretch in stretches]


class Slice(BaseModel):
    """One service's series over a window, one value per step, None for a step without a sample.

    CPU in vCPU, memory and disk (all volumes together) in GB, `http` requests per step by class
    ("2xx" to "5xx"), `latency` in milliseconds by percentile ("p50" to "p99"). `http` is empty where no HTTP
    traffic is measured. `deaths`: of processes, by their logs, where these were searched. `requests`: some of
    before the slice and of its end, where they were read.
    """

    service_id: str
    start: datetime
    step_seconds: int
    cpu: Series = []
    cpu_limit: Series = []
    memory_gb: Series = []
    memory_limit_gb: Series = []
    disk_gb: Series = []
    disk_limit_gb: Series = []
    http: dict[str, Series] = {}
    latency: dict[str, Series] = {}
    deaths: tuple["LoggedDeath", ...] = ()
    requests: tuple[list["HttpLogLine"], list["HttpLogLine"]] | None = None

    @property
    def points(self) -> int:
        return max(map(len, (self.cpu, self.memory_gb, *self.http.values(), *self.latency.values())))

    @property
    def sampled(self) -> bool:
        """Whether there is any sample of CPU, memory or requests."""
        series = (self.cpu, self.memory_gb, *self.http.values())
        return any(value is not None for values in series for value in values)

    def newest(self, steps: int) -> "Slice":
        """Return the newest steps, all of them where there are fewer."""
        return self if self.points <= steps else self.between(self.points - steps, self.points)

    def between(self, first: int, last: int) -> "Slice":
        """Return the steps from `first` to before `last`."""
        series = {
            name: {key: each[first:last] for key, each in value.items()}
            if isinstance(value, dict)
            else value[first:last]
            for name, value in self
            if isinstance(value, (dict, list)) and not name.endswith(("limit", "limit_gb"))
        }
        start = self.start + timedelta(seconds=first * self.step_seconds)
        return self.model_copy(update={"start": start, **series})

    def requests_a_minute(self, status_class: str) -> Series:
        per_minute = 60 / self.step_seconds
        return [None if value is None else value * per_minute for value in self.http.get(status_class, [])]


class LoggedDeath(BaseModel):
    """When logs say that a process died. `loud`: on its error stream, or logged as an error."""

    at: datetime
    loud: bool


class Answer(BaseModel):
    """What is read from a node of the API, by the API's names or ours."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


def _pairs(attributes: Any) -> Any:
    """Return (key, value) of each attribute, whether it is a node of the API or already a pair."""
    return [(pair["key"], pair["value"]) if isinstance(pair, dict) else pair for pair in attributes or ()]


class LogLine(Answer):
    """`severity`: for plain text, the output stream's; `attributes`: a structured logger's (key, value)."""

    timestamp: datetime
    severity: Annotated[str, BeforeValidator(lambda severity: severity or "info")]
    message: str
    attributes: Annotated[tuple[tuple[str, str], ...], BeforeValidator(_pairs)] = ()


class HttpLogLine(Answer):
    timestamp: datetime
    method: str
    path: str
    status: int = Field(alias="httpStatus")
    duration_ms: float = Field(alias="totalDuration")


class DeploymentRecord(BaseModel):
    id: str
    status: str
    created_at: datetime
    commit: str | None = None
    commit_message: str | None = None
    commit_author: str | None = None
    branch: str | None = None
    reason: str | None = None  # why it was made or, of a skipped one, why it was skipped


Slice.model_rebuild()

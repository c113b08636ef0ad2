"""Which outside services a service uses, and what their status pages say of the window."""

from datetime import datetime
from enum import IntEnum, StrEnum

from pydantic import Field

from railmend.contracts.base import Contract


class Strength(StrEnum):
    """How sure the use is, the surest first."""

    SEEN = "seen"  # the running service resolved it, connected to it, or failed calling it
    CALLED = "called"  # shipped code imports its library, names its host or reads its variable
    DECLARED = "declared"  # a runtime dependency or a variable of the service, nothing more


class Trace(Contract):
    """One thing that betrays the use. `where`: path:line, a manifest, or what was read at run time."""

    kind: str  # package, import, host, variable, log, dns, flow
    name: str
    where: str


class UsedProvider(Contract):
    """`traces`: the strongest few. `failing_calls`: log events or look-ups that failed on its hosts."""

    provider: str
    name: str
    category: str
    strength: Strength
    traces: tuple[Trace, ...]
    failing_calls: int = 0
    failing_hosts: tuple[str, ...] = ()


class Impact(StrEnum):
    """As Atlassian Statuspage grades incidents; other pages' words are mapped to these."""

    NONE = "none"
    MAINTENANCE = "maintenance"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"

    @property
    def grave(self) -> bool:
        return self in (Impact.MAJOR, Impact.CRITICAL)


class ProviderIncident(Contract):
    """One incident of one status page. `resolved` is None while it is open."""

    provider: str
    title: str = Field(max_length=300)
    impact: Impact
    state: str
    started: datetime
    resolved: datetime | None = None
    components: tuple[str, ...] = ()
    url: str = ""
    latest: str = Field("", max_length=600)  # the newest update, in the provider's words

    @property
    def is_open(self) -> bool:
        return self.resolved is None


class Rank(IntEnum):
    """How well an incident explains the trouble; 1 is the best."""

    EXPLAINS = 1  # open and grave, and calls to this provider fail
    LIKELY = 2  # overlaps the window, and calls to this provider fail
    POSSIBLE = 3  # open and grave, the provider is used, no failing call was seen
    BACKGROUND = 4  # overlaps the window, nothing more


class MatchedIncident(Contract):
    rank: Rank
    incident: ProviderIncident
    reason: str


class ProviderFacts(Contract):
    """At most 16 KiB as JSON. `incidents`: best rank first. `unseen`: what could not be read."""

    used: tuple[UsedProvider, ...]
    incidents: tuple[MatchedIncident, ...]
    unseen: tuple[str, ...] = ()

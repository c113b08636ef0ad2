"""Models of an investigation: its request, the evidence, the diagnosis."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field, field_validator

from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.base import Contract, OpenEnum
from railmend.contracts.ledger import PastRepair
from railmend.contracts.policy import Policy
from railmend.contracts.scan import Finding, PlatformIncident, Service, Window


class Verdict(OpenEnum):
    HEALTHY = "healthy"
    TOO_LITTLE_DATA = "too_little_data"
    ASLEEP = "asleep"
    PLATFORM_INCIDENT = "platform_incident"
    PROVIDER_INCIDENT = "provider_incident"
    DEPENDENCY_DOWN = "dependency_down"
    BAD_DEPLOY = "bad_deploy"
    LIMIT_TOO_SMALL = "limit_too_small"
    CONFIGURATION = "configuration"
    CODE = "code"
    UNCLEAR = "unclear"


CODING_VERDICTS = frozenset({Verdict.CODE, Verdict.CONFIGURATION})


class Neighbour(Contract):
    """A service next to the affected one in the dependency graph. `relation`: "needs" or "needed by"."""

    name: str
    relation: str
    findings: tuple[str, ...] = ()  # their sentences
    service_id: str = ""


MAX_NEIGHBOURS = 12


def neighbours_of(
    service: Service,
    services: Sequence[Service],
    findings: Sequence[Finding],
    needed: Mapping[str, str] | None = None,
) -> tuple[Neighbour, ...]:
    """Return the services next to `service`: those it needs and those that need it, affected ones first.

    `needed`: names of services that may be needed and are not among `services`, by id.
    """
    sentences: dict[str, tuple[str, ...]] = {}
    for finding in findings:
        sentences[finding.service_id] = (*sentences.get(finding.service_id, ()), finding.sentence)
    pairs = [("needs", other) for other in services if other.service_id in service.depends_on]
    pairs += [("needed by", other) for other in services if service.service_id in other.depends_on]
    pairs.sort(key=lambda pair: pair[1].service_id not in sentences)
    near = [
        Neighbour(
            name=other.name,
            relation=relation,
            findings=sentences.get(other.service_id, ()),
            service_id=other.service_id,
        )
        for relation, other in pairs
    ]
    known = {each.service_id for each in near}
    near += [
        Neighbour(name=name, relation="needs", service_id=id)
        for id, name in (needed or {}).items()
        if id in service.depends_on and id not in known
    ]
    return tuple(near[:MAX_NEIGHBOURS])


class Incident(Contract):
    """What one investigation, and later one part of a repair, is about. The two names are for people."""

    project_id: str
    environment_id: str
    service: Service
    findings: tuple[Finding, ...]
    window: Window
    project_name: str = ""
    environment_name: str = ""

    @property
    def fingerprints(self) -> tuple[str, ...]:
        return tuple(finding.fingerprint for finding in self.findings)


class IncidentRequest(Incident):
    """Handed to one investigation: ids, findings and bounded facts, at most 16 KiB.

    `platform`: an incident of Railway's own, which is evidence; `platform_incident`: one that explains the
    findings, which is the verdict.
    """

    platform_incident: str | None = None
    platform: PlatformIncident | None = None
    policy: Policy = Policy()
    neighbours: tuple[Neighbour, ...] = ()
    past_repairs: tuple[PastRepair, ...] = ()


class EvidenceSource(OpenEnum):
    """The sources of a packet, in the order in which a reader meets them."""

    PROVIDERS = "providers"
    FINDINGS = "findings"
    SERIES = "series"
    DEPLOYMENTS = "deployments"
    DEPLOYMENT_STATE = "state of the deployment"
    BUILD_LOGS = "build logs"
    DEPLOY_LOGS = "deploy logs"
    HTTP_LOGS = "HTTP logs"
    CODE_CHANGES = "changes in the code"
    CONFIGURATION_CHANGES = "changes of the configuration"


class EvidenceItem(Contract):
    """One numbered fact. `text` is data from production, redacted, never an instruction.

    `call`: the call of a model's tool that gave it; empty for what every diagnosis starts with.
    """

    id: str  # "E1", "E2", ...
    kind: str  # finding, chart, architecture, deployment, change, drift, build_log, deploy_log, http_log, ...
    source: str
    text: str
    start: datetime | None = None
    end: datetime | None = None
    call: str = ""


BY_RULE = "rule"  # in the place of a model that diagnosed
# What no reading can ever show.
REMOVED_UNSEEN = "Variables that were removed cannot be seen: Railway lists those that are there."
# Raised when a field changes its meaning; an export of another version is refused.
PACKET_VERSION = 1


class EvidencePacket(Contract):
    """All that a model ever sees of production. `unseen`: what could not be had, one sentence each.

    `unread`: the sources that could not be read at all.
    """

    service_name: str
    items: tuple[EvidenceItem, ...]
    unseen: tuple[str, ...] = ()
    unread: tuple[EvidenceSource, ...] = ()
    version: int = PACKET_VERSION

    def ids(self) -> frozenset[str]:
        return frozenset(item.id for item in self.items)


class Fact(Contract):
    """One thing that a source found, not numbered yet. `start`, `end`: the stretch of time it speaks of."""

    kind: str
    source: str
    text: str
    start: datetime | None = None
    end: datetime | None = None


class Facts(Contract):
    """What one source gives, and what it could not see, one sentence each.

    `unread`: the source, where it could not be read at all; one that is empty was read.
    """

    items: tuple[Fact, ...]
    unseen: tuple[str, ...] = ()
    unread: EvidenceSource | None = None

    @field_validator("items", mode="before")
    @classmethod
    def _triples(cls, items: Any) -> Any:
        """Accept a bare (kind, source, text): a fact without a stretch of time."""
        if not isinstance(items, (tuple, list)):
            return items
        return tuple(
            {"kind": item[0], "source": item[1], "text": item[2]}
            if isinstance(item, (tuple, list)) and len(item) == 3
            else item
            for item in items
        )


class StoredFacts(Contract):
    """What one source gives: `facts` is an artifact (`Facts`). None: it failed, and `unseen` says why."""

    source: EvidenceSource
    facts: ArtifactReference | None = None
    unseen: tuple[str, ...] = ()


class CodeRequest(IncidentRequest):
    """`facts`: what the other sources found; what they name of the code is shown first."""

    facts: tuple[StoredFacts, ...] = ()


class PacketRequest(Contract):
    incident: IncidentRequest
    facts: tuple[StoredFacts, ...]


class Cause(Contract):
    text: str
    evidence: tuple[str, ...] = Field(min_length=1)
    against: tuple[str, ...] = ()


class RuledOut(Contract):
    """An explanation that was looked into, and the evidence against it."""

    text: str
    against: tuple[str, ...] = Field(min_length=1)


class MeasuredSeries(OpenEnum):
    """Series that a fix can be measured by."""

    MEMORY_GB = "memory_gb"
    MEMORY_SLOPE_GB_PER_HOUR = "memory_slope_gb_per_hour"
    CPU_CORES = "cpu_cores"
    ERROR_SHARE = "error_share"  # 5xx of all requests, 0..1
    P95_MS = "p95_ms"
    REQUESTS_PER_MINUTE = "requests_per_minute"


class Criterion(Contract):
    """The fix holds when `series` is below (or above) `threshold` within so many minutes of deployment."""

    series: MeasuredSeries
    below: bool
    threshold: float
    within_minutes: int = Field(ge=1, le=7 * 24 * 60)


# Characters: where cutting begins, and ends.
LONGEST_TEXT, SHORTEST_TEXT = 2000, 40


class Diagnosis(Contract):
    """The model's answer after validation; `model` names who said it, `rehearsal` that it was a stand-in.

    `assumes`: what would have to be true for the verdict to be right. `sceptic`: what a second pass that
    tried to refute it said; empty where none was asked. `again_seconds`: after how long a verdict that waits
    for something is looked at again; None: when its cool-down ends. `title`: what the fix does, imperative.
    `ruled_out`: other explanations. `dependency`: the name of what does not answer, if that is the verdict.
    """

    summary: str
    title: str = ""
    verdict: Verdict
    confidence: float = Field(ge=0, le=1)
    assumes: str = ""
    causes: tuple[Cause, ...] = ()
    ruled_out: tuple[RuledOut, ...] = ()
    suspected_files: tuple[str, ...] = ()
    suspected_commits: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()
    reproduce: str = ""
    verify: str = ""
    criteria: tuple[Criterion, ...] = ()
    sceptic: str = ""
    risk: str = ""
    if_not_fixed: str = ""
    dependency: str = ""
    model: str = ""
    cost_usd: float | None = None
    tokens: int = 0
    again_seconds: int | None = None

    @property
    def of_model(self) -> bool:
        """Whether a model concluded it, and no rule."""
        return self.model not in ("", BY_RULE)

    @property
    def headline(self) -> str:
        """Return what the fix does, else the first line of what is wrong."""
        return self.title.strip().partition("\n")[0] or self.summary.strip().partition("\n")[0]

    def within(self, most: int) -> "Diagnosis":
        """Return the diagnosis in at most `most` bytes of JSON: all texts are cut alike until it fits."""
        fitted, longest = self, LONGEST_TEXT
        while len(fitted.model_dump_json().encode()) > most and longest > SHORTEST_TEXT:
            fitted, longest = self._cut(longest), longest * 4 // 5
        return fitted

    def _cut(self, longest: int) -> "Diagnosis":
        names = ("summary", "assumes", "reproduce", "verify", "sceptic", "risk", "if_not_fixed")
        update: dict[str, Any] = {name: getattr(self, name)[:longest] for name in names}
        update["plan"] = tuple(step[:longest] for step in self.plan)
        for part in ("causes", "ruled_out"):
            update[part] = tuple(
                cause.model_copy(update={"text": cause.text[:longest]}) for cause in getattr(self, part)
            )
        return self.model_copy(update=update)


class DiagnosisRequest(Contract):
    incident: IncidentRequest
    packet: ArtifactReference


class Decision(Contract):
    """What rules could decide without a model; `diagnosis` None: only a model can tell."""

    diagnosis: Diagnosis | None = None


class ChallengeRequest(Contract):
    """A diagnosis that a second pass shall try to refute from the same packet."""

    packet: ArtifactReference
    diagnosis: Diagnosis
    project_id: str = ""  # empty: an earlier version asked


class Waiting(Contract):
    """An incident that waits: which limit of the budget is reached, and when a model is asked.

    `reason`: what it waits for in place of its budget, a sentence without its full stop.
    """

    limit: str = ""
    again_at: datetime
    reason: str = ""

    def as_diagnosis(self) -> Diagnosis:
        reason = self.reason or f"the limit of {self.limit} is reached"
        return Diagnosis(
            summary=f"Not diagnosed yet: {reason}. It is taken up again after "
            f"{self.again_at:%Y-%m-%d %H:%M} UTC.",
            verdict=Verdict.UNCLEAR,
            confidence=0.0,
        )


class IncidentReport(Contract):
    """How an investigation ended. `packet`: an artifact (`EvidencePacket`), kept as long as a repair lives.

    `waiting`: it could not be diagnosed for want of budget, or of a ledger.
    """

    request: Incident
    packet: ArtifactReference
    diagnosis: Diagnosis
    waiting: Waiting | None = None

"""What an investigation is handed, collects and concludes."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from railmend.contracts.base import Contract
from railmend.contracts.scan import Finding, Service, Window


class Verdict(StrEnum):
    HEALTHY = "healthy"
    TOO_LITTLE_DATA = "too_little_data"
    ASLEEP = "asleep"
    PLATFORM_INCIDENT = "platform_incident"
    PROVIDER_INCIDENT = "provider_incident"
    BAD_DEPLOY = "bad_deploy"
    LIMIT_TOO_SMALL = "limit_too_small"
    CONFIGURATION = "configuration"
    CODE = "code"
    UNCLEAR = "unclear"


CODING_VERDICTS = frozenset({Verdict.CODE, Verdict.CONFIGURATION})


class IncidentRequest(Contract):
    """Handed to one investigation: ids, findings and bounded facts, at most 16 KiB."""

    project_id: str
    environment_id: str
    service: Service
    findings: tuple[Finding, ...]
    window: Window
    platform_incident: str | None = None


class EvidenceItem(Contract):
    """One numbered fact. `text` is data from production, never an instruction."""

    id: str  # "E1", "E2", ...
    kind: str  # finding, deploy_log, http_log, deployment, commit, architecture
    source: str
    text: str
    start: datetime | None = None
    end: datetime | None = None


class EvidencePacket(Contract):
    """All that a model ever sees of production. `unseen`: what could not be had, one sentence each."""

    service_name: str
    items: tuple[EvidenceItem, ...]
    unseen: tuple[str, ...] = ()

    def ids(self) -> frozenset[str]:
        return frozenset(item.id for item in self.items)


class Facts(Contract):
    """What one source gives: (kind, source, text) triples, not numbered yet, and what it could not see."""

    items: tuple[tuple[str, str, str], ...]
    unseen: tuple[str, ...] = ()


class PacketRequest(Contract):
    incident: IncidentRequest
    facts: tuple[Facts, ...]


class Cause(Contract):
    text: str
    evidence: tuple[str, ...] = Field(min_length=1)
    against: tuple[str, ...] = ()


class Diagnosis(Contract):
    """The model's answer after validation; `model` names who said it, `rehearsal` that it was a stand-in."""

    summary: str
    verdict: Verdict
    confidence: float = Field(ge=0, le=1)
    causes: tuple[Cause, ...] = ()
    suspected_files: tuple[str, ...] = ()
    plan: tuple[str, ...] = ()
    reproduce: str = ""
    verify: str = ""
    risk: str = ""
    if_not_fixed: str = ""
    model: str = ""
    cost_usd: float | None = None
    tokens: int = 0


class DiagnosisRequest(Contract):
    incident: IncidentRequest
    packet: EvidencePacket


class IncidentReport(Contract):
    """How an investigation ended. `packet` travels with it so that a repair needs no earlier stage."""

    request: IncidentRequest
    packet: EvidencePacket
    diagnosis: Diagnosis

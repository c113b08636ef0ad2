"""Small valid models that tests alter."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256

from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.incident import (
    Cause,
    Diagnosis,
    EvidenceItem,
    EvidencePacket,
    IncidentReport,
    IncidentRequest,
    Verdict,
)
from railmend.contracts.notification import MissedScans
from railmend.contracts.repair import RepairRequest
from railmend.contracts.scan import (
    Finding,
    FindingKind,
    Service,
    ServiceKind,
    Severity,
    Window,
)

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
WINDOW = Window(start=NOW - timedelta(hours=3), end=NOW, step_seconds=60)


def service(name: str = "checkout", **changes: object) -> Service:
    base = Service(
        service_id=f"id-{name}",
        name=name,
        kind=ServiceKind.WEB,
        repository=f"acme/{name}",
        branch="main",
        active_deployment_id="d1",
        latest_deployment_id="d1",
        latest_status="SUCCESS",
        commit="c" * 40,
    )
    return base.model_copy(update=changes)


def finding(name: str = "checkout", kind: FindingKind = FindingKind.MEMORY_LEAK) -> Finding:
    return Finding(
        environment_id="env",
        service_id=f"id-{name}",
        service_name=name,
        kind=kind,
        severity=Severity.WARNING,
        value=1.0,
        threshold=0.0,
        unit="GB/h",
        onset=NOW,
        confidence=0.9,
        rule=f"{kind.value}.slope",
        sentence=f"{name} is in trouble.",
    )


def incident(name: str = "checkout", **changes: object) -> IncidentRequest:
    base = IncidentRequest(
        project_id="project",
        environment_id="env",
        service=service(name),
        findings=(finding(name),),
        window=WINDOW,
        project_name="shop",
        environment_name="production",
    )
    return base.model_copy(update=changes)


def packet(name: str = "checkout") -> EvidencePacket:
    finding = EvidenceItem(id="E1", kind="finding", source="memory_leak", text="memory rises")
    code = EvidenceItem(id="E2", kind="code", source="app.py", text="CACHE[request.id] = answer")
    return EvidencePacket(service_name=name, items=(finding, code))


def packet_reference(name: str = "checkout") -> ArtifactReference:
    content = packet(name).model_dump_json().encode()
    return ArtifactReference(sha256=sha256(content).hexdigest(), size=len(content))


def diagnosis(verdict: Verdict = Verdict.CODE) -> Diagnosis:
    return Diagnosis(
        summary="A cache is never emptied.",
        verdict=verdict,
        confidence=0.9,
        causes=(Cause(text="The cache grows with each request.", evidence=("E1",)),),
        plan=("Bound the cache.",),
        verify="Memory stays flat for an hour.",
        model="test",
    )


def report(name: str = "checkout", verdict: Verdict = Verdict.CODE) -> IncidentReport:
    return IncidentReport(request=incident(name), packet=packet_reference(name), diagnosis=diagnosis(verdict))


def missed_scans() -> MissedScans:
    return MissedScans(
        project="shop",
        environment_id="env",
        count=3,
        skipped=False,
        since=NOW,
        reason="The token is refused.",
        workflow_id="scan/env/scheduled",
    )


def repair(name: str = "checkout") -> RepairRequest:
    return RepairRequest(
        repository=f"acme/{name}",
        key="0123456789ab",
        base_branch="main",
        commit=None,
        root_directories=(),
        incidents=(report(name),),
        autonomy=Autonomy.PULL_REQUEST,
        requested_at=NOW,
        project_id="project",
    )

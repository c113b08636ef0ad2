"""Decide by rule, without a model, what rules can decide; each diagnosis has its reason."""

from collections.abc import Callable
from datetime import timedelta

from railmend.contracts.incident import (
    BY_RULE,
    Cause,
    Diagnosis,
    EvidencePacket,
    EvidenceSource,
    IncidentRequest,
    Verdict,
)
from railmend.contracts.scan import FindingKind

# An item of this kind names a provider that is down while calls to it fail.
PROVIDER_OUTAGE = "provider_outage"
# Shares and percentiles need requests. With fewer than these the 95 % interval of a share of one half is
# wider than 30 points to either side (1.96 * sqrt(0.25 / 10)): too uncertain to change code for.
FEW_REQUESTS = 10
NEEDS_REQUESTS = frozenset({FindingKind.ERROR_RATE, FindingKind.CLIENT_ERRORS, FindingKind.LATENCY})
FAILED = frozenset({"FAILED", "CRASHED"})
IN_PROGRESS = frozenset({"BUILDING", "DEPLOYING", "INITIALIZING", "NEEDS_APPROVAL", "QUEUED", "WAITING"})
# A verdict that waits is looked at again: when a deployment should serve, when an incident may have ended
# (status pages change within minutes), when a quiet service may have had ten times the requests, or when what
# could not be read may be back.
DEPLOYMENT_PAUSE = timedelta(minutes=5)
INCIDENT_PAUSE = timedelta(minutes=15)
DATA_PAUSE = timedelta(minutes=30)
READING_PAUSE = timedelta(minutes=30)
# What a verdict about code rests on, by kind of fault: a model that does not see it guesses.
ALWAYS_NEEDED = frozenset(
    {EvidenceSource.FINDINGS, EvidenceSource.DEPLOYMENTS, EvidenceSource.CONFIGURATION_CHANGES}
)
RUNNING = frozenset({EvidenceSource.SERIES, EvidenceSource.DEPLOY_LOGS, EvidenceSource.CODE_CHANGES})
REQUESTS = RUNNING | {EvidenceSource.HTTP_LOGS}
STARTING = frozenset(
    {EvidenceSource.DEPLOYMENT_STATE, EvidenceSource.DEPLOY_LOGS, EvidenceSource.CODE_CHANGES}
)
NEEDED = {
    FindingKind.ERROR_RATE: REQUESTS,
    FindingKind.CLIENT_ERRORS: REQUESTS,
    FindingKind.LATENCY: REQUESTS,
    FindingKind.TRAFFIC_DROP: REQUESTS,
    FindingKind.CRASH_LOOP: STARTING,
    FindingKind.OUTAGE: STARTING,
    FindingKind.RESTART: STARTING,
    FindingKind.CRON_FAILED: STARTING,
    FindingKind.DEPLOYMENT_FAILED: STARTING | {EvidenceSource.BUILD_LOGS},
}
# The assessment's rule for memory that is at its limit although it never rose.
STEADY_AT_LIMIT = f"{FindingKind.MEMORY_SATURATION.value}.flat"


def decide_by_rule(incident: IncidentRequest, packet: EvidencePacket) -> Diagnosis | None:
    """Return the diagnosis of the first rule that applies, from outside the service to the service itself.

    Return None if only a model can tell.
    """
    diagnoses = (rule(incident, packet) for rule in RULES)
    return next((diagnosis for diagnosis in diagnoses if diagnosis is not None), None)


def _platform(incident: IncidentRequest, _: EvidencePacket) -> Diagnosis | None:
    if not incident.platform_incident:
        return None
    return _decided(
        Verdict.PLATFORM_INCIDENT,
        f"Railway reports an incident of its own ({incident.platform_incident}): wait it out.",
        again=INCIDENT_PAUSE,
    )


def _provider(incident: IncidentRequest, packet: EvidencePacket) -> Diagnosis | None:
    outage = next((item for item in packet.items if item.kind == PROVIDER_OUTAGE), None)
    if outage is None:
        return None
    return _decided(
        Verdict.PROVIDER_INCIDENT,
        f"A provider that {incident.service.name} uses is down and its calls fail ({outage.id}): wait "
        f"it out. {outage.text.splitlines()[0][:300]}",
        (outage.id,),
        again=INCIDENT_PAUSE,
    )


def _asleep(incident: IncidentRequest, _: EvidencePacket) -> Diagnosis | None:
    if not incident.service.asleep:
        return None
    return _decided(Verdict.ASLEEP, f"{incident.service.name} is asleep: nothing is wrong with it.")


def _no_evidence(incident: IncidentRequest, packet: EvidencePacket) -> Diagnosis | None:
    if incident.findings and packet.items:
        return None
    if incident.findings and packet.unseen:
        why = " ".join(packet.unseen)[:600]
        return _decided(
            Verdict.UNCLEAR, f"No evidence could be had, so nothing is concluded. {why}", again=READING_PAUSE
        )
    return _decided(Verdict.TOO_LITTLE_DATA, "There is too little data for a verdict.", again=DATA_PAUSE)


def _few_requests(incident: IncidentRequest, _: EvidencePacket) -> Diagnosis | None:
    """Only if all findings are of requests."""
    counts = [finding.requests if finding.kind in NEEDS_REQUESTS else None for finding in incident.findings]
    known_counts = [count for count in counts if count is not None]
    if len(known_counts) < len(counts) or max(known_counts) >= FEW_REQUESTS:
        return None
    return _decided(
        Verdict.TOO_LITTLE_DATA,
        f"{incident.service.name} had {max(known_counts)} requests in the window; fewer than "
        f"{FEW_REQUESTS} prove nothing. It will be checked again; the failed ones may show why.",
        again=DATA_PAUSE,
    )


def _no_live_deployment(incident: IncidentRequest, _: EvidencePacket) -> Diagnosis | None:
    service = incident.service
    if service.active_deployment_id is not None:
        return None
    if service.latest_status in IN_PROGRESS:
        return _decided(
            Verdict.TOO_LITTLE_DATA,
            f"A deployment of {service.name} is under way ({service.latest_status}): it is looked at again "
            "when it should serve.",
            again=DEPLOYMENT_PAUSE,
        )
    state = f" (the newest is {service.latest_status})" if service.latest_status else ""
    return _decided(
        Verdict.BAD_DEPLOY,
        f"No deployment of {service.name} serves{state}: look at its build and its start, or roll back.",
    )


def _newest_failed(incident: IncidentRequest, _: EvidencePacket) -> Diagnosis | None:
    service = incident.service
    if service.latest_status not in FAILED or service.latest_deployment_id == service.active_deployment_id:
        return None
    return _decided(
        Verdict.BAD_DEPLOY,
        f"The newest deployment of {service.name} is {service.latest_status}; an older one still serves. "
        "Roll back or fix the build.",
    )


def _limit(incident: IncidentRequest, _: EvidencePacket) -> Diagnosis | None:
    """Memory at its limit that does not rise, and nothing else: the service needs more of it."""
    if any(finding.rule != STEADY_AT_LIMIT for finding in incident.findings):
        return None
    return _decided(
        Verdict.LIMIT_TOO_SMALL,
        f"{incident.findings[0].sentence} It did not rise, so nothing leaks: raise the memory limit.",
    )


def _no_repository(incident: IncidentRequest, _: EvidencePacket) -> Diagnosis | None:
    service = incident.service
    if service.repository is not None:
        return None
    made = "has no repository"
    if service.image:
        made = f"runs the image {service.image}, so there is no repository to fix"
    return _decided(Verdict.UNCLEAR, f"{service.name} {made}: a person must look.")


def _unread(incident: IncidentRequest, packet: EvidencePacket) -> Diagnosis | None:
    """Ask no model that lacks what a verdict about code rests on: it would be guessing."""
    needed = ALWAYS_NEEDED.union(*(NEEDED.get(finding.kind, RUNNING) for finding in incident.findings))
    lacking = [source.value for source in packet.unread if source in needed]
    if not lacking:
        return None
    return _decided(
        Verdict.UNCLEAR,
        f"{incident.service.name} is not diagnosed, because the {', '.join(lacking)} could not be read, and "
        "a verdict about its code needs them. They are read again.",
        again=READING_PAUSE,
    )


def _decided(
    verdict: Verdict, reason: str, evidence: tuple[str, ...] = (), again: timedelta | None = None
) -> Diagnosis:
    return Diagnosis(
        summary=reason,
        verdict=verdict,
        confidence=1.0,
        causes=(Cause(text=reason, evidence=evidence),) if evidence else (),
        model=BY_RULE,
        again_seconds=int(again.total_seconds()) if again else None,
    )


RULES: tuple[Callable[[IncidentRequest, EvidencePacket], Diagnosis | None], ...] = (
    _platform,
    _provider,
    _asleep,
    _no_evidence,
    _few_requests,
    _no_live_deployment,
    _newest_failed,
    _limit,
    _no_repository,
    _unread,
)

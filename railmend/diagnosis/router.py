"""What can be decided by rule is decided by rule, with its reason and without a model."""

from collections.abc import Callable

from railmend.contracts.incident import Cause, Diagnosis, EvidencePacket, IncidentRequest, Verdict
from railmend.contracts.scan import FindingKind, Service

BY_RULE = "rule"
# An item of this kind names a provider that is down while the calls to it fail.
PROVIDER_OUTAGE = "provider_outage"
# Shares and percentiles are of requests. Of fewer than these the 95 % interval of a share of one half is
# wider than 30 points to either side (1.96 * sqrt(0.25 / 10)): too wide to change code for.
FEW_REQUESTS = 10
OF_REQUESTS = frozenset({FindingKind.ERROR_RATE, FindingKind.CLIENT_ERRORS, FindingKind.LATENCY})
FAILED = frozenset({"FAILED", "CRASHED"})
UNDER_WAY = frozenset({"BUILDING", "DEPLOYING", "INITIALIZING", "NEEDS_APPROVAL", "QUEUED", "WAITING"})
# The assessment's rule for memory that never rose, and lies at its limit all the same.
STEADY_AT_LIMIT = f"{FindingKind.MEMORY_SATURATION.value}.flat"


def decide_by_rule(incident: IncidentRequest, packet: EvidencePacket) -> Diagnosis | None:
    """The first rule that can tell: from what is outside of the service to the service itself.

    None: only a model can tell.
    """
    decisions = (rule(incident, packet) for rule in RULES)
    return next((one for one in decisions if one is not None), None)


def _platform(incident: IncidentRequest, _: EvidencePacket) -> Diagnosis | None:
    if not incident.platform_incident:
        return None
    return _decided(
        Verdict.PLATFORM_INCIDENT,
        f"Railway reports an incident of its own ({incident.platform_incident}): wait it out.",
    )


def _provider(incident: IncidentRequest, packet: EvidencePacket) -> Diagnosis | None:
    found = next((item for item in packet.items if item.kind == PROVIDER_OUTAGE), None)
    if found is None:
        return None
    return _decided(
        Verdict.PROVIDER_INCIDENT,
        f"A provider that {incident.service.name} uses is down and its calls fail ({found.id}): wait it out. "
        f"{found.text.splitlines()[0][:300]}",
        (found.id,),
    )


def _asleep(incident: IncidentRequest, _: EvidencePacket) -> Diagnosis | None:
    if not incident.service.asleep:
        return None
    return _decided(Verdict.ASLEEP, f"{incident.service.name} is asleep: nothing is wrong with it.")


def _nothing_seen(incident: IncidentRequest, packet: EvidencePacket) -> Diagnosis | None:
    if incident.findings and packet.items:
        return None
    return _decided(Verdict.TOO_LITTLE_DATA, "There is too little data for a verdict.")


def _few_requests(incident: IncidentRequest, _: EvidencePacket) -> Diagnosis | None:
    """Only where nothing but requests speaks of trouble."""
    counts = [one.requests if one.kind in OF_REQUESTS else None for one in incident.findings]
    known = [count for count in counts if count is not None]
    if len(known) < len(counts) or max(known) >= FEW_REQUESTS:
        return None
    return _decided(
        Verdict.TOO_LITTLE_DATA,
        f"{incident.service.name} had {max(known)} requests in the window, and fewer than {FEW_REQUESTS} "
        "prove nothing: look again when there are more, or look at those that failed.",
    )


def _nothing_serves(incident: IncidentRequest, _: EvidencePacket) -> Diagnosis | None:
    service = incident.service
    if service.active_deployment_id is not None:
        return None
    if service.latest_status in UNDER_WAY:
        return _decided(
            Verdict.TOO_LITTLE_DATA,
            f"A deployment of {service.name} is under way ({service.latest_status}): look again when it "
            "serves.",
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
        "Roll back or mend the build.",
    )


def _limit(incident: IncidentRequest, _: EvidencePacket) -> Diagnosis | None:
    """Memory at its limit that does not rise, and nothing else: what the service holds needs more room."""
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
    return _decided(Verdict.UNCLEAR, f"{service.name} {_made_from(service)}: a person must look.")


def _made_from(service: Service) -> str:
    if service.image:
        return f"runs the image {service.image}, so there is no repository to mend"
    return "has no repository"


def _decided(verdict: Verdict, reason: str, evidence: tuple[str, ...] = ()) -> Diagnosis:
    causes = (Cause(text=reason, evidence=evidence),) if evidence else ()
    return Diagnosis(summary=reason, verdict=verdict, confidence=1.0, causes=causes, model=BY_RULE)


RULES: tuple[Callable[[IncidentRequest, EvidencePacket], Diagnosis | None], ...] = (
    _platform,
    _provider,
    _asleep,
    _nothing_seen,
    _few_requests,
    _nothing_serves,
    _newest_failed,
    _limit,
    _no_repository,
)

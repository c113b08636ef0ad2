"""What can be decided by rule is decided by rule, with its reason and without a model."""

from railmend.contracts.incident import Cause, Diagnosis, EvidencePacket, IncidentRequest, Verdict

BY_RULE = "rule"
# An item of this kind names a provider that is down while the calls to it fail.
PROVIDER_OUTAGE = "provider_outage"


def decide_by_rule(incident: IncidentRequest, packet: EvidencePacket) -> Diagnosis | None:
    """None: only a model can tell."""
    service = incident.service
    if incident.platform_incident:
        return _decided(
            Verdict.PLATFORM_INCIDENT,
            f"Railway reports an incident of its own ({incident.platform_incident}): wait it out.",
        )
    provider = next((item for item in packet.items if item.kind == PROVIDER_OUTAGE), None)
    if provider is not None:
        return _decided(
            Verdict.PROVIDER_INCIDENT,
            f"A provider that {service.name} uses is down and its calls fail ({provider.id}): wait it out. "
            f"{provider.text.splitlines()[0][:300]}",
            (provider.id,),
        )
    if service.asleep:
        return _decided(Verdict.ASLEEP, f"{service.name} is asleep: nothing is wrong with it.")
    if not incident.findings or not packet.items:
        return _decided(Verdict.TOO_LITTLE_DATA, "There is too little data for a verdict.")
    if service.active_deployment_id is None:
        return _decided(
            Verdict.BAD_DEPLOY, f"No deployment of {service.name} serves: look at its build, or roll back."
        )
    newest_failed = service.latest_status in ("FAILED", "CRASHED")
    if newest_failed and service.latest_deployment_id != service.active_deployment_id:
        return _decided(
            Verdict.BAD_DEPLOY,
            f"The newest deployment of {service.name} is {service.latest_status}; an older one still serves. "
            "Roll back or mend the build.",
        )
    if service.repository is None:
        return _decided(Verdict.UNCLEAR, f"{service.name} has no repository: a person must look.")
    return None


def _decided(verdict: Verdict, reason: str, evidence: tuple[str, ...] = ()) -> Diagnosis:
    causes = (Cause(text=reason, evidence=evidence),) if evidence else ()
    return Diagnosis(summary=reason, verdict=verdict, confidence=1.0, causes=causes, model=BY_RULE)

"""Facts of what was measured, and the evidence packet made of all facts."""

from temporalio import activity

from railmend.contracts.incident import EvidencePacket, Facts, IncidentRequest, PacketRequest
from railmend.evidence.incident_facts import finding_facts, redaction_key
from railmend.evidence.packet import number


class EvidenceActivities:
    """Pure: no outside system is asked."""

    @activity.defn
    async def finding_facts(self, request: IncidentRequest) -> Facts:
        """Return what was measured, the service, its neighbours and what was repaired before."""
        return Facts(items=finding_facts(request))

    @activity.defn
    async def build_packet(self, request: PacketRequest) -> EvidencePacket:
        """Give the facts their numbers, in the order of their sources, redacted and within the budget."""
        incident = request.incident
        return number(incident.service.name, request.facts, redaction_key=redaction_key(incident))

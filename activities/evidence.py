"""Facts of what was measured, and the evidence packet made of all facts."""

from temporalio import activity

from activities.by_reference import by_reference
from activities.errors import translated
from railmend.artifacts import ArtifactGone, ArtifactStore
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.incident import Facts, IncidentRequest, PacketRequest, StoredFacts
from railmend.evidence.incident_facts import finding_facts, redaction_key
from railmend.evidence.packet import number


class EvidenceActivities:
    """No outside system is asked, but where artifacts are kept."""

    def __init__(self, artifacts: ArtifactStore) -> None:
        self.artifacts = artifacts

    @activity.defn
    @by_reference
    async def finding_facts(self, request: IncidentRequest) -> Facts:
        """Return what was measured, the service, its neighbours and what was repaired before."""
        return Facts(items=finding_facts(request))

    @activity.defn
    async def build_packet(self, request: PacketRequest) -> ArtifactReference:
        """Give the facts their numbers, in the order of their sources, redacted and within the budget.

        Return the packet, stored. Facts that are gone are named as unseen.
        """
        incident = request.incident
        with translated():
            facts = [await self._facts(stored) for stored in request.facts]
            packet = number(incident.service.name, facts, redaction_key=redaction_key(incident))
            return await self.artifacts.put_model(packet)

    async def _facts(self, stored: StoredFacts) -> Facts:
        if stored.facts is None:
            return Facts(items=(), unseen=stored.unseen, unread=stored.source)
        try:
            return await self.artifacts.get_model(stored.facts, Facts)
        except ArtifactGone as error:
            unseen = f"The {stored.source.value} were read, and are lost. {error}"
            return Facts(items=(), unseen=(unseen,), unread=stored.source)

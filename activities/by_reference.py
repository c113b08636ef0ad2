"""Evidence that does not travel: what a source found is stored, and made one numbered packet."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import structlog
from temporalio import activity

from activities.errors import translated
from activities.heartbeat import working
from railmend.artifacts import ArtifactGone, ArtifactStore
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.incident import EvidencePacket, Facts, IncidentRequest, PacketRequest, StoredFacts
from railmend.contracts.measurement import WindowMetrics
from railmend.contracts.repair import PublishRequest
from railmend.evidence.incident_facts import finding_facts, redaction_key
from railmend.evidence.packet import number
from railmend.publishing.text import PublishedMaterial

log = structlog.get_logger(__name__)
RequestT = TypeVar("RequestT", bound=IncidentRequest)


async def packet_or_none(artifacts: ArtifactStore, reference: ArtifactReference) -> EvidencePacket | None:
    """Return the packet; None where it is gone, which must not end a repair. Raise `ArtifactError`."""
    try:
        return await artifacts.get_model(reference, EvidencePacket)
    except ArtifactGone as error:
        log.warning("evidence is gone", reason=str(error))
        return None


async def material_of(publish: PublishRequest, artifacts: ArtifactStore) -> PublishedMaterial:
    """Return evidence and charts of a repair; None for what is gone. Raise `ArtifactError`."""
    packets = [await packet_or_none(artifacts, incident.packet) for incident in publish.repair.incidents]
    measured: list[WindowMetrics] = []
    with suppress(ArtifactGone):  # a pull request can do without charts
        measured = [await artifacts.get_model(each, WindowMetrics) for each in publish.measured]
    return PublishedMaterial(packets=tuple(packets), measured=tuple(measured))


def by_reference(
    source: Callable[[Any, RequestT], Awaitable[Facts]],
) -> Callable[[Any, RequestT], Awaitable[ArtifactReference]]:
    """Store the facts that a source's method returns, and return their reference; below `activity.defn`.

    The method's class has an attribute `artifacts`.
    """

    # Temporal takes a first parameter with an annotation for the request.
    async def keep(self, request: RequestT) -> ArtifactReference:  # type: ignore[no-untyped-def]
        facts = await source(self, request)
        async with working():
            reference: ArtifactReference = await self.artifacts.put_model(facts)
        return reference

    keep.__name__, keep.__qualname__, keep.__doc__ = source.__name__, source.__qualname__, source.__doc__
    keep.__annotations__["request"] = source.__annotations__["request"]
    return keep


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

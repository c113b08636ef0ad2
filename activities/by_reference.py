"""Evidence that does not travel: what a source found is stored, and its reference handed on."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import structlog

from activities.heartbeat import working
from railmend.artifacts import ArtifactGone, ArtifactStore
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.incident import EvidencePacket, Facts, IncidentRequest
from railmend.contracts.measurement import WindowMetrics
from railmend.contracts.repair import PublishRequest
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

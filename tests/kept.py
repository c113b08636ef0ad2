"""Artifacts in memory, and reading back what an activity stored."""

from obstore.store import MemoryStore

from railmend.artifacts import ArtifactStore
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.incident import Facts


def memory_store() -> ArtifactStore:
    return ArtifactStore(MemoryStore(), "memory")


async def facts_of(artifacts: ArtifactStore, reference: ArtifactReference) -> Facts:
    return await artifacts.get_model(reference, Facts)

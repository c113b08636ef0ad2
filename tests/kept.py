"""Artifacts in memory, and reading back what an activity stored."""

from obstore.store import MemoryStore

from railmend.artifacts import ArtifactStore
from railmend.contracts.incident import Facts, StoredFacts


def memory_store() -> ArtifactStore:
    return ArtifactStore(MemoryStore(), "memory")


async def facts_of(artifacts: ArtifactStore, stored: StoredFacts) -> Facts:
    assert stored.facts is not None, stored.unseen
    return await artifacts.get_model(stored.facts, Facts)

"""A reference to what is too large to travel."""

from railmend.contracts.base import Contract


class ArtifactReference(Contract):
    """Names an artifact by its content: `sha256` of its plain text (hex), `size` in bytes."""

    sha256: str
    size: int

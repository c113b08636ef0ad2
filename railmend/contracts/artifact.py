"""A reference to what is too large to travel."""

from pydantic import Field

from railmend.contracts.base import Contract


class ArtifactReference(Contract):
    """Names an artifact by its content: `sha256` of its plain text (hex), `size` in bytes."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)

"""The base of every model that crosses a border."""

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """Frozen, and strict about unknown keys, so that two versions that disagree fail loudly and early."""

    model_config = ConfigDict(frozen=True, extra="forbid")

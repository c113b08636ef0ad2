"""The base of every model that Temporal stores."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """A frozen model that refuses unknown keys, in copies too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a changed copy. Raise `TypeError` for a name that is no field, which pydantic takes."""
        if unknown := set(update or ()) - set(type(self).model_fields):
            raise TypeError(f"{type(self).__name__} has no field {', '.join(sorted(unknown))}.")
        return super().model_copy(update=update, deep=deep)

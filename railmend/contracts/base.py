"""The base of every model and enum that Temporal stores.

What is stored may have been written by a newer version: it is decoded within `stored`, where names and values
that are not known here are kept, and written back. Everywhere else (code, settings, answers of models) they
are refused.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import InitErrorDetails

_decoding_stored: ContextVar[bool] = ContextVar("decoding_stored", default=False)


@contextmanager
def stored() -> Iterator[None]:
    """Keep what is unknown in the models that are validated within."""
    token = _decoding_stored.set(True)
    try:
        yield
    finally:
        _decoding_stored.reset(token)


class Contract(BaseModel):
    """A frozen model that keeps unknown keys of stored data, and refuses them from anywhere else."""

    # Built when it is first used: a command uses few of the models that it imports.
    model_config = ConfigDict(frozen=True, extra="allow", defer_build=True)

    def model_post_init(self, context: Any, /) -> None:
        """Refuse unknown keys, unless stored data is decoded; an instance that is handed on keeps its own."""
        if self.model_extra and not _decoding_stored.get():
            errors = [
                InitErrorDetails(type="extra_forbidden", loc=(name,), input=value)
                for name, value in self.model_extra.items()
            ]
            raise ValidationError.from_exception_data(type(self).__name__, errors)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a changed copy. Raise `TypeError` for a name that is no field, which pydantic takes."""
        if unknown := set(update or ()) - set(type(self).model_fields):
            raise TypeError(f"{type(self).__name__} has no field {', '.join(sorted(unknown))}.")
        return super().model_copy(update=update, deep=deep)


class OpenEnum(StrEnum):
    """An enum to which later versions add: an unknown stored value is kept as it is, and no known member.

    So `is`, `in` and a table's default treat it as something else; a table is never read without a default.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not (_decoding_stored.get() and isinstance(value, str)):
            return None
        unknown = str.__new__(cls, value)
        unknown._name_, unknown._value_ = "OTHER", value
        return unknown

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    @property
    def known(self) -> bool:
        return self._name_ in type(self).__members__

"""Which methods of an object are activities: a worker serves all of them, so that none is forgotten."""

from collections.abc import Callable
from typing import Any

Activity = Callable[..., Any]
# Set by `temporalio.activity.defn`.
MARK = "__temporal_activity_definition"


def activity_methods(*owners: object) -> list[Activity]:
    """Return the bound methods of `owners` that are decorated with `activity.defn`."""
    return [
        getattr(owner, name)
        for owner in owners
        for name, member in vars(type(owner)).items()
        if hasattr(member, MARK)
    ]

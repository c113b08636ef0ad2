"""Settings of the guard and of checks, in a module of their own so that reading them loads no scanner."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class GuardSettings(BaseModel):
    """RAILMEND_GUARD, as JSON. `second_refusal`: how a repair ends whose change is refused twice; what
    `never_published` names does not become a draft either.

    `also_forbidden`: further paths, as patterns of `PurePath.match`, that no change may touch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_files: int = 20
    max_lines: int = 800
    allow_migrations: bool = False
    also_forbidden: tuple[str, ...] = ()
    second_refusal: Literal["refuse", "draft"] = "refuse"


class CheckSettings(BaseModel):
    """RAILMEND_CHECKS, as JSON: repository -> this. Shell commands, run in `directory`.

    `prepare` runs with the network of RAILMEND_PREPARE_HOSTS, `checks` with none; each for at most `seconds`.
    `environment` is visible to the agent: no secrets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prepare: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    directory: str = ""
    seconds: int = 600
    environment: dict[str, str] = {}

"""How a repository is checked, where its owner says so."""

from pydantic import BaseModel, ConfigDict


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

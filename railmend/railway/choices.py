"""The environments that a token reaches, for a person to choose from."""

from typing import Any

from pydantic import BaseModel, SecretStr

from railmend.railway.limits import RateLimiter, RateLimits
from railmend.railway.pool import TIMEOUT_SECONDS, detect_token
from railmend.railway.transport import Transport

PAGE = 100
MOST_PAGES = 10  # of one workspace's projects


class EnvironmentChoice(BaseModel):
    """One environment. Without a name of a project: that of a project token, which names nothing."""

    project_id: str
    environment_id: str
    project: str = ""
    environment: str = ""


async def environment_choices(url: str, token: SecretStr) -> list[EnvironmentChoice]:
    """Return the environment of a project token, or those of every workspace that the token reaches.

    Raises `RailwayError` where Railway refuses the token or does not answer.
    """
    reach = await detect_token(url, token)
    if reach.project_id and reach.environment_id:
        return [EnvironmentChoice(project_id=reach.project_id, environment_id=reach.environment_id)]
    connection = Transport(url, token, "bearer", None, TIMEOUT_SECONDS, RateLimiter(RateLimits()))
    try:
        workspaces = (await connection.execute("workspaces", {}))["apiToken"]["workspaces"]
        return [choice for each in workspaces for choice in await _of_workspace(connection, each["id"])]
    finally:
        await connection.aclose()


async def _of_workspace(connection: Transport, workspace_id: str) -> list[EnvironmentChoice]:
    found: list[EnvironmentChoice] = []
    after: str | None = None
    for _ in range(MOST_PAGES):
        variables: dict[str, Any] = {"workspaceId": workspace_id, "first": PAGE, "after": after}
        page = (await connection.execute("projects", variables))["projects"]
        for project in (edge["node"] for edge in page["edges"]):
            environments = (edge["node"] for edge in project["environments"]["edges"])
            found += [
                EnvironmentChoice(
                    project_id=project["id"], project=project["name"],
                    environment_id=each["id"], environment=each["name"],
                )
                for each in environments
            ]  # fmt: skip
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    return found

"""Rules for branches, as rulesets and branch protection give them: what they refuse, and who sees them."""

from fnmatch import fnmatch

from railyard.forge.rest import REPO, Answer, Call, on
from railyard.forge.store import SIGNED


@on("GET", REPO + "/rules/branches/{branch:path}")
def rules(call: Call) -> Answer:
    rows = call.repo.get("rules", ())
    return [
        {key: row[key] for key in ("type", "ruleset_id", "parameters")}
        for row in rows
        if "ruleset_id" in row and fnmatch(call.path["branch"], row["branches"])
    ]


@on("GET", REPO + "/rulesets/{id:int}")
def ruleset(call: Call) -> Answer:
    bypass = call.repo.get("bypass", "never")
    return {"id": call.path["id"], "name": "ours", "current_user_can_bypass": bypass}


def protection(call: Call) -> Answer:
    """Answer the GraphQL query that asks whether protection, not a ruleset, wants commits to be signed."""
    branch = call.path["ref"].removeprefix("refs/heads/")
    rows = [row for row in call.forge.rules_of(call.full_name, branch) if "ruleset_id" not in row]
    signed = any(row["type"] == SIGNED for row in rows)
    rule = {"requiresSignatures": signed} if rows else None
    return {"data": {"repository": {"ref": {"refUpdateRule": rule}}}}

"""Calls of a review: line comments, reviews, permissions, requested reviewers."""

from railyard.forge.rest import PULL_READ, PULL_WRITE, REPO, Answer, Call, on
from railyard.forge.store import ApiError, Json, invalid, not_found, now

STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
ROLES = ("admin", "write", "read")


@on("GET", REPO + "/collaborators/{login}/permission")
def permission(call: Call) -> Answer:
    role = call.forge.role(call.full_name, call.path["login"])
    if role is None:
        return {"permission": "none", "role_name": "none", "user": call.view.user(call.path["login"])}
    return {"permission": role, "role_name": role, "user": call.view.user(call.path["login"])}


@on("PUT", REPO + "/collaborators/{login}", "administration:write")
def add_collaborator(call: Call) -> Answer:
    role = {"push": "write", "pull": "read"}.get(call.body.get("permission", "push"), "admin")
    call.repo.setdefault("roles", {})[call.path["login"]] = role
    return 204, None


@on("GET", REPO + "/pulls/{n:int}/comments", PULL_READ)
def line_comments(call: Call) -> Answer:
    number = call.issue(pull=True)["number"]
    rows = [row for row in call.repo["review_comments"].values() if row["issue"] == number]
    return [call.view.line_comment(row) for row in rows]


@on("POST", REPO + "/pulls/{n:int}/comments", PULL_WRITE)
def create_line_comment(call: Call) -> Answer:
    call.need("PullRequestReviewComment", "body", "path", "commit_id")
    kept = ("body", "path", "commit_id", "line", "start_line")
    row = _line(call, {key: call.body.get(key) for key in kept})
    return 201, call.view.line_comment(row)


@on("POST", REPO + "/pulls/{n:int}/comments/{id}/replies", PULL_WRITE)
def reply(call: Call) -> Answer:
    call.need("PullRequestReviewComment", "body")
    first = call.repo["review_comments"].get(call.path["id"])
    if first is None:
        raise not_found()
    if first.get("in_reply_to_id"):
        raise invalid("PullRequestReviewComment", "in_reply_to_id")
    place = {key: first[key] for key in ("path", "commit_id", "line")}
    row = _line(call, {**place, "body": call.body["body"], "in_reply_to_id": first["id"]})
    return 201, call.view.line_comment(row)


def _line(call: Call, content: Json) -> Json:
    issue = call.issue(pull=True)
    call.refuse_locked(issue)
    row: Json = {"id": call.forge.next_id(), "issue": issue["number"], "user": call.user, **content}
    row |= {"created_at": now(), "updated_at": now()}
    call.repo["review_comments"][str(row["id"])] = row
    issue["updated_at"] = now()
    return row


@on("PATCH", REPO + "/pulls/comments/{id}", PULL_WRITE)
def edit_line_comment(call: Call) -> Answer:
    return call.view.line_comment(call.edited(call.repo["review_comments"].get(call.path["id"])))


@on("GET", REPO + "/pulls/comments/{id}", PULL_READ)
def line_comment(call: Call) -> Answer:
    row = call.repo["review_comments"].get(call.path["id"])
    if row is None:
        raise not_found()
    return call.view.line_comment(row)


def review_threads(call: Call) -> Answer:
    """Answer the one GraphQL query that is asked: which threads of a pull request are resolved?"""
    rows = call.repo["review_comments"].values()
    first = [row for row in rows if row["issue"] == call.path["n"] and not row.get("in_reply_to_id")]
    nodes = [
        {"isResolved": bool(row.get("resolved")), "comments": {"nodes": [{"databaseId": row["id"]}]}}
        for row in first
    ]
    return {"data": {"repository": {"pullRequest": {"reviewThreads": {"nodes": nodes}}}}}


@on("GET", REPO + "/pulls/{n:int}/reviews", PULL_READ)
def reviews(call: Call) -> Answer:
    number = call.issue(pull=True)["number"]
    rows = [row for row in call.repo.get("reviews", {}).values() if row["issue"] == number]
    return [call.view.review(row) for row in rows]


@on("POST", REPO + "/pulls/{n:int}/reviews", PULL_WRITE)
def create_review(call: Call) -> Answer:
    issue, event = call.issue(pull=True), call.body.get("event", "COMMENT")
    if event not in STATES:
        raise invalid("PullRequestReview", "event")
    row: Json = {"id": call.forge.next_id(), "issue": issue["number"], "user": call.user}
    row |= {"body": call.body.get("body") or "", "state": STATES[event], "commit_id": issue["head_sha"]}
    row["submitted_at"] = now()
    call.repo.setdefault("reviews", {})[str(row["id"])] = row
    for comment in call.body.get("comments", ()):
        _line(call, {"commit_id": issue["head_sha"], "line": None, **comment})
    return call.view.review(row)


@on("POST", REPO + "/pulls/{n:int}/requested_reviewers", PULL_WRITE)
def ask_reviewers(call: Call) -> Answer:
    row = call.issue(pull=True)
    wanted = call.body.get("reviewers", [])
    teams = call.body.get("team_reviewers", [])
    if teams or any(call.forge.role(call.full_name, login) not in ROLES for login in wanted):
        raise ApiError(422, "Reviews may only be requested from collaborators.")
    row["reviewers"] = sorted({*row.get("reviewers", []), *wanted})
    return 201, call.view.pull(row)


def comment_node(call: Call) -> Answer:
    """Answer a query for one comment of any repository, by its node id."""
    number = str(call.body["variables"]["id"]).removeprefix("IC_")
    rows = (repo["comments"].get(number) for repo in call.forge.state["repos"].values())
    row = next(filter(None, rows), None)
    return {"data": {"node": row and {"lastEditedAt": row.get("edited_at")}}}

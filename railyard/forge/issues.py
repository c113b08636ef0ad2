"""REST calls of issues, and of what pull requests share with them: comments and labels."""

from railyard.forge.rest import ISSUE_READ, ISSUE_WRITE, REPO, Answer, Call, on
from railyard.forge.store import MAX_BODY, ApiError, Json, invalid, now


def new_issue(call: Call) -> Json:
    """Return the next number's row, which an issue and a pull request begin with."""
    if len(call.body.get("body") or "") > MAX_BODY:
        raise invalid("Issue", "body", "custom", f"body is too long (maximum is {MAX_BODY} characters)")
    call.repo["number"] += 1
    return {
        "id": call.forge.next_id(),
        "number": call.repo["number"],
        "title": call.body["title"],
        "body": call.body.get("body"),
        "state": "open",
        "user": call.user,
        "labels": [],
        "created_at": now(),
        "updated_at": now(),
    }


def add_labels_to(call: Call, issue: Json, names: list[str]) -> None:
    for name in names:
        fresh = {"id": call.forge.next_id(), "name": name, "color": "ededed", "description": None}
        call.repo["labels"].setdefault(name.lower(), fresh)
        if name not in issue["labels"]:
            issue["labels"].append(name)


@on("GET", REPO + "/issues/{n:int}/labels", ISSUE_READ)
def issue_labels(call: Call) -> Answer:
    return [call.view.label(name) for name in call.issue()["labels"]]


@on("POST", REPO + "/issues/{n:int}/labels", ISSUE_WRITE)
def add_labels(call: Call) -> Answer:
    add_labels_to(call, call.issue(), call.body["labels"] if isinstance(call.body, dict) else call.body)
    return issue_labels(call)


@on("GET", REPO + "/issues/{n:int}", "issues:read")
def issue(call: Call) -> Answer:
    return call.view.issue(call.issue())


@on("GET", REPO + "/issues/{n:int}/comments", ISSUE_READ)
def comments(call: Call) -> Answer:
    number, since = call.issue()["number"], call.query.get("since", "")
    rows = [row for row in call.repo["comments"].values() if row["issue"] == number]
    return [call.view.comment(row) for row in rows if row["updated_at"] >= since]


@on("POST", REPO + "/issues/{n:int}/comments", ISSUE_WRITE)
def create_comment(call: Call) -> Answer:
    call.need("IssueComment", "body")
    issue = call.issue()
    call.refuse_locked(issue)
    row: Json = {"id": call.forge.next_id(), "issue": issue["number"], "body": call.body["body"]}
    row |= {"user": call.user, "created_at": now(), "updated_at": now()}
    call.repo["comments"][str(row["id"])] = row
    issue["updated_at"] = now()
    return 201, call.view.comment(row)


@on("PATCH", REPO + "/issues/comments/{id}", ISSUE_WRITE)
def edit_comment(call: Call) -> Answer:
    return call.view.comment(call.edited(call.repo["comments"].get(call.path["id"])))


@on("GET", REPO + "/issues", "issues:read")
def issues(call: Call) -> Answer:
    """As GitHub: pull requests are among them, the newest first."""
    state, labels = call.query.get("state", "open"), [*filter(None, call.query.get("labels", "").split(","))]
    rows = [
        row
        for row in call.repo["issues"].values()
        if state in ("all", row["state"]) and set(labels) <= set(row["labels"])
    ]
    return [call.view.issue(row) for row in sorted(rows, key=lambda row: -int(row["number"]))]


@on("POST", REPO + "/issues", "issues:write")
def create_issue(call: Call) -> Answer:
    if not call.repo.get("has_issues", True):
        raise ApiError(410, "Issues has been disabled in this repository.")
    call.need("Issue", "title")
    row = new_issue(call)
    call.repo["issues"][str(row["number"])] = row
    add_labels_to(call, row, call.body.get("labels", []))
    return 201, call.view.issue(row)


@on("PATCH", REPO + "/issues/{n:int}", ISSUE_WRITE)
def edit_issue(call: Call) -> Answer:
    row = call.issue()
    row.update({key: call.body[key] for key in ("title", "body", "state") if key in call.body})
    row.update(updated_at=now(), closed_at=now() if row["state"] == "closed" else None)
    return call.view.issue(row)

"""REST calls of issues that are no pull requests."""

from railyard.forge.rest import ISSUE_READ, ISSUE_WRITE, REPO, Answer, Call, add_labels_to, new_issue, on
from railyard.forge.store import now


@on("GET", REPO + "/issues", ISSUE_READ)
def issues(call: Call) -> Answer:
    """As GitHub: pull requests are among them, the newest first."""
    state, labels = call.query.get("state", "open"), [*filter(None, call.query.get("labels", "").split(","))]
    rows = [
        row
        for row in call.repo["issues"].values()
        if state in ("all", row["state"]) and set(labels) <= set(row["labels"])
    ]
    return [call.view.issue(row) for row in sorted(rows, key=lambda row: -int(row["number"]))]


@on("POST", REPO + "/issues", ISSUE_WRITE)
def create_issue(call: Call) -> Answer:
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

"""REST calls of what others say of a commit: check runs, jobs of GitHub Actions, statuses."""

from railyard.forge.rest import REPO, Answer, Call, on
from railyard.forge.store import ApiError, Json, invalid, not_found, now

CONCLUSIONS = frozenset(
    {"success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required"}
)
STATES = ("error", "failure", "pending", "success")
MOST_STATUSES = 1000  # of one commit and context


@on("GET", REPO + "/commits/{ref:path}/check-runs", "checks:read")
def check_runs(call: Call) -> Answer:
    sha, name = call.revision(call.path["ref"]), call.query.get("check_name")
    rows = [
        row for row in call.repo["checks"].values() if row["head_sha"] == sha and name in (None, row["name"])
    ]
    if call.query.get("filter", "latest") == "latest":
        rows = list({(row["app"]["slug"], row["name"]): row for row in rows}.values())
    return {"total_count": len(rows), "check_runs": rows}


@on("GET", REPO + "/commits/{ref:path}/status", "statuses:read")
def combined_status(call: Call) -> Answer:
    sha = call.revision(call.path["ref"])
    rows = newest_statuses(call.repo, sha)
    states = {row["state"] for row in rows}
    state = "failure" if states & {"error", "failure"} else "success" if states == {"success"} else "pending"
    return {"sha": sha, "state": state, "total_count": len(rows), "statuses": rows}


def newest_statuses(repo: Json, sha: str) -> list[Json]:
    return list({row["context"]: row for row in repo.get("statuses", ()) if row["sha"] == sha}.values())


@on("GET", REPO + "/statuses/{sha}", "statuses:read")
def statuses(call: Call) -> Answer:
    sha = call.revision(call.path["sha"])
    return [row for row in reversed(call.repo.get("statuses", ())) if row["sha"] == sha]


@on("POST", REPO + "/statuses/{sha}", "statuses:write")
def create_status(call: Call) -> Answer:
    if call.body.get("state") not in STATES:
        raise invalid("Status", "state", "custom", "state is not included in the list")
    row: Json = {"context": "default", "description": None, "target_url": None, **call.body}
    if len(row["description"] or "") > 140:
        message = "description is too long (maximum is 140 characters)"
        raise invalid("Status", "description", "custom", message)
    refuse_link(row["target_url"], "Status", "target_url")
    row |= {
        "id": call.forge.next_id(),
        "sha": commit(call, call.path["sha"]),
        "creator": call.view.user(call.user),
    }
    row |= {"created_at": now(), "updated_at": now(), "url": f"{call.view.api}/statuses/{row['sha']}"}
    before = call.repo.setdefault("statuses", [])
    if sum((old["sha"], old["context"]) == (row["sha"], row["context"]) for old in before) >= MOST_STATUSES:
        message = "This SHA and context has reached the maximum number of statuses."
        raise invalid("Status", None, "custom", message)
    before.append(row)
    return 201, row


def commit(call: Call, sha: str) -> str:
    """Return the commit. Where there is none, GitHub answers 404 to who reads and 422 to who writes."""
    found = call.forge.sha(call.full_name, sha)
    if found is None:
        raise ApiError(422, f"No commit found for SHA: {sha}")
    return found


def refuse_link(url: str | None, resource: str, field: str) -> None:
    if url and not url.startswith(("http://", "https://")):
        raise invalid(resource, field, "custom", f"{field} must use http(s) scheme")


@on("GET", REPO + "/actions/runs", "actions:read")
def workflow_runs(call: Call) -> Answer:
    """Show one run for each commit; its jobs are the commit's check runs."""
    heads = {row["head_sha"]: row["id"] for row in call.repo["checks"].values()}
    wanted = {sha: number for sha, number in heads.items() if call.query.get("head_sha") in (None, sha)}
    url = f"{call.view.api}/actions/runs"
    rows = [
        {"id": number, "head_sha": sha, "url": f"{url}/{number}", "jobs_url": f"{url}/{number}/jobs"}
        for sha, number in wanted.items()
    ]
    return {"total_count": len(rows), "workflow_runs": rows}


@on("GET", REPO + "/actions/runs/{id:int}/jobs", "actions:read")
def jobs(call: Call) -> Answer:
    head = call.repo["checks"][str(call.path["id"])]["head_sha"]
    rows = [row for row in call.repo["checks"].values() if row["head_sha"] == head]
    kept = ("id", "name", "status", "conclusion", "head_sha", "completed_at", "url", "html_url")
    steps = [{"name": "Run the tests", "number": 1, "status": "completed", "conclusion": "failure"}]
    shown = [{key: row[key] for key in kept if key in row} | {"steps": steps} for row in rows]
    return {"total_count": len(rows), "jobs": shown}


@on("POST", REPO + "/check-runs", "checks:write")
def create_check_run(call: Call) -> Answer:
    if not call.by_app:  # a classic token: a fine-grained one has no such permission
        raise ApiError(403, "You must authenticate via a GitHub App.")
    call.need("CheckRun", "name", "head_sha")
    number = call.forge.next_id()
    urls = {"url": f"{call.view.api}/check-runs/{number}", "html_url": f"{call.view.web}/runs/{number}"}
    slug = call.user.removesuffix("[bot]")
    row: Json = {
        "status": "queued",
        "conclusion": None,
        "completed_at": None,
        "output": dict.fromkeys(("title", "summary", "text")),
        "app": {"id": (call.view.user(call.user) or {})["id"], "slug": slug, "name": slug},
        "head_sha": commit(call, call.body["head_sha"]),
        **urls,
        "id": number,
    }
    fill(row, {key: value for key, value in call.body.items() if key != "head_sha"})
    call.repo["checks"][str(number)] = row
    return 201, row


@on("PATCH", REPO + "/check-runs/{id:int}", "checks:write")
def edit_check_run(call: Call) -> Answer:
    row: Json | None = call.repo["checks"].get(str(call.path["id"]))
    if row is None:
        raise not_found()
    if row["app"]["slug"] != call.user.removesuffix("[bot]"):
        number, only = row["app"]["id"], "check run can only be modified by the GitHub App that created it."
        raise ApiError(403, f"Invalid app_id `{number}` - {only}")
    fill(row, call.body)
    return row


def fill(row: Json, given: Json) -> None:
    """Take what a caller says of a check run, or refuse it as GitHub does."""
    conclusion = given.get("conclusion")
    if given.get("status") == "completed" and not conclusion:
        raise ApiError(422, 'Invalid request. "conclusion" wasn\'t supplied.')
    if conclusion and conclusion not in CONCLUSIONS:
        raise ApiError(422, f"Invalid request. {conclusion} is not a member of {sorted(CONCLUSIONS)}.")
    output = given.get("output") or {}
    if output and not (output.get("title") and output.get("summary")):
        raise ApiError(422, 'Invalid request. "title", "summary" weren\'t supplied.')
    if len(output.get("summary", "")) > 65_535:
        raise ApiError(422, "Invalid request. Only 65535 characters are allowed for property 'summary'.")
    refuse_link(given.get("details_url"), "CheckRun", "details_url")
    row |= given
    row["output"] = {"text": None, "title": None, "summary": None, **output}
    if conclusion:
        row |= {"completed_at": given.get("completed_at") or now(), "status": "completed"}
    elif row["status"] != "completed":
        row |= {"conclusion": None, "completed_at": None}

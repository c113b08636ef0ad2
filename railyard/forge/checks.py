"""REST calls of what others say of a commit: check runs, jobs of GitHub Actions, statuses."""

from railyard.forge.rest import REPO, Answer, Call, on
from railyard.forge.store import ApiError, Json, now


@on("GET", REPO + "/commits/{ref:path}/check-runs", "checks:read")
def check_runs(call: Call) -> Answer:
    sha = call.revision(call.path["ref"])
    rows = [row for row in call.repo["checks"].values() if row["head_sha"] == sha]
    return {"total_count": len(rows), "check_runs": rows}


@on("GET", REPO + "/commits/{ref:path}/status", "statuses:read")
def combined_status(call: Call) -> Answer:
    sha = call.revision(call.path["ref"])
    newest = {row["context"]: row for row in call.repo.get("statuses", ()) if row["sha"] == sha}
    return {"sha": sha, "state": "pending", "total_count": len(newest), "statuses": list(newest.values())}


@on("POST", REPO + "/statuses/{sha}", "statuses:write")
def create_status(call: Call) -> Answer:
    if "state" not in call.body:
        raise ApiError(422, "Validation Failed")
    row: Json = {"context": "default", **call.body, "id": call.forge.next_id(), "sha": call.path["sha"]}
    row |= {"created_at": now(), "updated_at": now(), "url": f"{call.view.api}/statuses/{row['sha']}"}
    call.repo.setdefault("statuses", []).append(row)
    return 201, row


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
    call.need("CheckRun", "name", "head_sha")
    number = call.forge.next_id()
    urls = {"url": f"{call.view.api}/check-runs/{number}", "html_url": f"{call.view.web}/runs/{number}"}
    row: Json = {
        "status": "queued",
        "conclusion": None,
        "completed_at": None,
        "output": dict.fromkeys(("title", "summary", "text")),
        **call.body,
        **urls,
        "id": number,
    }
    row["head_sha"] = call.revision(row["head_sha"])
    if row["conclusion"]:
        row |= {"completed_at": call.body.get("completed_at") or now(), "status": "completed"}
    call.repo["checks"][str(row["id"])] = row
    return 201, row

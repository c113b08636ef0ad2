"""REST calls as a table of method, path and handler. Handlers return a body or (status, body)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from fnmatch import fnmatch
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from railyard.forge.merging import METHODS, merged
from railyard.forge.store import FORM, MAX_BODY, ApiError, Forge, Json, git, invalid, not_found, now
from railyard.forge.views import View

Answer = Json | list[Json] | tuple[int, Json | None] | Response
Handler = Callable[["Call"], Answer]
# Method, path, handler, and what a limited token needs for it:
# https://docs.github.com/rest/authentication/permissions-required-for-fine-grained-personal-access-tokens
ROUTES: list[tuple[str, str, Handler, str]] = []
REPO = "/repos/{owner}/{repo}"
PULL_READ, PULL_WRITE = "pull_requests:read", "pull_requests:write"
ISSUE_READ, ISSUE_WRITE = f"issues:read|{PULL_READ}", f"issues:write|{PULL_WRITE}"


def on(method: str, path: str, needs: str = "metadata:read") -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        ROUTES.append((method, path, handler, needs))
        return handler

    return register


class Call:
    """One request: caller, repository and arguments."""

    def __init__(self, forge: Forge, request: Request, body: Any, user: str, api: str, web: str) -> None:
        self.forge, self.query, self.user = forge, request.query_params, user
        self.accept = request.headers.get("accept", "")
        self.body: Any = body
        self.path = request.path_params
        self.full_name = f"{self.path['owner']}/{self.path['repo']}" if "owner" in self.path else ""
        self._api, self._web = api, web
        self.view = self.at(self.full_name)
        if self.full_name:
            self.repo = forge.repo(self.full_name)
            self.git_dir = forge.git_dir(self.full_name)

    def at(self, full_name: str) -> View:
        return View(self.forge, full_name, self._api, self._web)

    def need(self, resource: str, *fields: str) -> None:
        for field in fields:
            if not self.body.get(field):
                raise invalid(resource, field, "missing_field")

    def issue(self, *, pull: bool = False) -> Json:
        return self.forge.issue(self.full_name, self.path["n"], pull=pull)

    def refuse_locked(self, issue: Json) -> None:
        if issue.get("locked"):
            raise ApiError(403, "Unable to create comment because issue is locked.")

    def edited(self, comment: Json | None) -> Json:
        """Give a comment its new text; only its author may, and the time of the edit shows it."""
        if comment is None:
            raise not_found()
        if comment["user"] != self.user:
            raise ApiError(403, "You cannot edit this comment.")
        later = datetime.fromisoformat(comment["updated_at"]) + timedelta(seconds=1)
        comment.update(body=self.body["body"], updated_at=max(now(), later.strftime(FORM)), edited_at=now())
        return comment

    def revision(self, ref: str) -> str:
        sha = self.forge.branch(self.full_name, ref) or self.forge.sha(self.full_name, ref)
        if sha is None:
            raise not_found(f"No commit found for SHA: {ref}")
        return sha

    def pulls(self) -> list[Json]:
        rows = [row for row in self.repo["issues"].values() if "head" in row]
        return [self.forge.sync(self.full_name, row) for row in rows]


@on("GET", "/user", "account:read")
def user(call: Call) -> Answer:
    return (call.view.user(call.user) or {}) | {"name": call.user, "email": None}


@on("GET", "/users/{login}", "")
def account(call: Call) -> Answer:
    return call.view.user(call.path["login"]) or {}


@on("GET", REPO)
def repository(call: Call) -> Answer:
    return call.view.repository()


@on("GET", REPO + "/git/trees/{ref:path}", "contents:read")
def git_tree(call: Call) -> Answer:
    sha = call.revision(call.path["ref"])
    arguments = ["-r", "-t"] if call.query.get("recursive") else []
    rows = git(call.git_dir, "ls-tree", *arguments, "--full-tree", sha).splitlines()
    most = call.repo.get("tree_limit", len(rows))
    tree = [call.view.tree_entry(row) for row in rows[:most]]
    return {"sha": sha, "tree": tree, "truncated": most < len(rows)}


@on("GET", REPO + "/contents/{file:path}", "contents:read")
def contents(call: Call) -> Answer:
    sha, path = call.revision(call.query.get("ref") or call.repo["default_branch"]), call.path["file"]
    row = git(call.git_dir, "ls-tree", "--full-tree", sha, "--", path)
    if not row:
        raise not_found()
    entry = call.view.tree_entry(row)
    url = f"{call.view.api}/contents/{path}?ref={sha}"
    return entry | {"type": "file", "name": path.rpartition("/")[2], "size": 1, "url": url}


@on("GET", REPO + "/rules/branches/{branch:path}")
def rules(call: Call) -> Answer:
    rows = call.repo.get("rules", ())
    return [
        {key: row[key] for key in ("type", "ruleset_id", "parameters")}
        for row in rows
        if fnmatch(call.path["branch"], row["branches"])
    ]


@on("GET", REPO + "/rulesets/{id:int}")
def ruleset(call: Call) -> Answer:
    bypass = call.repo.get("bypass", "never")
    return {"id": call.path["id"], "name": "ours", "current_user_can_bypass": bypass}


@on("GET", REPO + "/branches", "contents:read")
def branches(call: Call) -> Answer:
    rows = git(call.git_dir, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads").splitlines()
    pairs = (row.split() for row in rows)
    return [call.view.branch(name.removeprefix("refs/heads/"), sha) for name, sha in pairs]


@on("GET", REPO + "/branches/{branch:path}", "contents:read")
def branch(call: Call) -> Answer:
    sha = call.forge.branch(call.full_name, call.path["branch"])
    if sha is None:
        raise not_found("Branch not found")
    return call.view.branch(call.path["branch"], sha)


@on("DELETE", REPO + "/git/refs/{ref:path}", "contents:write")
def delete_ref(call: Call) -> Answer:
    ref = f"refs/{call.path['ref']}"
    if call.forge.sha(call.full_name, ref) is None:
        raise ApiError(422, "Reference does not exist")
    git(call.git_dir, "update-ref", "-d", ref)
    return 204, None


@on("GET", REPO + "/commits", "contents:read")
def commits(call: Call) -> Answer:
    start = call.revision(call.query.get("sha") or call.repo["default_branch"])
    return [call.view.commit(sha) for sha in git(call.git_dir, "rev-list", "--max-count=100", start).split()]


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


@on("GET", REPO + "/commits/{ref:path}", "contents:read")
def commit(call: Call) -> Answer:
    found = call.view.commit(call.revision(call.path["ref"]))
    parents = found["parents"]
    base = parents[0]["sha"] if parents else call.view.merge_base(found["sha"], "none")
    return found | {"files": call.view.files(base, found["sha"])}


@on("GET", REPO + "/compare/{spec:path}", "contents:read")
def compare(call: Call) -> Answer:
    base, head = (call.revision(end.split(":")[-1]) for end in call.path["spec"].split("..."))
    common = call.view.merge_base(base, head)
    ahead = git(call.git_dir, "rev-list", f"{base}..{head}").split()
    behind = git(call.git_dir, "rev-list", f"{head}..{base}").split()
    status = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
    return {
        "url": f"{call.view.api}/compare/{call.path['spec']}",
        "base_commit": call.view.commit(base),
        "merge_base_commit": call.view.commit(common),
        "ahead_by": len(ahead),
        "behind_by": len(behind),
        "total_commits": len(ahead),
        "status": status,
        "commits": [call.view.commit(sha) for sha in reversed(ahead)],
        "files": call.view.files(common, head),
    }


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


@on("POST", REPO + "/labels", ISSUE_WRITE)
def create_label(call: Call) -> Answer:
    call.need("Label", "name")
    key = call.body["name"].lower()
    if key in call.repo["labels"]:
        raise invalid("Label", "name", "already_exists")
    call.repo["labels"][key] = {
        "color": "ededed",
        "description": None,
        **call.body,
        "id": call.forge.next_id(),
    }
    return 201, call.view.label(key)


@on("GET", REPO + "/issues/{n:int}/labels", ISSUE_READ)
def issue_labels(call: Call) -> Answer:
    return [call.view.label(name) for name in call.issue()["labels"]]


@on("POST", REPO + "/issues/{n:int}/labels", ISSUE_WRITE)
def add_labels(call: Call) -> Answer:
    add_labels_to(call, call.issue(), call.body["labels"] if isinstance(call.body, dict) else call.body)
    return issue_labels(call)


@on("GET", REPO + "/issues/{n:int}", ISSUE_READ)
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


@on("GET", REPO + "/pulls", PULL_READ)
def pulls(call: Call) -> Answer:
    state, head, base = call.query.get("state", "open"), call.query.get("head", ""), call.query.get("base")
    owner = call.full_name.split("/")[0]

    def wanted(row: Json) -> bool:
        # As GitHub: a head without `owner:` is ignored, not an error.
        same_head = ":" not in head or head == f"{owner}:{row['head']}"
        return state in ("all", row["state"]) and same_head and base in (None, "", row["base"])

    rows = sorted(filter(wanted, call.pulls()), key=lambda row: -int(row["number"]))
    # A new pull request is not listed at once.
    if call.repo.get("unlisted", 0) > 0:
        call.repo["unlisted"] -= 1
        rows = rows[1:]
    return [call.view.pull(row, full=False) for row in rows]


@on("POST", REPO + "/pulls", PULL_WRITE)
def create_pull(call: Call) -> Answer:
    call.need("PullRequest", "head", "base", "title")
    owner, head, base = call.full_name.split("/")[0], call.body["head"].split(":")[-1], call.body["base"]
    shas = {
        name: call.forge.branch(call.full_name, call.body[name].split(":")[-1]) for name in ("head", "base")
    }
    for name, sha in shas.items():
        if sha is None:
            raise invalid("PullRequest", name)
    if any(row["state"] == "open" and (row["head"], row["base"]) == (head, base) for row in call.pulls()):
        message = f"A pull request already exists for {owner}:{head}."
        raise invalid("PullRequest", None, "custom", message)
    if not git(call.git_dir, "rev-list", "-1", f"{shas['base']}..{shas['head']}"):
        raise invalid("PullRequest", None, "custom", f"No commits between {base} and {head}")
    if call.body.get("draft") and call.repo.get("plan") == "free":
        raise ApiError(422, "Draft pull requests are not supported in this repository.")
    row = new_issue(call) | {
        "head": head,
        "base": base,
        "head_sha": shas["head"],
        "base_sha": shas["base"],
        "draft": bool(call.body.get("draft")),
        "merged": False,
    }
    call.repo["issues"][str(row["number"])] = row
    call.forge.sync(call.full_name, row)
    return 201, call.view.pull(row)


@on("GET", REPO + "/pulls/{n:int}", PULL_READ)
def pull(call: Call) -> Answer:
    row = call.issue(pull=True)
    if ".diff" in call.accept:
        return Response(call.view.diff(row), media_type="text/plain")
    return call.view.pull(row)


@on("PATCH", REPO + "/pulls/{n:int}", PULL_WRITE)
def edit_pull(call: Call) -> Answer:
    row = call.issue(pull=True)
    row.update({key: call.body[key] for key in ("title", "body") if key in call.body}, updated_at=now())
    state = call.body.get("state")
    if state == "open" and (row.get("merged") or not call.forge.branch(call.full_name, row["head"])):
        raise invalid("PullRequest", "state", "invalid", "state cannot be changed.")
    if state:
        row.update(state=state, closed_at=now() if state == "closed" else None)
    return call.view.pull(row)


@on("GET", REPO + "/pulls/{n:int}/files", PULL_READ)
def pull_files(call: Call) -> Answer:
    return call.view.pull_files(call.issue(pull=True))


@on("GET", REPO + "/pulls/{n:int}/commits", PULL_READ)
def pull_commits(call: Call) -> Answer:
    return [call.view.commit(sha) for sha in call.view.pull_commits(call.issue(pull=True))]


@on("PUT", REPO + "/pulls/{n:int}/merge", "contents:write")
def merge(call: Call) -> Answer:
    row = call.issue(pull=True)
    if call.body.get("sha", row["head_sha"]) != row["head_sha"]:
        raise ApiError(409, "Head branch was modified. Review and try the merge again.")
    method = call.body.get("merge_method", "merge")
    allowed = row["state"] == "open" and not row["draft"] and method in METHODS
    base = call.forge.branch(call.full_name, row["base"]) or ""
    title = f"{row['title']} (#{row['number']})\n\n{call.body.get('commit_message') or ''}\n"
    sha = (
        merged(call.forge, call.full_name, (base, row["head_sha"]), method, title, call.user)
        if allowed
        else None
    )
    if sha is None:
        raise ApiError(405, "Pull Request is not mergeable")
    git(call.git_dir, "update-ref", f"refs/heads/{row['base']}", sha, base)
    row.update(state="closed", merged=True, merged_at=now(), closed_at=now(), updated_at=now())
    row.update(merged_by=call.user, merge_commit_sha=sha, base_sha=base)
    return {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}

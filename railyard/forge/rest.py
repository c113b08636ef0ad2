"""REST calls as a table of method, path and handler. Handlers return a body or (status, body)."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from railyard.forge.merging import METHODS, merged
from railyard.forge.store import MAX_BODY, ApiError, Forge, Json, git, invalid, not_found, now
from railyard.forge.views import View

Answer = Json | list[Json] | tuple[int, Json | None] | Response
Handler = Callable[["Call"], Answer]
ROUTES: list[tuple[str, str, Handler]] = []
REPO = "/repos/{owner}/{repo}"


def on(method: str, path: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        ROUTES.append((method, path, handler))
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

    def revision(self, ref: str) -> str:
        sha = self.forge.branch(self.full_name, ref) or self.forge.sha(self.full_name, ref)
        if sha is None:
            raise not_found(f"No commit found for SHA: {ref}")
        return sha

    def pulls(self) -> list[Json]:
        rows = [row for row in self.repo["issues"].values() if "head" in row]
        return [self.forge.sync(self.full_name, row) for row in rows]


@on("GET", "/user")
def user(call: Call) -> Answer:
    return (call.view.user(call.user) or {}) | {"name": call.user, "email": None}


@on("GET", REPO)
def repository(call: Call) -> Answer:
    return call.view.repository()


@on("GET", REPO + "/git/trees/{ref:path}")
def git_tree(call: Call) -> Answer:
    sha = call.revision(call.path["ref"])
    arguments = ["-r", "-t"] if call.query.get("recursive") else []
    rows = git(call.git_dir, "ls-tree", *arguments, "--full-tree", sha).splitlines()
    return {"sha": sha, "tree": [call.view.tree_entry(row) for row in rows], "truncated": False}


@on("GET", REPO + "/branches")
def branches(call: Call) -> Answer:
    rows = git(call.git_dir, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads").splitlines()
    pairs = (row.split() for row in rows)
    return [call.view.branch(name.removeprefix("refs/heads/"), sha) for name, sha in pairs]


@on("GET", REPO + "/branches/{branch:path}")
def branch(call: Call) -> Answer:
    sha = call.forge.branch(call.full_name, call.path["branch"])
    if sha is None:
        raise not_found("Branch not found")
    return call.view.branch(call.path["branch"], sha)


@on("DELETE", REPO + "/git/refs/{ref:path}")
def delete_ref(call: Call) -> Answer:
    ref = f"refs/{call.path['ref']}"
    if call.forge.sha(call.full_name, ref) is None:
        raise ApiError(422, "Reference does not exist")
    git(call.git_dir, "update-ref", "-d", ref)
    return 204, None


@on("GET", REPO + "/commits")
def commits(call: Call) -> Answer:
    start = call.revision(call.query.get("sha") or call.repo["default_branch"])
    return [call.view.commit(sha) for sha in git(call.git_dir, "rev-list", "--max-count=100", start).split()]


@on("GET", REPO + "/commits/{ref:path}/check-runs")
def check_runs(call: Call) -> Answer:
    sha = call.revision(call.path["ref"])
    rows = [row for row in call.repo["checks"].values() if row["head_sha"] == sha]
    return {"total_count": len(rows), "check_runs": rows}


@on("POST", REPO + "/check-runs")
def create_check_run(call: Call) -> Answer:
    call.need("CheckRun", "name", "head_sha")
    row: Json = {"status": "queued", "conclusion": None, **call.body, "id": call.forge.next_id()}
    row["head_sha"] = call.revision(row["head_sha"])
    if row["conclusion"]:
        row["status"] = "completed"
    call.repo["checks"][str(row["id"])] = row
    return 201, row


@on("GET", REPO + "/commits/{ref:path}")
def commit(call: Call) -> Answer:
    found = call.view.commit(call.revision(call.path["ref"]))
    parents = found["parents"]
    base = parents[0]["sha"] if parents else call.view.merge_base(found["sha"], "none")
    return found | {"files": call.view.files(base, found["sha"])}


@on("GET", REPO + "/compare/{spec:path}")
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


def add_labels_to(call: Call, issue: Json, names: list[str]) -> None:
    for name in names:
        fresh = {"id": call.forge.next_id(), "name": name, "color": "ededed", "description": None}
        call.repo["labels"].setdefault(name.lower(), fresh)
        if name not in issue["labels"]:
            issue["labels"].append(name)


@on("POST", REPO + "/labels")
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


@on("GET", REPO + "/issues/{n:int}/labels")
def issue_labels(call: Call) -> Answer:
    return [call.view.label(name) for name in call.issue()["labels"]]


@on("POST", REPO + "/issues/{n:int}/labels")
def add_labels(call: Call) -> Answer:
    add_labels_to(call, call.issue(), call.body["labels"] if isinstance(call.body, dict) else call.body)
    return issue_labels(call)


@on("GET", REPO + "/issues/{n:int}")
def issue(call: Call) -> Answer:
    return call.view.issue(call.issue())


@on("GET", REPO + "/issues/{n:int}/comments")
def comments(call: Call) -> Answer:
    number, since = call.issue()["number"], call.query.get("since", "")
    rows = [row for row in call.repo["comments"].values() if row["issue"] == number]
    return [call.view.comment(row) for row in rows if row["updated_at"] >= since]


@on("POST", REPO + "/issues/{n:int}/comments")
def create_comment(call: Call) -> Answer:
    call.need("IssueComment", "body")
    issue = call.issue()
    row: Json = {"id": call.forge.next_id(), "issue": issue["number"], "body": call.body["body"]}
    row |= {"user": call.user, "created_at": now(), "updated_at": now()}
    call.repo["comments"][str(row["id"])] = row
    issue["updated_at"] = now()
    return 201, call.view.comment(row)


@on("PATCH", REPO + "/issues/comments/{id}")
def edit_comment(call: Call) -> Answer:
    row = call.repo["comments"].get(call.path["id"])
    if row is None:
        raise not_found()
    row.update(body=call.body["body"], updated_at=now())
    return call.view.comment(row)


@on("GET", REPO + "/pulls")
def pulls(call: Call) -> Answer:
    state, head, base = call.query.get("state", "open"), call.query.get("head", ""), call.query.get("base")
    owner = call.full_name.split("/")[0]

    def wanted(row: Json) -> bool:
        # As GitHub: a head without `owner:` is ignored, not an error.
        same_head = ":" not in head or head == f"{owner}:{row['head']}"
        return state in ("all", row["state"]) and same_head and base in (None, "", row["base"])

    rows = sorted(filter(wanted, call.pulls()), key=lambda row: -int(row["number"]))
    return [call.view.pull(row, full=False) for row in rows]


@on("POST", REPO + "/pulls")
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
    if len(call.body.get("body") or "") > MAX_BODY:
        raise invalid("Issue", "body", "custom", f"body is too long (maximum is {MAX_BODY} characters)")
    call.repo["number"] += 1
    row: Json = {
        "id": call.forge.next_id(),
        "number": call.repo["number"],
        "title": call.body["title"],
        "body": call.body.get("body"),
        "state": "open",
        "user": call.user,
        "labels": [],
        "created_at": now(),
        "updated_at": now(),
        "head": head,
        "base": base,
        "head_sha": shas["head"],
        "base_sha": shas["base"],
        "draft": bool(call.body.get("draft")),
        "merged": False,
    }
    call.repo["issues"][str(row["number"])] = row
    return 201, call.view.pull(row)


@on("GET", REPO + "/pulls/{n:int}")
def pull(call: Call) -> Answer:
    row = call.issue(pull=True)
    if ".diff" in call.accept:
        return Response(call.view.diff(row), media_type="text/plain")
    return call.view.pull(row)


@on("PATCH", REPO + "/pulls/{n:int}")
def edit_pull(call: Call) -> Answer:
    row = call.issue(pull=True)
    row.update({key: call.body[key] for key in ("title", "body") if key in call.body}, updated_at=now())
    state = call.body.get("state")
    if state == "open" and (row.get("merged") or not call.forge.branch(call.full_name, row["head"])):
        raise invalid("PullRequest", "state", "invalid", "state cannot be changed.")
    if state:
        row.update(state=state, closed_at=now() if state == "closed" else None)
    return call.view.pull(row)


@on("GET", REPO + "/pulls/{n:int}/files")
def pull_files(call: Call) -> Answer:
    return call.view.pull_files(call.issue(pull=True))


@on("GET", REPO + "/pulls/{n:int}/commits")
def pull_commits(call: Call) -> Answer:
    return [call.view.commit(sha) for sha in call.view.pull_commits(call.issue(pull=True))]


@on("PUT", REPO + "/pulls/{n:int}/merge")
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

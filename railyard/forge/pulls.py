"""REST calls of pull requests, which are merged, squashed and rebased as GitHub does it."""

from starlette.responses import Response

from railyard.forge.git_data import commit_tree, who
from railyard.forge.issues import new_issue
from railyard.forge.rest import PULL_READ, PULL_WRITE, REPO, Answer, Call, on
from railyard.forge.store import ApiError, Forge, Json, git, invalid, now

METHODS = ("merge", "squash", "rebase")


def merged(
    forge: Forge, full_name: str, ends: tuple[str, str], method: str, message: str, user: str
) -> str | None:
    """Return the commit that the base moves to, None on a conflict. `ends`: base and head."""
    base, head = ends
    if method == "rebase":
        return _rebased(forge, full_name, base, head, user)
    tree = forge.merge_tree(full_name, base, head)
    if tree is None:
        return None
    parents = [base, head] if method == "merge" else [base]
    return commit_tree(
        forge.git_dir(full_name), tree, parents, message, _by("AUTHOR", user) | _by("COMMITTER", user)
    )


def _rebased(forge: Forge, full_name: str, base: str, head: str, user: str) -> str | None:
    """Recreate each commit on the base, with its own author and message."""
    path, tip = forge.git_dir(full_name), base
    for sha in git(path, "rev-list", "--reverse", "--no-merges", f"{base}..{head}").split():
        if base == git(path, "merge-base", base, head):
            tree: str | None = git(path, "rev-parse", f"{sha}^{{tree}}")
        else:
            tree = forge.merge_tree(full_name, tip, sha)
        if tree is None:
            return None
        name, mail, date = git(path, "show", "-s", "--format=%an%n%ae%n%aI", sha).split("\n")
        author = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail, "GIT_AUTHOR_DATE": date}
        message = git(path, "show", "-s", "--format=%B", sha) + "\n"
        tip = commit_tree(path, tree, [tip], message, author | _by("COMMITTER", user))
    return tip


def _by(role: str, user: str) -> dict[str, str]:
    return who(role, user, f"{user}@localhost")


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
    if method != "rebase":
        call.forge.sign(call.full_name, sha)
    # The commits of the pull request count, also where a squash leaves none of them.
    for commit in (row["head_sha"], sha):
        if why := call.forge.violation(call.full_name, row["base"], commit):
            raise ApiError(405, f"Repository rule violations found\n\n{why}")
    git(call.git_dir, "update-ref", f"refs/heads/{row['base']}", sha, base)
    row.update(state="closed", merged=True, merged_at=now(), closed_at=now(), updated_at=now())
    row.update(merged_by=call.user, merge_commit_sha=sha, base_sha=base)
    return {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}

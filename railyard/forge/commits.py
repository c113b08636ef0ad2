"""REST calls of branches, commits, trees and files, and of what GitHub makes of them itself."""

from railyard.forge.rest import REPO, Answer, Call, on
from railyard.forge.store import git, not_found


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


@on("GET", REPO + "/branches/{branch:path}", "contents:read")
def branch(call: Call) -> Answer:
    sha = call.forge.branch(call.full_name, call.path["branch"])
    if sha is None:
        raise not_found("Branch not found")
    return call.view.branch(call.path["branch"], sha)


@on("GET", REPO + "/commits", "contents:read")
def commits(call: Call) -> Answer:
    head = call.revision(call.query.get("sha") or call.repo["default_branch"])
    since = [f"--since={call.query['since']}"] if call.query.get("since") else []
    size, page = int(call.query.get("per_page", 30)), int(call.query.get("page", 1))
    part = [f"--max-count={size}", f"--skip={size * (page - 1)}"]
    found = git(call.git_dir, "rev-list", *part, *since, head, "--", call.query.get("path", "."))
    return [call.view.commit(sha) for sha in found.split()]


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

"""REST calls of git: its objects and references, branches, files, and what GitHub makes of them itself.

A commit that an app makes so, with no author or committer of its own, is signed by GitHub:
https://docs.github.com/authentication/managing-commit-signature-verification/about-commit-signature-verification#signature-verification-for-bots
"""

import base64
from collections.abc import Sequence
from pathlib import Path

from railyard.forge.rest import REPO, Answer, Call, on
from railyard.forge.store import ApiError, git, invalid, not_found

NONE = "0" * 40


def who(role: str, name: str, email: str) -> dict[str, str]:
    """Return git's environment for an `AUTHOR` or a `COMMITTER`."""
    return {f"GIT_{role}_NAME": name, f"GIT_{role}_EMAIL": email}


def commit_tree(path: Path, tree: str, parents: Sequence[str], message: str, who: dict[str, str]) -> str:
    flags = [part for sha in parents for part in ("-p", sha)]
    return git(path, "commit-tree", tree, *flags, data=message.encode(), env=who)


@on("POST", REPO + "/git/blobs", "contents:write")
def create_blob(call: Call) -> Answer:
    content = call.body["content"]
    data = base64.b64decode(content) if call.body.get("encoding") == "base64" else content.encode()
    sha = git(call.git_dir, "hash-object", "-w", "--stdin", data=data)
    return 201, {"sha": sha, "url": f"{call.view.api}/git/blobs/{sha}"}


@on("POST", REPO + "/git/trees", "contents:write")
def create_tree(call: Call) -> Answer:
    """Lay entries over a base tree: an object or a content by path, none to delete it."""
    call.need("Tree", "tree")
    index = {"GIT_INDEX_FILE": str(call.git_dir / "index")}
    git(call.git_dir, "read-tree", call.body.get("base_tree") or "--empty", env=index)
    for entry in call.body["tree"]:
        sha = entry.get("sha") or NONE
        if "content" in entry:
            sha = git(call.git_dir, "hash-object", "-w", "--stdin", data=entry["content"].encode())
        row = f"{entry['mode'] if sha != NONE else '0'} {sha}\t{entry['path']}\n"
        git(call.git_dir, "update-index", "--index-info", data=row.encode(), env=index)
    sha = git(call.git_dir, "write-tree", env=index)
    rows = git(call.git_dir, "ls-tree", "--full-tree", sha).splitlines()
    tree = [call.view.tree_entry(row) for row in rows]
    return 201, {"sha": sha, "url": f"{call.view.api}/git/trees/{sha}", "tree": tree, "truncated": False}


@on("POST", REPO + "/git/commits", "contents:write")
def create_commit(call: Call) -> Answer:
    call.need("Commit", "message", "tree")
    number = (call.view.user(call.user) or {})["id"]
    authors = {
        role: call.body.get(role)
        or {"name": call.user, "email": f"{number}+{call.user}@users.noreply.{call.host}"}
        for role in ("author", "committer")
    }
    environment = {**who("AUTHOR", **authors["author"]), **who("COMMITTER", **authors["committer"])}
    parents = call.body.get("parents", ())
    sha = commit_tree(call.git_dir, call.body["tree"], parents, call.body["message"], environment)
    if call.by_app and not {"author", "committer"} & call.body.keys():
        call.forge.sign(call.full_name, sha)
    return 201, call.view.git_commit(sha)


@on("GET", REPO + "/git/commits/{sha}", "contents:read")
def git_commit(call: Call) -> Answer:
    return call.view.git_commit(call.revision(call.path["sha"]))


@on("GET", REPO + "/git/ref/{ref:path}", "contents:read")
def reference(call: Call) -> Answer:
    ref = f"refs/{call.path['ref']}"
    sha = call.forge.sha(call.full_name, ref)
    if sha is None:
        raise not_found()
    return call.view.reference(ref, sha)


@on("POST", REPO + "/git/refs", "contents:write")
def create_ref(call: Call) -> Answer:
    call.need("Reference", "ref", "sha")
    if call.forge.sha(call.full_name, call.body["ref"]):
        raise ApiError(422, "Reference already exists")
    return 201, _moved(call, call.body["ref"])


@on("PATCH", REPO + "/git/refs/{ref:path}", "contents:write")
def update_ref(call: Call) -> Answer:
    ref = f"refs/{call.path['ref']}"
    old = call.forge.sha(call.full_name, ref)
    if old is None:
        raise ApiError(422, "Reference does not exist")
    if not call.body.get("force") and git(call.git_dir, "rev-list", "-1", f"{call.body['sha']}..{old}"):
        raise ApiError(422, "Update is not a fast forward")
    return _moved(call, ref)


def _moved(call: Call, ref: str) -> dict[str, object]:
    sha = call.body["sha"]
    if call.forge.sha(call.full_name, sha) is None:
        raise invalid("Reference", "sha", "custom", "Object does not exist")
    if why := call.forge.violation(call.full_name, ref.removeprefix("refs/heads/"), sha):
        raise ApiError(422, f"Repository rule violations found\n\n{why}")
    git(call.git_dir, "update-ref", ref, sha)
    return call.view.reference(ref, sha)


@on("DELETE", REPO + "/git/refs/{ref:path}", "contents:write")
def delete_ref(call: Call) -> Answer:
    ref = f"refs/{call.path['ref']}"
    if call.forge.sha(call.full_name, ref) is None:
        raise ApiError(422, "Reference does not exist")
    git(call.git_dir, "update-ref", "-d", ref)
    return 204, None


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

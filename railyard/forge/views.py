"""JSON in GitHub's shapes."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from railyard.forge.store import Forge, Json, git, now

STATUS = {"A": "added", "M": "modified", "D": "removed", "R": "renamed", "C": "copied", "T": "changed"}
COMMIT_FORMAT = "%x00".join(["%H", "%T", "%P", "%an", "%ae", "%aI", "%cn", "%ce", "%cI", "%B"])


def _utc(iso: str) -> str:
    return datetime.fromisoformat(iso).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class View:
    """`api` and `web` are the addresses the caller used: PyGithub requires that responses repeat them."""

    def __init__(self, forge: Forge, full_name: str, api: str, web: str) -> None:
        self.forge, self.full_name = forge, full_name
        self.root, self.site = api, web
        self.api, self.web = f"{api}/repos/{full_name}", f"{web}/{full_name}"
        self.git_dir = forge.git_dir(full_name)

    def user(self, login: str | None) -> Json | None:
        if login is None:
            return None
        number = int(hashlib.sha256(login.encode()).hexdigest()[:6], 16)
        return {
            "login": login,
            "id": number,
            "node_id": f"U_{number}",
            "type": "Bot" if login.endswith("[bot]") else "User",
            "site_admin": False,
            "url": f"{self.root}/users/{login}",
            "html_url": f"{self.site}/{login}",
            "avatar_url": "",
        }

    def repository(self) -> Json:
        repo = self.forge.repo(self.full_name)
        owner, name = self.full_name.split("/")
        return {
            "id": repo["id"],
            "node_id": f"R_{repo['id']}",
            "name": name,
            "full_name": self.full_name,
            "private": True,
            "owner": self.user(owner),
            "html_url": self.web,
            "url": self.api,
            "fork": False,
            "description": None,
            "clone_url": f"{self.web}.git",
            "default_branch": repo["default_branch"],
            "created_at": repo["created_at"],
            "updated_at": repo["created_at"],
            "pushed_at": repo["created_at"],
            "archived": bool(repo.get("archived")),
            "disabled": False,
            "has_issues": repo.get("has_issues", True),
            "has_pull_requests": repo.get("has_pull_requests", True),
            "permissions": {"admin": False, "push": True, "pull": True},
        }

    def commit(self, sha: str) -> Json:
        part = git(self.git_dir, "show", "-s", f"--format={COMMIT_FORMAT}", sha).split("\0")

        def who(name: str, mail: str, date: str) -> Json:
            return {"name": name, "email": mail, "date": _utc(date)}

        return {
            "sha": part[0],
            "node_id": f"C_{part[0]}",
            "url": f"{self.api}/commits/{part[0]}",
            "html_url": f"{self.web}/commit/{part[0]}",
            "commit": {
                "url": f"{self.api}/git/commits/{part[0]}",
                "message": part[9].rstrip("\n"),
                "comment_count": 0,
                "author": who(*part[3:6]),
                "committer": who(*part[6:9]),
                "tree": {"sha": part[1], "url": f"{self.api}/git/trees/{part[1]}"},
                "verification": self._verification(part[0]),
            },
            "author": self.user(part[3]),
            "committer": self.user(part[6]),
            "parents": [{"sha": sha, "url": f"{self.api}/commits/{sha}"} for sha in part[2].split()],
        }

    def _verification(self, sha: str) -> Json:
        signed = self.forge.signed(self.full_name, sha)
        return {
            "verified": signed,
            "reason": "valid" if signed else "unsigned",
            "signature": "-----BEGIN PGP SIGNATURE-----" if signed else None,
            "payload": git(self.git_dir, "cat-file", "commit", sha) if signed else None,
            "verified_at": now() if signed else None,
        }

    def git_commit(self, sha: str) -> Json:
        """Return a commit as git's own object."""
        found = self.commit(sha)
        parents = [parent | {"html_url": f"{self.web}/commit/{parent['sha']}"} for parent in found["parents"]]
        kept = {key: found[key] for key in ("sha", "node_id", "html_url")}
        return {**found["commit"], **kept, "parents": parents}

    def reference(self, ref: str, sha: str) -> Json:
        target = {"type": "commit", "sha": sha, "url": f"{self.api}/git/commits/{sha}"}
        return {"ref": ref, "node_id": f"REF_{ref}", "url": f"{self.api}/git/{ref}", "object": target}

    def files(self, old: str, new: str) -> list[Json]:
        raw = [part for part in self._diff(old, new, "--raw", "--abbrev=40", "-z").split("\0") if part]
        counts = dict(self._counts(old, new))
        found = []
        while raw:
            _, _, _, blob, status = raw.pop(0).split()
            before = raw.pop(0)
            path = raw.pop(0) if status[0] in "RC" else before
            added, removed = counts.get(path, (0, 0))
            file: Json = {
                "sha": blob,
                "filename": path,
                "status": STATUS.get(status[0], "changed"),
                "additions": max(added, 0),
                "deletions": max(removed, 0),
                "changes": max(added, 0) + max(removed, 0),
                "blob_url": f"{self.web}/blob/{new}/{path}",
                "raw_url": f"{self.web}/raw/{new}/{path}",
                "contents_url": f"{self.api}/contents/{path}?ref={new}",
            }
            if path != before:
                file["previous_filename"] = before
            text = self._diff(old, new, "--", before, path)
            if added >= 0 and "\n@@" in text:
                file["patch"] = text[text.index("\n@@") + 1 :]
            found.append(file)
        return found

    def _diff(self, old: str, new: str, *arguments: str) -> str:
        split = arguments.index("--") if "--" in arguments else len(arguments)
        return git(self.git_dir, "diff", "-M", *arguments[:split], old, new, *arguments[split:])

    def _counts(self, old: str, new: str) -> list[tuple[str, tuple[int, int]]]:
        """Return lines added and removed by path; -1 for binary files."""
        parts = self._diff(old, new, "--numstat", "-z").split("\0")
        rows = []
        while parts and parts[0]:
            added, removed, path = parts.pop(0).split("\t")
            if not path:  # a rename: both names follow
                parts.pop(0)
                path = parts.pop(0)
            rows.append((path, tuple(-1 if n == "-" else int(n) for n in (added, removed))))
        return rows  # type: ignore[return-value]

    def merge_base(self, one: str, other: str) -> str:
        found = git(self.git_dir, "merge-base", one, other, check=False)
        return found or git(self.git_dir, "hash-object", "-t", "tree", "-w", "/dev/null")

    def label(self, name: str) -> Json:
        label = self.forge.repo(self.full_name)["labels"].get(name.lower(), {"id": 1, "name": name})
        return {
            "id": label["id"],
            "node_id": f"LA_{label['id']}",
            "url": f"{self.api}/labels/{quote(name)}",
            "name": label["name"],
            "color": label.get("color", "ededed"),
            "description": label.get("description"),
            "default": False,
        }

    def issue(self, issue: Json) -> Json:
        number, is_pull = issue["number"], "head" in issue
        comments = self.forge.repo(self.full_name)["comments"].values()
        out: Json = {
            **{
                k: issue.get(k)
                for k in ("id", "number", "title", "body", "state", "created_at", "updated_at")
            },
            "node_id": f"I_{issue['id']}",
            "closed_at": issue.get("closed_at"),
            "locked": bool(issue.get("locked")),
            "user": self.user(issue["user"]),
            "labels": [self.label(name) for name in issue["labels"]],
            "assignee": None,
            "assignees": [],
            "milestone": None,
            "comments": sum(comment["issue"] == number for comment in comments),
            "url": f"{self.api}/issues/{number}",
            "html_url": f"{self.web}/{'pull' if is_pull else 'issues'}/{number}",
            "repository_url": self.api,
            "comments_url": f"{self.api}/issues/{number}/comments",
            "labels_url": f"{self.api}/issues/{number}/labels{{/name}}",
            "events_url": f"{self.api}/issues/{number}/events",
            "author_association": "MEMBER",
        }
        if is_pull:
            out["pull_request"] = {"url": f"{self.api}/pulls/{number}", "html_url": out["html_url"]}
        return out

    def pull(self, pull: Json, *, full: bool = True) -> Json:
        number, is_open = pull["number"], pull["state"] == "open"
        base = (self.forge.branch(self.full_name, pull["base"]) if is_open else None) or pull["base_sha"]
        out = self.issue(pull)
        for key in ("pull_request", "comments", "labels_url", "events_url", "repository_url"):
            out.pop(key)
        out |= {
            "url": f"{self.api}/pulls/{number}",
            "issue_url": f"{self.api}/issues/{number}",
            "draft": pull["draft"],
            "diff_url": f"{self.web}/pull/{number}.diff",
            "patch_url": f"{self.web}/pull/{number}.patch",
            "commits_url": f"{self.api}/pulls/{number}/commits",
            "review_comments_url": f"{self.api}/pulls/{number}/comments",
            "statuses_url": f"{self.api}/statuses/{pull['head_sha']}",
            "head": self._end(pull["head"], pull["head_sha"]),
            "base": self._end(pull["base"], base),
            "merged_at": pull.get("merged_at"),
            "merge_commit_sha": pull.get("merge_commit_sha"),
            "requested_reviewers": [self.user(login) for login in pull.get("reviewers", [])],
            "requested_teams": [],
        }
        return out | self._details(pull, base) if full else out

    def _end(self, branch: str, sha: str) -> Json:
        owner = self.full_name.split("/")[0]
        return {
            "label": f"{owner}:{branch}",
            "ref": branch,
            "sha": sha,
            "user": self.user(owner),
            "repo": self.repository(),
        }

    def _details(self, pull: Json, base: str) -> Json:
        files, is_open = self.pull_files(pull), pull["state"] == "open"
        clean = is_open and self.forge.merge_tree(self.full_name, base, pull["head_sha"]) is not None
        return {
            "merged": bool(pull.get("merged")),
            "merged_by": self.user(pull.get("merged_by")),
            "mergeable": clean if is_open else None,
            "mergeable_state": "unknown" if not is_open else "clean" if clean else "dirty",
            "comments": self.issue(pull)["comments"],
            "review_comments": sum(c["issue"] == pull["number"] for c in self._line_comments()),
            "commits": len(self.pull_commits(pull)),
            "changed_files": len(files),
            "additions": sum(file["additions"] for file in files),
            "deletions": sum(file["deletions"] for file in files),
        }

    def _pull_base(self, pull: Json) -> str:
        base = self.forge.branch(self.full_name, pull["base"]) if pull["state"] == "open" else None
        return self.merge_base(base or pull["base_sha"], pull["head_sha"])

    def pull_commits(self, pull: Json) -> list[str]:
        span = f"{self._pull_base(pull)}..{pull['head_sha']}"
        return git(self.git_dir, "rev-list", "--reverse", span).split()

    def pull_files(self, pull: Json) -> list[Json]:
        return self.files(self._pull_base(pull), pull["head_sha"])

    def diff(self, pull: Json) -> str:
        return git(self.git_dir, "diff", "-M", self._pull_base(pull), pull["head_sha"]) + "\n"

    def comment(self, comment: Json) -> Json:
        number = comment["issue"]
        return {
            **{k: comment[k] for k in ("id", "body", "created_at", "updated_at")},
            "node_id": f"IC_{comment['id']}",
            "user": self.user(comment["user"]),
            "author_association": "MEMBER",
            "url": f"{self.api}/issues/comments/{comment['id']}",
            "issue_url": f"{self.api}/issues/{number}",
            "html_url": f"{self.web}/issues/{number}#issuecomment-{comment['id']}",
            "performed_via_github_app": comment.get("app"),
        }

    def _line_comments(self) -> Iterable[Json]:
        rows: Iterable[Json] = self.forge.repo(self.full_name)["review_comments"].values()
        return rows

    def line_comment(self, row: Json) -> Json:
        return {
            **{k: row.get(k) for k in ("id", "body", "path", "commit_id", "created_at", "updated_at")},
            **self._place(row),
            **({"in_reply_to_id": row["in_reply_to_id"]} if row.get("in_reply_to_id") else {}),
            "node_id": f"PRRC_{row['id']}",
            "user": self.user(row["user"]),
            "author_association": "MEMBER",
            "url": f"{self.api}/pulls/comments/{row['id']}",
            "pull_request_url": f"{self.api}/pulls/{row['issue']}",
            "html_url": f"{self.web}/pull/{row['issue']}#discussion_r{row['id']}",
        }

    def _place(self, row: Json) -> Json:
        """Return the lines of a comment; an outdated one has only those of its own commit."""
        pull, commit = self.forge.repo(self.full_name)["issues"][str(row["issue"])], row["commit_id"]
        outdated = bool(self._diff(commit, pull["head_sha"], "--", row["path"]))
        hunk = self._diff(self._pull_base(pull), commit, "--", row["path"])
        return {
            "line": None if outdated else row.get("line"),
            "start_line": None if outdated else row.get("start_line"),
            "original_line": row.get("line"),
            "original_start_line": row.get("start_line"),
            "diff_hunk": hunk[hunk.find("@@") :],
        }

    def review(self, row: Json) -> Json:
        return {
            **{k: row[k] for k in ("id", "body", "state", "commit_id", "submitted_at")},
            "node_id": f"PRR_{row['id']}",
            "user": self.user(row["user"]),
            "author_association": "MEMBER",
            "pull_request_url": f"{self.api}/pulls/{row['issue']}",
            "html_url": f"{self.web}/pull/{row['issue']}#pullrequestreview-{row['id']}",
        }

    def tree_entry(self, row: str) -> Json:
        """A line of `git ls-tree`: mode, type, object, path."""
        about, _, path = row.partition("\t")
        mode, kind, sha = about.split()
        url = f"{self.api}/git/{kind}s/{sha}"
        return {"path": path, "mode": mode, "type": kind, "sha": sha, "url": url}

    def branch(self, name: str, sha: str) -> dict[str, Any]:
        return {"name": name, "commit": self.commit(sha), "protected": False}

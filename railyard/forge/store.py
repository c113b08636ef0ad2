"""Store: git holds branches, commits, diffs and merges; `state.json` holds the rest."""

import json
import os
import subprocess
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

Json = dict[str, Any]
DOCUMENTATION = "https://docs.github.com/rest"
MAX_BODY = 65_536
# Login of the person who reviews.
PERSON = "you"
SIGNED = "required_signatures"
# Each push calls it; `signed` lists the commits that the forge has signed.
HOOK = """#!/bin/sh
refuse() {{ echo 'error: GH013: Repository rule violations found' >&2; exit 1; }}
touch signed
while read -r old new ref; do
case "$old" in *[!0]*) known=$old;; *) known=--all;; esac
case "$ref" in
{}
esac; done
"""
REFUSE = "refuse"
UNSIGNED_ONLY = 'for sha in $(git rev-list "$new" --not $known); do grep -qx "$sha" signed || refuse; done'


class ApiError(Exception):
    """A refusal with GitHub's body."""

    def __init__(
        self,
        status: int,
        message: str,
        errors: list[Json] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.headers = status, headers
        self.body: Json = {"message": message, "documentation_url": DOCUMENTATION, "status": str(status)}
        if errors is not None:
            self.body["errors"] = errors


def not_found(message: str = "Not Found") -> ApiError:
    return ApiError(404, message)


def invalid(
    resource: str, field: str | None = None, code: str = "invalid", message: str | None = None
) -> ApiError:
    error = {"resource": resource, "code": code, "field": field, "message": message}
    return ApiError(422, "Validation Failed", [{k: v for k, v in error.items() if v is not None}])


FORM = "%Y-%m-%dT%H:%M:%SZ"


def now() -> str:
    return datetime.now(UTC).strftime(FORM)


def git(
    path: Path,
    *arguments: str,
    data: bytes | None = None,
    check: bool = True,
    env: Mapping[str, str] | None = None,
) -> str:
    """Return git's output; with `check=False` an empty text if it fails."""
    done = subprocess.run(
        ["git", "--git-dir", str(path), *arguments],
        input=data,
        capture_output=True,
        env={**os.environ, **(env or {})},
        check=False,
    )
    if done.returncode == 0:
        return done.stdout.decode("utf-8", "replace").rstrip("\n")
    if check:
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return ""


class Forge:
    """The store. Callers hold `lock` around every use."""

    def __init__(self, root: Path, tokens: Mapping[str, str]) -> None:
        """`tokens`: login by token. A login that ends with `(read)` may not push."""
        root.mkdir(parents=True, exist_ok=True)
        self.root = root
        self.lock = threading.RLock()
        self.tokens = dict(tokens)
        self.faults: list[Json] = []
        # Kind and permissions of the tokens that are limited, and the calls that were made: method, template.
        self.grants: dict[str, tuple[str, Mapping[str, str]]] = {}
        self.calls: set[tuple[str, str]] = set()
        self._file = root / "state.json"
        self.state: Json = (
            json.loads(self._file.read_text()) if self._file.exists() else {"sequence": 1000, "repos": {}}
        )

    def save(self) -> None:
        partial = self._file.with_suffix(".tmp")
        partial.write_text(json.dumps(self.state, indent=1))
        partial.replace(self._file)

    def limit(self, token: str, kind: str, **permissions: str) -> None:
        """Make a token `fine-grained`, or one of an `app`, with these permissions (`read` or `write`)."""
        if kind == "fine-grained" and "checks" in permissions:
            raise ValueError("GitHub offers no Checks permission for fine-grained tokens.")
        self.grants[token] = (kind, {"metadata": "read", **permissions})

    def permit(self, token: str, needs: str) -> None:
        """Raise GitHub's 403 where a token lacks what a call needs: `permission:level`, any one of `|`."""
        kind, granted = self.grants.get(token, ("classic", {}))
        if kind == "classic" or not needs or (needs == "account:read" and kind == "fine-grained"):
            return
        for alternative in needs.split("|"):
            name, _, level = alternative.partition(":")
            if granted.get(name) in (level, "write"):
                return
        who = "integration" if kind == "app" else "personal access token"
        accepted = needs.replace(":", "=").replace("|", "; ")
        headers = {"X-Accepted-GitHub-Permissions": accepted}
        raise ApiError(403, f"Resource not accessible by {who}", headers=headers)

    def add_rule(self, full_name: str, branches: str, kind: str, **parameters: Any) -> None:
        """Add a rule of a ruleset for branches like `railmend/*`; it refuses what it forbids."""
        self._refuse(
            full_name, {"type": kind, "branches": branches, "ruleset_id": 7, "parameters": parameters}
        )

    def protect(self, full_name: str, branch: str) -> None:
        """Protect a branch, as it was done before there were rulesets: it takes signed commits alone."""
        self._refuse(full_name, {"type": SIGNED, "branches": branch})

    def _refuse(self, full_name: str, rule: Json) -> None:
        rules = self.repo(full_name).setdefault("rules", [])
        rules.append(rule)
        cases = [
            f"refs/heads/{row['branches']}) " + (UNSIGNED_ONLY if row["type"] == SIGNED else REFUSE) + " ;;"
            for row in rules
        ]
        hook = self.git_dir(full_name) / "hooks" / "pre-receive"
        hook.write_text(HOOK.format("\n".join(cases)))
        hook.chmod(0o755)

    def rules_of(self, full_name: str, branch: str) -> list[Json]:
        return [row for row in self.repo(full_name).get("rules", ()) if fnmatch(branch, row["branches"])]

    def violation(self, full_name: str, branch: str, sha: str) -> str:
        """Return why rules do not let a branch move to a commit; empty: they let it."""
        kinds = {row["type"] for row in self.rules_of(full_name, branch)}
        if kinds & {"creation", "update"}:
            return "Cannot update this protected ref."
        known = self.branch(full_name, branch) or "--all"
        new = git(self.git_dir(full_name), "rev-list", sha, "--not", known).split()
        signed = all(self.signed(full_name, commit) for commit in new)
        return "" if signed or SIGNED not in kinds else "Commits must have verified signatures."

    def sign(self, full_name: str, sha: str) -> None:
        """Note that the forge itself signed a commit; the hook reads that, too."""
        with (self.git_dir(full_name) / "signed").open("a") as file:
            file.write(f"{sha}\n")

    def signed(self, full_name: str, sha: str) -> bool:
        file = self.git_dir(full_name) / "signed"
        return file.exists() and sha in file.read_text().split()

    def next_id(self) -> int:
        self.state["sequence"] += 1
        return int(self.state["sequence"])

    def add_repo(self, full_name: str) -> Path:
        """Return the bare repository's directory, created if missing."""
        path = self.git_dir(full_name)
        if self.state.get("renamed", {}).pop(full_name, None):
            path.unlink()
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
            for key in ("http.receivepack", "uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
                git(path, "config", key, "true")
        tables: Json = {name: {} for name in ("issues", "labels", "comments", "review_comments", "checks")}
        self.state["repos"].setdefault(
            full_name,
            {
                "id": self.next_id(),
                "default_branch": "main",
                "created_at": now(),
                "number": 0,
                **tables,
            },
        )
        self.save()
        return path

    def rename(self, old: str, new: str) -> None:
        """Rename a repository; the old name leads to it until another repository takes it."""
        if new in self.state["repos"]:
            raise invalid("Repository", "name", "custom", "name already exists on this account")
        repo = self.state["repos"].pop(old)
        self.state["repos"][new] = repo
        self.state.setdefault("renamed", {})[old] = repo["id"]
        self.state["renamed"].pop(new, None)
        self.git_dir(old).rename(self.git_dir(new))
        # The platform watches the branch on disk, and must keep seeing it.
        self.git_dir(old).symlink_to(self.git_dir(new))

    def name_of(self, number: int) -> str | None:
        return next((name for name, repo in self.state["repos"].items() if repo["id"] == number), None)

    def git_dir(self, full_name: str) -> Path:
        return self.root / f"{full_name}.git"

    def repo(self, full_name: str) -> Json:
        if full_name not in self.state["repos"]:
            raise not_found()
        found: Json = self.state["repos"][full_name]
        return found

    def role(self, full_name: str, login: str) -> str | None:
        """Return the permission as set; by default this person is admin, users of tokens write."""
        by_token = {name: "read" if name.endswith("(read)") else "write" for name in self.tokens.values()}
        roles: Json = self.repo(full_name).get("roles", {})
        return roles.get(login) or ({PERSON: "admin"} | by_token).get(login)

    def sha(self, full_name: str, revision: str) -> str | None:
        found = git(
            self.git_dir(full_name), "rev-parse", "-q", "--verify", f"{revision}^{{commit}}", check=False
        )
        return found or None

    def branch(self, full_name: str, name: str) -> str | None:
        return self.sha(full_name, f"refs/heads/{name}") if name else None

    def issue(self, full_name: str, number: int, *, pull: bool = False) -> Json:
        found = self.repo(full_name)["issues"].get(str(number))
        if found is None or (pull and "head" not in found):
            raise not_found()
        return self.sync(full_name, found)

    def sync(self, full_name: str, pull: Json) -> Json:
        """Update an open pull request from git: pushed to, branch deleted, merged by hand."""
        if "head" not in pull or pull["state"] != "open":
            return pull
        head, base = self.branch(full_name, pull["head"]), self.branch(full_name, pull["base"])
        if head is None:
            pull.update(state="closed", closed_at=now(), updated_at=now())
            return pull
        if head != pull["head_sha"]:
            pull.update(head_sha=head, updated_at=now())
        git(self.git_dir(full_name), "update-ref", f"refs/pull/{pull['number']}/head", head)
        moved = base and base != pull["base_sha"]
        if moved and not git(self.git_dir(full_name), "rev-list", "-1", f"{base}..{head}"):
            pull.update(state="closed", merged=True, merged_at=now(), closed_at=now(), merge_commit_sha=head)
        return pull

    def merge_tree(self, full_name: str, base: str, head: str) -> str | None:
        """Return the merged tree, or None on a conflict."""
        out = git(self.git_dir(full_name), "merge-tree", "--write-tree", base, head, check=False)
        return out.split()[0] if out else None

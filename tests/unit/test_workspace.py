"""The trusted repository against what an agent may leave in its work tree."""

import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from activities.coding import MAX_RULES, rules_of
from railmend.coding.git.commands import GitError
from railmend.coding.git.diff import ChangedFile
from railmend.coding.git.repository import BranchMoved, TrustedRepository
from railmend.coding.sandbox.foreign_files import remove_tree
from railmend.coding.sandbox.quota import Quota, exceeded
from railmend.coding.sandbox.resource_usage import disk_use, measure
from tests import samples

BOT = ("Railmend", "railmend@example.invalid")


def commit(repository: TrustedRepository, base: str, message: str, who: tuple[str, str], when: datetime):  # type: ignore[no-untyped-def]
    return repository.commit(repository.snapshot(base), base, message, who, when)


def changed_files(repository: TrustedRepository, base: str) -> list[ChangedFile]:
    return repository.changed_files(repository.snapshot(base), base)


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=dev", "-c", "user.email=dev@example.invalid", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository with one commit, holding a plugin of its own that must stay hidden."""
    folder = tmp_path_factory.mktemp("published")
    work, bare = folder / "work", folder / "origin.git"
    (work / ".opencode" / "plugin").mkdir(parents=True)
    (work / "app.py").write_text("print('one')\n")
    (work / "opencode.json").write_text("{}")
    (work / ".opencode" / "plugin" / "evil.js").write_text("throw 1")
    run(work, "init", "-q", "-b", "main")
    run(work, "add", "-A")
    run(work, "commit", "-qm", "first")
    run(folder, "clone", "-q", "--bare", str(work), str(bare))
    return bare


@pytest.fixture
def origin(tmp_path: Path, published: Path) -> Path:
    """A copy of it for one test."""
    return Path(shutil.copytree(published, tmp_path / "origin.git"))


@pytest.fixture
def repository(tmp_path: Path, origin: Path) -> TrustedRepository:
    return TrustedRepository(tmp_path / "repair", f"file://{origin}", "tok_secret")


def test_an_edit_becomes_one_repeatable_commit(repository: TrustedRepository, origin: Path) -> None:
    base = repository.prepare("main", None)
    assert commit(repository, base, "nothing", BOT, samples.NOW) is None
    (repository.tree / "app.py").write_text("print('two')\n")
    first = commit(repository, base, "second", BOT, samples.NOW)
    assert first is not None
    assert commit(repository, base, "second", BOT, samples.NOW) == first
    repository.push("railmend/abc", first, None)
    assert run(origin, "show", "railmend/abc:app.py") == "print('two')"
    assert repository.remote_head("railmend/abc") == first
    assert repository.remote_head("railmend/other") is None


def test_preparing_again_keeps_the_agents_work(repository: TrustedRepository) -> None:
    base = repository.prepare("main", None)
    (repository.tree / "app.py").write_text("print('edited')\n")
    assert repository.prepare("main", None) == base
    assert (repository.tree / "app.py").read_text() == "print('edited')\n"


def test_configuration_of_the_agents_server_is_hidden_but_not_deleted(
    repository: TrustedRepository, origin: Path
) -> None:
    base = repository.prepare("main", None)
    assert not (repository.tree / ".opencode").exists()
    assert not (repository.tree / "opencode.json").exists()
    (repository.tree / "opencode.json").write_text('{"plugin": ["./evil.js"]}')
    (repository.tree / "app.py").write_text("print('two')\n")
    assert [each.path for each in changed_files(repository, base)] == ["app.py"]
    sha = commit(repository, base, "second", BOT, samples.NOW)
    assert sha is not None
    repository.push("b", sha, None)
    assert run(origin, "show", "b:opencode.json") == "{}"
    assert run(origin, "show", "b:.opencode/plugin/evil.js") == "throw 1"


def test_nothing_the_agent_wrote_for_git_runs(repository: TrustedRepository, tmp_path: Path) -> None:
    base = repository.prepare("main", None)
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\nenv > {tmp_path}/sprung\n")
    trap.chmod(0o755)
    own = repository.tree / ".git"
    for hook in ("pre-push", "pre-commit", "post-commit", "reference-transaction"):
        (own / "hooks" / hook).parent.mkdir(exist_ok=True)
        (own / "hooks" / hook).write_text(trap.read_text())
        (own / "hooks" / hook).chmod(0o755)
    with (own / "config").open("a") as config:
        config.write(f'[core]\n\tfsmonitor = {trap}\n[filter "x"]\n\tclean = {trap}\n\tsmudge = {trap}\n')
    (repository.tree / ".gitattributes").write_text("* filter=x\n")
    (repository.tree / "app.py").write_text("print('two')\n")
    sha = commit(repository, base, "second", BOT, samples.NOW)
    assert sha is not None
    repository.push("b", sha, None)
    assert not (tmp_path / "sprung").exists()
    assert {each.path for each in changed_files(repository, base)} == {".gitattributes", "app.py"}


def test_a_branch_that_moved_is_never_overwritten(repository: TrustedRepository) -> None:
    base = repository.prepare("main", None)
    (repository.tree / "app.py").write_text("print('two')\n")
    mine = commit(repository, base, "mine", BOT, samples.NOW)
    theirs = commit(repository, base, "theirs", BOT, samples.NOW)
    assert mine is not None
    assert theirs is not None
    repository.push("b", theirs, None)
    with pytest.raises(BranchMoved, match="stale info") as caught:
        repository.push("b", mine, None)
    assert not caught.value.retryable
    assert repository.remote_head("b") == theirs


def test_a_push_that_the_forge_refuses_has_not_found_the_branch_moved(
    repository: TrustedRepository, origin: Path
) -> None:
    base = repository.prepare("main", None)
    (repository.tree / "app.py").write_text("print('two')\n")
    sha = commit(repository, base, "mine", BOT, samples.NOW)
    hook = origin / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho protected branch >&2; exit 1\n")
    hook.chmod(0o755)
    with pytest.raises(GitError, match="pre-receive hook declined") as caught:
        repository.push("b", sha, None)
    assert not isinstance(caught.value, BranchMoved)
    assert not caught.value.retryable


def test_modes_tell_links_and_binaries(repository: TrustedRepository) -> None:
    base = repository.prepare("main", None)
    (repository.tree / "link").symlink_to("/etc/passwd")
    (repository.tree / "blob").write_bytes(bytes(range(256)))
    assert {each.path: each.mode for each in changed_files(repository, base)}["link"] == "120000"
    assert {each.path: each.additions for each in changed_files(repository, base)}["blob"] == -1


def test_the_token_is_on_no_disk(repository: TrustedRepository, tmp_path: Path) -> None:
    repository.prepare("main", None)
    files = [file for file in (tmp_path / "repair").rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if b"tok_secret" in file.read_bytes()]


def test_a_branch_that_is_not_there_is_a_clear_error(repository: TrustedRepository) -> None:
    with pytest.raises(GitError, match="nowhere") as caught:
        repository.prepare("nowhere", None)
    assert not caught.value.retryable


def test_a_submodules_own_configuration_never_runs(tmp_path: Path) -> None:
    """git would ask a submodule for its status, in its folder and with the configuration that lies there."""
    work = tmp_path / "work"
    work.mkdir()
    run(work, "init", "-q", "-b", "main")
    (work / "lib.c").write_text("1")
    run(work, "add", "-A")
    run(work, "commit", "-qm", "first")
    sha = run(work, "rev-parse", "HEAD")
    run(work, "update-index", "--add", "--cacheinfo", f"160000,{sha},vendor")
    run(work, "commit", "-qm", "second")
    repository = TrustedRepository(tmp_path / "repair", f"file://{work}", None)
    base = repository.prepare("main", None)
    vendor, trap = repository.tree / "vendor", tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    vendor.mkdir(exist_ok=True)
    run(vendor, "init", "-q")
    run(vendor, "fetch", "-q", str(work), sha)
    run(vendor, "reset", "-q", "--hard", sha)  # as the parent has it: git then asks for its status
    run(vendor, "config", "filter.x.clean", str(trap))
    (vendor / ".git" / "info").mkdir(exist_ok=True)
    (vendor / ".git" / "info" / "attributes").write_text("* filter=x\n")
    (vendor / "lib.c").write_text("2")
    assert changed_files(repository, base) == []
    assert not (tmp_path / "sprung").exists()


def test_what_a_check_leaves_is_taken_back(repository: TrustedRepository, tmp_path: Path) -> None:
    base = repository.prepare("main", None)
    (repository.tree / "app.py").write_text("print('the fix')\n")
    tree = repository.snapshot(base)
    (repository.tree / "app.py").unlink()
    (repository.tree / "report").mkdir()
    (repository.tree / "report" / "out.xml").write_text("<x/>")
    (repository.tree / "out").symlink_to(tmp_path)
    repository.restore(tree, base)
    assert (repository.tree / "app.py").read_text() == "print('the fix')\n"
    assert repository.snapshot(base) == tree
    assert tmp_path.exists()


def test_installed_packages_are_no_change(repository: TrustedRepository) -> None:
    base = repository.prepare("main", None)
    for name in ("node_modules", "__pycache__", ".venv"):
        (repository.tree / name).mkdir()
        (repository.tree / name / "x").write_text("x")
    assert changed_files(repository, base) == []


def test_the_guard_sees_lines_with_their_numbers(repository: TrustedRepository) -> None:
    base = repository.prepare("main", None)
    (repository.tree / "app.py").write_text("import os\nprint('one')\n--- a\n@@ b\n")
    (repository.tree / "new file\n.txt").write_text("x")
    found = {each.path: each for each in changed_files(repository, base)}
    assert found["app.py"].added == ((1, "import os"), (3, "--- a"), (4, "@@ b"))
    assert found["app.py"].before == "print('one')\n"
    assert found["new file\n.txt"].added[0] == (1, "x")


def test_rules_are_read_from_the_commit_and_through_no_link(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "AGENTS.md").symlink_to("/etc/passwd")
    (work / "README.md").write_text("read me")
    run(work, "init", "-q", "-b", "main")
    run(work, "add", "-A")
    run(work, "commit", "-qm", "first")
    repository = TrustedRepository(tmp_path / "repair", f"file://{work}", None)
    base = repository.prepare("main", None)
    assert repository.text(base, "AGENTS.md") is None
    assert repository.text(base, "README.md") == "read me"
    assert repository.text(base, "missing.md") is None


def test_the_quota_names_what_was_exceeded(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 3 * 1024 * 1024)
    (tmp_path / "link").symlink_to("/usr")
    assert disk_use([tmp_path])[1] == 2
    assert exceeded(measure([tmp_path], []), Quota()) is None
    assert exceeded(measure([tmp_path], []), Quota(disk_mib=2)) == "disk: more than 2 MiB"
    assert exceeded(measure([tmp_path], []), Quota(files=1)) == "disk: more than 1 files"
    assert (
        exceeded(measure([tmp_path], []), Quota(free_mib=10**9)) == "disk: less than 1000000000 MiB are free"
    )


def test_what_is_nested_too_deeply_to_measure_is_refused_and_still_removed(tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    script = "i=0; while [ $i -lt 1500 ]; do mkdir d && cd d; i=$((i+1)); done; echo x > hidden"
    subprocess.run(["sh", "-c", script], cwd=deep, check=True, stderr=subprocess.DEVNULL)
    assert exceeded(measure([deep], []), Quota()) == "disk: folders deeper than 64"
    remove_tree(deep)
    assert not deep.exists()


def test_every_tree_laid_out_for_the_agent_has_the_same_first_commit(tmp_path: Path, origin: Path) -> None:
    """OpenCode keeps its sessions by it: a follow-up on a newer tree must find the session of the plan."""
    firsts = set()
    for number in range(2):
        repository = TrustedRepository(tmp_path / f"repair{number}", f"file://{origin}", None)
        repository.prepare("main", None)
        firsts.add(run(repository.tree, "rev-list", "--max-parents=0", "--all"))
        run(tmp_path, "clone", "-q", str(origin), f"other{number}")
        other = tmp_path / f"other{number}"
        (other / "app.py").write_text(f"print({number})\n")
        run(other, "commit", "-qam", "newer")
        run(other, "push", "-q", "origin", "main")
    assert len(firsts) == 1


def test_the_agent_can_look_at_the_history_and_has_no_way_out(tmp_path: Path, origin: Path) -> None:
    """Evidence names commits; nothing of the trusted repository, its address or its token is there."""
    run(tmp_path, "clone", "-q", str(origin), "people")
    (tmp_path / "people" / "app.py").write_text("print('newer')\n")
    run(tmp_path / "people", "commit", "-qam", "Say newer")
    run(tmp_path / "people", "push", "-q", "origin", "main")
    repository = TrustedRepository(tmp_path / "repair", f"file://{origin}", "secret-token")
    base = repository.prepare("main", None)
    tree = repository.tree
    first = run(origin, "rev-list", "--max-parents=0", "main")
    assert run(tree, "log", "--format=%s", base).splitlines()[0] == "Say newer"
    assert first in run(tree, "log", "--format=%H", base)
    assert "+print('newer')" in run(tree, "show", base)
    assert run(tree, "remote") == ""
    assert run(tree, "for-each-ref", "--format=%(refname)") == "refs/heads/work"
    assert run(tree, "status", "--porcelain") == ""
    for file in (tree / ".git").rglob("*"):
        if file.is_file():
            text = file.read_bytes()
            assert b"secret-token" not in text
            assert str(tmp_path / "repair" / "trusted.git").encode() not in text, file
            assert str(origin).encode() not in text, file


def test_the_history_of_an_older_base_is_there_and_bounded(
    tmp_path: Path, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("railmend.coding.git.repository.HISTORY", 2)
    run(tmp_path, "clone", "-q", str(origin), "people")
    for number in range(4):
        run(tmp_path / "people", "commit", "-q", "--allow-empty", "-m", f"change {number}")
    run(tmp_path / "people", "push", "-q", "origin", "main")
    served = run(tmp_path / "people", "rev-parse", "HEAD~1")
    repository = TrustedRepository(tmp_path / "repair", f"file://{origin}", None)
    repository.prepare("main", served)
    assert run(repository.tree, "log", "--format=%s", served).splitlines() == ["change 2", "change 1"]


def test_a_push_that_somebody_else_made_first_counts_as_made(
    repository: TrustedRepository, origin: Path
) -> None:
    base = repository.prepare("main", None)
    (repository.tree / "app.py").write_text("print('two')\n")
    sha = commit(repository, base, "second", BOT, samples.NOW)
    repository.push("railmend/x", sha, None)
    repository.push("railmend/x", sha, None)  # an attempt that looked before the branch was there
    assert repository.remote_head("railmend/x") == sha


def test_the_rules_of_a_repository_are_found_nearest_first_and_bounded(
    repository: TrustedRepository, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    run(tmp_path, "clone", "-q", "origin.git", "work")
    (work / "shop").mkdir()
    (work / "shop" / "AGENTS.md").write_text("Only the shop.\n")
    (work / "CONTRIBUTING.md").write_text("x" * 2 * MAX_RULES)
    run(work, "add", "-A")
    run(work, "commit", "-qm", "rules")
    run(work, "push", "-q", str(tmp_path / "origin.git"), "main")
    rules = rules_of(repository, repository.prepare("main", None), ["shop"])
    assert list(rules) == ["shop/AGENTS.md", "CONTRIBUTING.md"]
    assert rules["shop/AGENTS.md"] == "Only the shop.\n"
    assert sum(map(len, rules.values())) == MAX_RULES

"""The trusted repository against what an agent may leave in its work tree."""

import subprocess
from pathlib import Path

import pytest

from railmend.coding.git import GitError, TrustedRepository
from tests import samples

BOT = ("Railmend", "railmend@example.invalid")


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=dev", "-c", "user.email=dev@example.invalid", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A bare repository with one commit, holding a plugin of its own that must stay hidden."""
    work, bare = tmp_path / "work", tmp_path / "origin.git"
    (work / ".opencode" / "plugin").mkdir(parents=True)
    (work / "app.py").write_text("print('one')\n")
    (work / "opencode.json").write_text("{}")
    (work / ".opencode" / "plugin" / "evil.js").write_text("throw 1")
    run(work, "init", "-q", "-b", "main")
    run(work, "add", "-A")
    run(work, "commit", "-qm", "first")
    run(tmp_path, "clone", "-q", "--bare", str(work), str(bare))
    return bare


@pytest.fixture
def repository(tmp_path: Path, origin: Path) -> TrustedRepository:
    return TrustedRepository(tmp_path / "repair", f"file://{origin}", "tok_secret")


def test_an_edit_becomes_one_repeatable_commit(repository: TrustedRepository, origin: Path) -> None:
    base = repository.prepare("main", None)
    assert repository.commit(base, "nothing", BOT, samples.NOW) is None
    (repository.tree / "app.py").write_text("print('two')\n")
    first = repository.commit(base, "second", BOT, samples.NOW)
    assert first is not None
    assert repository.commit(base, "second", BOT, samples.NOW) == first
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
    assert [change.path for change in repository.changes(base)] == ["app.py"]
    sha = repository.commit(base, "second", BOT, samples.NOW)
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
    sha = repository.commit(base, "second", BOT, samples.NOW)
    assert sha is not None
    repository.push("b", sha, None)
    assert not (tmp_path / "sprung").exists()
    assert {change.path for change in repository.changes(base)} == {".gitattributes", "app.py"}


def test_a_branch_that_moved_is_never_overwritten(repository: TrustedRepository) -> None:
    base = repository.prepare("main", None)
    (repository.tree / "app.py").write_text("print('two')\n")
    mine = repository.commit(base, "mine", BOT, samples.NOW)
    theirs = repository.commit(base, "theirs", BOT, samples.NOW)
    assert mine is not None
    assert theirs is not None
    repository.push("b", theirs, None)
    with pytest.raises(GitError):
        repository.push("b", mine, None)
    assert repository.remote_head("b") == theirs


def test_modes_tell_links_and_binaries(repository: TrustedRepository) -> None:
    base = repository.prepare("main", None)
    (repository.tree / "link").symlink_to("/etc/passwd")
    (repository.tree / "blob").write_bytes(bytes(range(256)))
    assert repository.modes(base)["link"] == "120000"
    assert {c.path: c.additions for c in repository.changes(base)}["blob"] == -1


def test_the_token_is_on_no_disk(repository: TrustedRepository, tmp_path: Path) -> None:
    repository.prepare("main", None)
    files = [file for file in (tmp_path / "repair").rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if b"tok_secret" in file.read_bytes()]


def test_a_branch_that_is_not_there_is_a_clear_error(repository: TrustedRepository) -> None:
    with pytest.raises(GitError, match="nowhere") as caught:
        repository.prepare("nowhere", None)
    assert not caught.value.retryable

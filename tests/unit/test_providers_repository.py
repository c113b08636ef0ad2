"""Reading a commit: nothing laid out, nothing run, nothing of the token left."""

import asyncio
import subprocess
from pathlib import Path

import pytest

from activities.source import KEPT_SECONDS, SourceReader
from railmend.coding.git.commands import GitError
from railmend.providers import repository
from railmend.providers.detection import detect
from railmend.providers.repository import CommitReader
from tests import samples
from tests.unit.test_workspace import run

SECRET = "tok_secret_value"


@pytest.fixture(params=["with filters", "without filters"])
def origin(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    work, bare = tmp_path / "work", tmp_path / "origin.git"
    (work / "apps" / "api" / "tests").mkdir(parents=True)
    (work / "apps" / "api" / "package.json").write_text('{"dependencies": {"stripe": "1"}}')
    (work / "apps" / "api" / "server.js").write_bytes(b"import 'stripe' // \xe4\n")
    (work / "apps" / "api" / "tests" / "x.js").write_text("import 'twilio'")
    (work / "apps" / "api" / "large.js").write_text("x" * 400_000)
    (work / "apps" / "api" / "binary.js").write_bytes(b"\0\1")
    (work / "apps" / "api" / "link.js").symlink_to("/etc/passwd")
    (work / "apps" / "api" / "logo.png").write_bytes(b"png")
    (work / "main.go").write_text("package main\n")
    (work / ".gitattributes").write_text("*.js filter=evil\n")
    run(work, "init", "-q", "-b", "main")
    run(work, "add", "-A")
    run(work, "commit", "-qm", "first")
    (work / "main.go").write_text("package other\n")
    run(work, "commit", "-qam", "second")
    run(tmp_path, "clone", "-q", "--bare", str(work), str(bare))
    run(bare, "config", "uploadpack.allowFilter", "true" if request.param == "with filters" else "false")
    run(bare, "config", "uploadpack.allowAnySHA1InWant", "true")
    return bare


def reader(tmp_path: Path, origin: Path) -> CommitReader:
    return CommitReader(tmp_path / "code", f"file://{origin}", SECRET)


def test_the_root_directory_of_a_commit_is_read_manifests_first(tmp_path: Path, origin: Path) -> None:
    source = reader(tmp_path, origin).read("main", None, "/apps/api")
    assert source.files == (
        ("package.json", '{"dependencies": {"stripe": "1"}}'),
        ("server.js", "import 'stripe' // \ufffd\n"),
    )
    assert source.commit == run(origin, "rev-parse", "main")


def test_an_older_commit_is_read_where_it_is_named(tmp_path: Path, origin: Path) -> None:
    first = run(origin, "rev-parse", "main~1")
    source = reader(tmp_path, origin).read("main", first, "")
    assert dict(source.files)["main.go"] == "package main\n"
    assert source.commit == first


def test_the_default_branch_is_read_where_none_is_named(tmp_path: Path, origin: Path) -> None:
    assert (
        dict(reader(tmp_path, origin).read(None, "--upload-pack=x", "").files)["main.go"] == "package other\n"
    )


def test_nothing_is_laid_out_and_the_token_is_nowhere(tmp_path: Path, origin: Path) -> None:
    reader(tmp_path, origin).read("main", None, "")
    kept = [path for path in (tmp_path / "code").rglob("*") if path.is_file()]
    assert not [path for path in kept if path.suffix in (".js", ".go")]
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]


def test_what_the_limits_leave_out_is_counted(
    tmp_path: Path, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "MAX_FILES", 1)
    source = reader(tmp_path, origin).read("main", None, "apps/api")
    assert [path for path, _ in source.files] == ["package.json"]
    assert source.left_out >= 1


def test_a_branch_that_is_not_there_is_an_error_without_the_token(tmp_path: Path, origin: Path) -> None:
    with pytest.raises(GitError, match="git fetch failed") as caught:
        reader(tmp_path, origin).read("gone", None, "")
    assert SECRET not in str(caught.value)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path, origin: Path) -> None:
    with pytest.raises(GitError, match="ls-tree failed"):
        reader(tmp_path, origin).read("main", None, "apps/gone")


def test_a_server_that_does_not_answer_is_given_up(
    tmp_path: Path, origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("git", 40)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(GitError, match="timed out") as caught:
        reader(tmp_path, origin).read("main", None, "")
    assert caught.value.retryable


def test_packages_of_the_same_repository_that_the_service_asks_for_are_read_too(tmp_path: Path) -> None:
    work = tmp_path / "work"
    packages = {
        "apps/api": '{"name": "api", "dependencies": {"@shop/mail": "workspace:*"}}',
        "packages/mail": '{"name": "@shop/mail", "dependencies": {"@shop/http": "*", "resend": "4"}}',
        "packages/http": '{"name": "@shop/http"}',
        "packages/unused": '{"name": "@shop/unused", "dependencies": {"twilio": "5"}}',
    }
    for folder, manifest in packages.items():
        (work / folder).mkdir(parents=True)
        (work / folder / "package.json").write_text(manifest)
        (work / folder / "index.js").write_text("module.exports = {};")
    run(work, "init", "-q", "-b", "main")
    run(work, "add", "-A")
    run(work, "commit", "-qm", "first")
    source = CommitReader(tmp_path / "code", f"file://{work}", SECRET).read("main", None, "apps/api")
    folders = {path.rpartition("/")[0] for path, _ in source.files}
    assert folders == {"", "../../packages/mail", "../../packages/http"}
    assert {used.provider for used in detect(source.files)} == {"resend"}


class Forge:
    """A repository on this machine, and how often it was fetched."""

    def __init__(self, origin: Path) -> None:
        self.origin, self.fetched = origin, 0

    def clone_url(self, full_name: str) -> str:
        self.fetched += 1
        return f"file://{self.origin}"

    def git_token(self, full_name: str) -> str:
        return SECRET


async def test_who_asks_for_a_commit_that_is_or_was_just_read_gets_the_same(
    tmp_path: Path, origin: Path
) -> None:
    forge, now, service = Forge(origin), 0.0, samples.service(commit=None)
    source = SourceReader(forge, tmp_path, clock=lambda: now)  # type: ignore[arg-type]
    at_once = await asyncio.gather(source.read(service), source.read(service))
    assert at_once[0] is at_once[1] is await source.read(service)
    assert forge.fetched == 1
    first = run(origin, "rev-parse", "main~1")
    assert (await source.read(service, first)).commit == first
    assert forge.fetched == 2
    now = KEPT_SECONDS + 1.0
    await source.read(service)
    assert forge.fetched == 3
    assert not list(tmp_path.glob("railmend-code-*"))


async def test_a_commit_that_could_not_be_read_is_asked_for_again(tmp_path: Path, origin: Path) -> None:
    forge, service = Forge(tmp_path / "away"), samples.service(commit=None)
    source = SourceReader(forge, tmp_path)  # type: ignore[arg-type]
    with pytest.raises(GitError):
        await source.read(service)
    forge.origin = origin
    assert dict((await source.read(service)).files)["main.go"] == "package other\n"


async def test_who_stops_waiting_stops_nobody_else(tmp_path: Path, origin: Path) -> None:
    source = SourceReader(Forge(origin), tmp_path)  # type: ignore[arg-type]
    leaves = asyncio.create_task(source.read(samples.service(commit=None)))
    stays = asyncio.create_task(source.read(samples.service(commit=None)))
    await asyncio.sleep(0)
    leaves.cancel()
    assert dict((await stays).files)["main.go"] == "package other\n"

"""What the agent may not have done. Each refusal is a sentence for a person."""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from railmend.contracts.repair import FileChange

MAX_FILES = 20
MAX_LINES = 800
FORBIDDEN_NAMES = frozenset({".gitattributes", ".gitmodules", ".gitignore"})
FORBIDDEN_FOLDERS = (".github/workflows/", ".github/actions/", ".git/", ".husky/")
FORBIDDEN_MODES = {"120000": "a symbolic link", "160000": "a submodule"}
SECRET = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----|\bgh[pousr]_[A-Za-z0-9]{20,}|\bgithub_pat_\w{20,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\b[sr]k_live_[A-Za-z0-9]{10,}|\bsk-[A-Za-z0-9_-]{20,}|\bxox[abprs]-[\w-]{10,}"
)
TEST_FILE = re.compile(
    r"(?:^|/)(?:tests?|__tests__|spec)/|(?:^|/)(?:test_[^/]+|[^/]+[._](?:test|spec))\.\w+$"
)


def review(
    files: Sequence[FileChange], diff: str, *, root_directories: Sequence[str], modes: Mapping[str, str]
) -> tuple[str, ...]:
    """Empty: the change may be published. `root_directories`: empty means the whole repository."""
    refused = [sentence for file in files for sentence in _file(file, root_directories, modes)]
    if len(files) > MAX_FILES:
        refused.append(f"The change touches {len(files)} files; at most {MAX_FILES} are allowed.")
    lines = sum(max(file.additions, 0) + max(file.deletions, 0) for file in files)
    if lines > MAX_LINES:
        refused.append(f"The change has {lines} lines; at most {MAX_LINES} are allowed.")
    if any(line.startswith("+") and SECRET.search(line) for line in diff.splitlines()):
        refused.append("The change adds what looks like a secret.")
    return tuple(refused)


def _file(file: FileChange, roots: Sequence[str], modes: Mapping[str, str]) -> list[str]:
    path, refused = file.path, []
    if PurePosixPath(path).name in FORBIDDEN_NAMES or path.startswith(FORBIDDEN_FOLDERS):
        refused.append(f"{path} may not be touched.")
    if kind := FORBIDDEN_MODES.get(modes.get(path, "")):
        refused.append(f"{path} is {kind}.")
    if roots and not any(path.startswith(root.strip("/") + "/") for root in roots):
        refused.append(f"{path} lies outside the service's directory ({', '.join(roots)}).")
    if file.additions < 0:
        refused.append(f"{path} is a binary file.")
    if file.status == "deleted" and TEST_FILE.search(path):
        refused.append(f"{path} is a test and was deleted.")
    return refused

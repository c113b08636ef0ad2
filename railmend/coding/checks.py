"""A repository's own checks: found from its files or set, and what their outcome means."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict

# Where a prepare step puts what it installs for Python: in the agent's home, out of the work tree.
VENV = "venv"
PYTHON_TEST = re.compile(r"^(?:test_.*|.*_test)\.py$")
MAKE_TEST = re.compile(r"^test\s*:(?!=)", re.M)
NO_TEST = "no test specified"  # what `npm init` writes
REQUIREMENTS = re.compile(r"^requirements(?:[-_.](?:dev|test|tests))?\.txt$")
MAX_SUITES = 4


class CheckSettings(BaseModel):
    """RAILMEND_CHECKS, as JSON: repository -> this. Shell commands, run in `directory`.

    `prepare` runs with the network of RAILMEND_PREPARE_HOSTS, `checks` with none; each for at most `seconds`.
    `environment` is visible to the agent: no secrets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prepare: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    directory: str = ""
    seconds: int = 600
    environment: dict[str, str] = {}


@dataclass(frozen=True)
class Suite:
    """What one directory of the repository needs installed, and how it is checked."""

    directory: str
    prepare: tuple[str, ...]
    checks: tuple[str, ...]


Read = Callable[[str], str | None]


def find_suites(
    paths: Sequence[str], read: Read, roots: Sequence[str], settings: CheckSettings
) -> list[Suite]:
    """Return the suites of the services' directories (none: the root), or those that are set."""
    if settings.checks:
        return [Suite(settings.directory, settings.prepare, settings.checks)]
    suites: list[Suite] = []
    for root in dict.fromkeys(root.strip("/") for root in roots or ("",)):
        suites += _suites_in(_Folder(root, paths, read))
    return suites[:MAX_SUITES]


class _Folder:
    """The files of one directory, named relative to it."""

    def __init__(self, root: str, paths: Sequence[str], read: Read) -> None:
        self.root = root
        self._read = read
        prefix = f"{root}/" if root else ""
        self.files = [path.removeprefix(prefix) for path in paths if path.startswith(prefix)]
        self.top = {path for path in self.files if "/" not in path}

    def text(self, name: str) -> str:
        if name not in self.top:
            return ""
        return self._read(f"{self.root}/{name}" if self.root else name) or ""


def _suites_in(folder: _Folder) -> Iterator[Suite]:
    any_suite = False
    for kind in (_python, _node, _go, _rust):
        if (suite := kind(folder)) is not None:
            any_suite = True
            yield suite
    if not any_suite and MAKE_TEST.search(folder.text("Makefile")):
        yield Suite(folder.root, (), ("make test",))


def _python(folder: _Folder) -> Suite | None:
    if not any(PYTHON_TEST.match(PurePosixPath(path).name) for path in folder.files):
        return None
    requirements = sorted(name for name in folder.top if REQUIREMENTS.match(name))
    texts = [folder.text(name) for name in (*requirements, "pyproject.toml", "setup.cfg", "tox.ini")]
    pytest = any("pytest" in text for text in texts) or bool(folder.top & {"pytest.ini", "conftest.py"})
    install = [part for name in requirements for part in ("-r", name)]
    if "[build-system]" in folder.text("pyproject.toml") or "setup.py" in folder.top:
        install += ["-e", "."]
    if pytest:
        install.append("pytest")
    prepare: tuple[str, ...] = ()
    if install:
        pip = f'"$HOME/{VENV}/bin/python" -m pip install --quiet --disable-pip-version-check'
        prepare = (f'python3 -m venv "$HOME/{VENV}"', f"{pip} {' '.join(install)}")
    check = "python3 -m pytest -q -p no:cacheprovider" if pytest else _unittest(folder)
    return Suite(folder.root, prepare, (check,))


def _unittest(folder: _Folder) -> str:
    if not any(path.startswith("tests/") for path in folder.files):
        return "python3 -m unittest discover"
    top = " -t ." if "tests/__init__.py" in folder.files else ""
    return f"python3 -m unittest discover -s tests{top}"


def _node(folder: _Folder) -> Suite | None:
    try:
        package = json.loads(folder.text("package.json") or "{}")
        script = (package.get("scripts") or {}).get("test") or ""
    except (ValueError, AttributeError):
        return None
    if not script or NO_TEST in script:
        return None
    tool, install = "npm", "npm install --no-audit --no-fund --no-package-lock"
    if "package-lock.json" in folder.top:
        install = "npm ci --no-audit --no-fund"
    elif "pnpm-lock.yaml" in folder.top:
        tool, install = "pnpm", "pnpm install --frozen-lockfile"
    elif "yarn.lock" in folder.top:
        tool, install = "yarn", "yarn install --frozen-lockfile"
    needs = any(package.get(key) for key in ("dependencies", "devDependencies"))
    return Suite(folder.root, (install,) if needs else (), (f"{tool} test",))


def _go(folder: _Folder) -> Suite | None:
    if "go.mod" not in folder.top or not any(path.endswith("_test.go") for path in folder.files):
        return None
    return Suite(folder.root, ("go mod download",), ("go test -v ./...",))


def _rust(folder: _Folder) -> Suite | None:
    if "Cargo.toml" not in folder.top:
        return None
    return Suite(folder.root, ("cargo fetch",), ("cargo test --offline",))


def check_environment(home: str, path: str, extra: Mapping[str, str], proxy: str | None) -> dict[str, str]:
    """Return the environment of prepare steps and checks. `proxy`: the only way to the network, if any."""
    values = {
        "PATH": f"{home}/{VENV}/bin:{path}",
        "HOME": home,
        "LANG": "C.UTF-8",
        "CI": "true",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "GIT_TERMINAL_PROMPT": "0",
        **extra,
    }
    if proxy is not None:
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            values |= {name: proxy, name.lower(): proxy}
        values |= dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost,::1")
    return values

"""What a repository's CI runs, read from its GitHub workflows.

The files are hostile: bounded in number, size and depth, and read as plain strings, maps and lists.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import yaml

from railmend.coding.checks.commands import join
from railmend.coding.checks.programs import services_of

MAX_FILES, MAX_BYTES, MAX_TOTAL, MAX_JOBS, MAX_STEPS = 30, 60_000, 400_000, 100, 60
WORKFLOW = re.compile(r"^\.github/workflows/[^/]+\.ya?ml$")
# A workflow that no push or pull request starts says nothing of what must pass.
EVENTS = ("pull_request", "merge_group", "push", "workflow_call")
LATE = re.compile(
    r"deploy|publish|release|nightly|docs?\b|stable|bench|e2e|playwright|smoke|windows|macos|coverage|sonar",
    re.I,
)
EXPRESSION = re.compile(r"\$\{\{\s*([^{}]{1,200}?)\s*\}\}")
SHARD = re.compile(r"\s--?(?:shard|partition|split)[ =](?=\S*\$\{\{)(?:\$\{\{[^{}]*\}\}|[^\s$])+")
NAME = re.compile(r"^[A-Z][A-Z0-9_]{0,60}$")
# They decide where programs come from and what is loaded into them, which is ours to choose.
OURS = re.compile(
    r"^(?:PATH|HOME|SHELL|IFS|BASH_ENV|ENV|LD_.*|.*_PROXY|NO_PROXY|PYTHON(?:PATH|HOME|STARTUP)|VIRTUAL_ENV|NODE_OPTIONS|RUBYOPT)$"
)
BROWSERS = re.compile(r"/(?:setup|install)-(?:chrome|chromedriver|firefox|geckodriver)\b")
STARTS = re.compile(r"^\s*(?:sudo\s+)?(?:systemctl|service|mysql|psql|brew services|docker(?:-compose)?)\b")
MAX_LINE, MAX_DEPTH = 1000, 100
MAX_VARIABLES, MAX_VALUE = 40, 300

Read = Callable[[str], str | None]


@dataclass(frozen=True)
class JobStep:
    """One shell script of a job."""

    run: str
    directory: str = ""
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Job:
    """A job's scripts, and the services that run beside it. `late`: a change is tried with others first."""

    source: str
    name: str
    steps: tuple[JobStep, ...]
    services: tuple[str, ...] = ()
    late: float = 0


def read_jobs(paths: Sequence[str], read: Read) -> list[Job]:
    """Return the jobs that a push or pull request starts, those first that a change is usually tried with."""
    jobs: list[Job] = []
    total = 0
    for path in [path for path in sorted(paths) if WORKFLOW.match(path)][:MAX_FILES]:
        text = read(path) or ""
        total += len(text)
        if len(text) > MAX_BYTES or total > MAX_TOTAL:
            continue
        jobs += _github(path, _map(parsed_yaml(text)))
    return sorted(jobs[:MAX_JOBS], key=lambda job: job.late)


def parsed_yaml(text: str) -> Any:
    """Every scalar stays a string: `3.10` is no number, `on` no truth; nothing is merged or built.

    None for what is no YAML, or so deep that reading it takes long.
    """
    depths = accumulate((char in "[{") - (char in "]}") for char in text)
    if max(depths, default=0) > MAX_DEPTH or any(len(line) > MAX_LINE for line in text.splitlines()):
        return None
    try:
        return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - builds strings, maps and lists alone
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _variables(*layers: Any) -> dict[str, str]:
    values: dict[str, str] = {}
    for layer in layers:
        for name, value in list(_map(layer).items())[:MAX_VARIABLES]:
            text = _text(value)
            if NAME.match(str(name)) and not OURS.match(str(name)) and len(text) <= MAX_VALUE:
                values[str(name)] = text
    return values


def _github(path: str, workflow: Mapping[str, Any]) -> Iterator[Job]:
    on = workflow.get("on")
    events = {str(event) for event in (on if isinstance(on, (dict, list)) else [on])}
    if not events & set(EVENTS):
        return
    rank = next(index for index, event in enumerate(EVENTS) if event in events)
    for name, raw in list(_map(workflow.get("jobs")).items())[:MAX_JOBS]:
        job = _map(raw)
        runner = str(job.get("runs-on", ""))
        if runner.lower().startswith(("windows", "macos")):
            continue
        uses = [_text(_map(step).get("uses")) for step in _list(job.get("steps"))[:MAX_STEPS]]
        images = [
            f"{key} {_text(_map(each).get('image'))}" for key, each in _map(job.get("services")).items()
        ]
        label = f"{path.rsplit('/', 1)[-1]} {name} {_text(job.get('name'))}"
        steps = tuple(_github_steps(workflow, job))
        yield Job(
            path,
            str(name),
            steps,
            _services(images, steps, " ".join(uses)) + ("a browser",) * bool(BROWSERS.search(" ".join(uses))),
            rank + 4 * len(set(LATE.findall(label.lower()))) + len(label) / 1000,
        )


def _services(containers: Sequence[str], steps: Sequence[JobStep], said: str = "") -> tuple[str, ...]:
    """Return the services that a job has beside it, or starts by itself; one that no table knows is told."""
    started = " ".join(line for step in steps for line in step.run.splitlines() if STARTS.match(line))
    known = [name for each in (*containers, f"{said} {started}") for name in services_of(each)]
    unknown = [each for each in containers if each and not services_of(each)]
    return tuple(dict.fromkeys([*known, *(["a service container"] if unknown else [])]))


def _github_steps(workflow: Mapping[str, Any], job: Mapping[str, Any]) -> Iterator[JobStep]:
    matrix = _matrix(_map(_map(job.get("strategy")).get("matrix")))
    defaults = [_map(_map(each.get("defaults")).get("run")) for each in (job, workflow)]
    for raw in _list(job.get("steps"))[:MAX_STEPS]:
        step = _map(raw)
        run = _text(step.get("run"))
        if not run or _text(step.get("shell")) in ("pwsh", "powershell", "python", "cmd"):
            continue
        environment = _variables(workflow.get("env"), job.get("env"), step.get("env"))
        where = [step.get("working-directory"), *(each.get("working-directory") for each in defaults)]
        directory = next((_text(each) for each in where if each), "")
        for values in _choices(matrix, run):
            known = {f"matrix.{key}": value for key, value in values.items()}
            known |= {f"env.{key}": value for key, value in environment.items()}
            if "${{" in (placed := resolved(directory, known)):
                continue
            literal = {key: resolved(value, known) for key, value in environment.items()}
            yield JobStep(
                resolved(SHARD.sub("", run), known),
                join("", placed),
                tuple((key, value) for key, value in literal.items() if "${{" not in value),
            )


def resolved(text: str, known: Mapping[str, str]) -> str:
    """Put in what an expression is known to stand for: a value, or the literal after `||`."""

    def value(match: re.Match[str]) -> str:
        for part in match[1].split("||"):
            part = part.strip()
            if part in known:
                return known[part]
            if part.startswith("github."):
                return "local"
            if len(part) >= 2 and part[0] == part[-1] == "'":
                return part[1:-1]
        return match[0]

    return EXPRESSION.sub(value, text)


def _matrix(matrix: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return each axis's values; of versions the newest that is listed."""
    axes = {str(key): [v for v in _list(value) if isinstance(v, str)][:4] for key, value in matrix.items()}
    axes = {key: values for key, values in axes.items() if values and key not in ("include", "exclude")}
    for extra in _list(matrix.get("include"))[:4]:
        for key, value in _map(extra).items():
            if isinstance(value, str) and (key not in axes or len(axes[key]) < 4):
                axes.setdefault(str(key), []).append(value)
    return axes


def _choices(matrix: Mapping[str, list[str]], run: str) -> list[dict[str, str]]:
    """Return one choice of a matrix, or one for each name of the axis that a script's words are made of."""
    last = {key: values[-1] for key, values in matrix.items()}
    for key, values in matrix.items():
        named = all(re.fullmatch(r"[A-Za-z][\w:./@ =-]*", value) for value in values)
        if named and re.search(rf"matrix\.{re.escape(key)}\b", run):
            return [last | {key: value} for value in values]
    return [last]

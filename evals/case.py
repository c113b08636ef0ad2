"""A case: a small repository with a history, what production recorded of it, and the label.

`docs/evaluation.md` explains the format of `case.toml`. Everything that is not written there (samples,
requests, ids) is derived from it, the same at each reading.
"""

import difflib
import hashlib
import math
import random
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from railmend.contracts.incident import CODING_VERDICTS, Verdict
from railmend.contracts.scan import FindingKind, Window
from railmend.evidence.change import ComparedCommit, ComparedFile
from railmend.railway.model import HttpLogLine, LogLine, Series, Slice

CASES, REPOSITORIES = Path(__file__).parent / "cases", Path(__file__).parent / "repositories"
MINUTES, STEP = 120, 60
END = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)
WINDOW = Window(start=END - timedelta(minutes=MINUTES), end=END, step_seconds=STEP)
# Of the day before, in seconds; it looks as the window did before the onset.
PAST_STEP, PAST_POINTS = 600, 144
# A log line: minute or minutes, `/` every so many, level, text.
LOG_LINE = re.compile(r"(\d+)(?:-(\d+))?(?:/(\d+))? (\w+) (.*)", re.S)
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Label(_Part):
    """What is right. `verdict`: the first is best, the others are not wrong.

    `must`, `must_not`: patterns that the causes name, or may not. `shows`: patterns of which each is found in
    an item that the causes cite.
    """

    verdict: tuple[Verdict, ...] = Field(min_length=1)
    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()

    @property
    def pull_request(self) -> bool:
        """Whether a change of the repository is right."""
        return self.verdict[0] in CODING_VERDICTS


class Commit(_Part):
    """A commit and its deployment. `at`: minute of the window. `edit`: path, old text, new text; an empty old
    text makes a file. `bug`: it brought the fault. `build`: rows of its build's log.
    """

    at: int
    message: str
    edit: tuple[str, str, str] | None = None
    bug: bool = False
    status: str = "SUCCESS"
    build: tuple[str, ...] = ()

    @property
    def time(self) -> datetime:
        return WINDOW.start + timedelta(minutes=self.at)

    @property
    def sha(self) -> str:
        return hashlib.sha1(f"{self.at} {self.message}".encode(), usedforsecurity=False).hexdigest()


class Traffic(_Part):
    """Requests a minute, each row `METHOD PATH STATUS MILLISECONDS [xWEIGHT]`."""

    rate: float = 20
    rate_after: float | None = None
    before: tuple[str, ...]
    after: tuple[str, ...] = ()


class NextTo(_Part):
    """A service next to this one. `errors`: log lines."""

    name: str
    relation: str = "needs"
    findings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


class StatusPage(_Part):
    """An incident of a provider's status page."""

    provider: str
    title: str
    impact: str = "major"
    at: int = 0
    latest: str = ""


class Changed(_Part):
    """Settings of the service: variables by name and the minute they changed, and entries of the feed."""

    variables: Mapping[str, int] = {}
    feed: tuple[str, ...] = ()


class Case(_Part):
    """One case. `onset`: minute of the window; series are `VALUE`, `BEFORE AFTER` or `FROM > TO`.

    `finding`: what a false alarm names, where the series show nothing. `hidden_test`: a program in the
    language of the repository that ends with 0 once the fault is fixed.
    """

    name: str
    repository: str
    label: Label
    onset: int = 80
    service: Mapping[str, object] = {}
    memory: str = "0.2"
    memory_limit: float = 1.0
    cpu: str = "0.15"
    cpu_limit: float = 2.0
    traffic: Traffic | None = None
    logs: tuple[str, ...] = ()
    commits: tuple[Commit, ...] = ()
    neighbours: tuple[NextTo, ...] = ()
    status_pages: tuple[StatusPage, ...] = ()
    changed: Changed = Changed()
    platform_incident: str | None = None
    finding: FindingKind | None = None
    hidden_test: str = ""

    @field_validator("commits")
    @classmethod
    def _in_order(cls, commits: tuple[Commit, ...]) -> tuple[Commit, ...]:
        if list(commits) != sorted(commits, key=lambda commit: commit.at):
            raise ValueError("the commits are not in order, oldest first")
        return commits

    @property
    def history(self) -> tuple[Commit, ...]:
        """Return all commits, oldest first; the first one is three weeks old."""
        return (Commit(at=-30_240, message="Import the service"), *self.commits)

    @property
    def culprit(self) -> str:
        """Return the file at fault; an empty one where it is not the repository's."""
        return next((commit.edit[0] for commit in self.commits if commit.bug and commit.edit), "")

    def files(self, upto: Commit | None = None, *, mended: bool = False) -> dict[str, str]:
        """Return the files after a commit, by path; of the one that serves by default.

        `mended`: without what brought the fault.
        """
        folder = REPOSITORIES / self.repository
        files = {
            str(path.relative_to(folder)): path.read_text()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        last = self.history.index(upto) if upto else len(self.history)
        for commit in self.history[: last + 1]:
            if (
                commit.edit is None
                or (mended and commit.bug)
                or (upto is None and commit.status != "SUCCESS")
            ):
                continue
            path, old, new = commit.edit
            if old and files[path].count(old) != 1:
                raise ValueError(f"{self.name}: {path} does not hold once: {old!r}")
            files[path] = files[path].replace(old, new) if old else new
        return files

    def change(self, commit: Commit) -> list[ComparedFile]:
        """Return what a commit changed, as GitHub tells it."""
        history = self.history
        place = history.index(commit)
        before = self.files(history[place - 1]) if place else {}
        after = self.files(commit)
        paths = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
        return [_compared(path, before.get(path, ""), after.get(path, "")) for path in paths]

    def compared(self, commit: Commit) -> ComparedCommit:
        return ComparedCommit(sha=commit.sha, author="dana", at=commit.time, message=commit.message)

    @cached_property
    def requests(self) -> list[HttpLogLine]:
        """Return each request of the window, oldest first."""
        return [] if self.traffic is None else list(_requests(self.traffic, self.onset, self.name))

    def slices(self) -> tuple[Slice, Slice]:
        """Return the window's series, and those of the day before."""
        return self._slice(WINDOW.start, STEP, MINUTES, self.onset), self._slice(
            WINDOW.start - timedelta(seconds=PAST_STEP * PAST_POINTS), PAST_STEP, PAST_POINTS, PAST_POINTS
        )

    def _slice(self, start: datetime, step: int, points: int, onset: int) -> Slice:
        chance = random.Random(f"{self.name} {step}")  # noqa: S311 - noise of samples
        http, latency = self._http(points) if step == STEP else self._past_http(points, chance)
        return Slice(
            service_id=self.name,
            start=start,
            step_seconds=step,
            cpu=_series(self.cpu, points, onset, chance),
            cpu_limit=[self.cpu_limit] * points,
            memory_gb=_series(self.memory, points, onset, chance),
            memory_limit_gb=[self.memory_limit] * points,
            http=http,
            latency=latency,
        )

    def _http(self, points: int) -> tuple[dict[str, Series], dict[str, Series]]:
        if self.traffic is None:
            return {}, {}
        minutes: list[list[HttpLogLine]] = [[] for _ in range(points)]
        for row in self.requests:
            minutes[int((row.timestamp - WINDOW.start).total_seconds() // STEP)].append(row)
        http: dict[str, Series] = {
            f"{digit}xx": [float(sum(row.status // 100 == digit for row in rows)) for rows in minutes]
            for digit in (2, 3, 4, 5)
        }
        latency: dict[str, Series] = {name: [] for name in PERCENTILES}
        for rows in minutes:
            durations = sorted(row.duration_ms for row in rows)
            for name, share in PERCENTILES.items():
                place = min(int(share * len(durations)), len(durations) - 1)
                latency[name].append(durations[place] if durations else None)
        return http, latency

    def _past_http(self, points: int, chance: random.Random) -> tuple[dict[str, Series], dict[str, Series]]:
        """Repeat what the window showed before the onset: its mean, with noise."""
        http, latency = self._http(MINUTES)
        before = slice(0, max(self.onset, 1))

        def repeated(series: dict[str, Series], factor: float) -> dict[str, Series]:
            means = {name: _mean(values[before]) * factor for name, values in series.items()}
            return {
                name: [mean * chance.uniform(0.95, 1.05) for _ in range(points)]
                for name, mean in means.items()
            }

        return repeated(http, PAST_STEP / STEP), repeated(latency, 1.0)


def read_all(folder: Path = CASES) -> list[Case]:
    """Return all cases, by name. Raise `ValueError` for one that is not written as it must be."""
    return [read(path) for path in sorted(folder.glob("*/case.toml"))]


def read(path: Path) -> Case:
    return Case.model_validate({"name": path.parent.name, **tomllib.loads(path.read_text())})


def log_rows(lines: tuple[str, ...]) -> list[LogLine]:
    """Return the rows of log lines, oldest first; each line of a text is a row of its own."""
    rows: list[LogLine] = []
    for line in lines:
        if (match := LOG_LINE.fullmatch(line)) is None:
            raise ValueError(f"This is no log line: {line!r}")
        first, last, every, level, text = match.groups()
        minutes = range(int(first), int(last or first) + 1, int(every or 1))
        for number, minute in enumerate(minutes, start=1):
            at = WINDOW.start + timedelta(minutes=minute, seconds=7 + number * 13 % 50)
            for place, row in enumerate(text.replace("{n}", str(1000 + number)).split("\n")):
                rows.append(
                    LogLine(timestamp=at + timedelta(milliseconds=place), severity=level, message=row)
                )
    return sorted(rows, key=lambda row: row.timestamp)


def _requests(traffic: Traffic, onset: int, name: str) -> Iterator[HttpLogLine]:
    chance = random.Random(name)  # noqa: S311 - which request comes when
    for minute in range(MINUTES):
        begun = minute >= onset
        rows = [_row(text) for text in (traffic.after if begun and traffic.after else traffic.before)]
        rate = traffic.rate_after if begun and traffic.rate_after is not None else traffic.rate
        count = int(rate) + (chance.random() < rate % 1)
        chosen = chance.choices([row for _, row in rows], [weight for weight, _ in rows], k=count)
        for place, row in enumerate(chosen):
            at = WINDOW.start + timedelta(minutes=minute, seconds=59.0 * place / max(count, 1))
            path = str(row["path"]).replace("{n}", str(chance.randrange(1, 400)))
            duration = float(str(row["duration_ms"])) * math.exp(chance.gauss(0, 0.2))
            yield HttpLogLine.model_validate({**row, "timestamp": at, "path": path, "duration_ms": duration})


def _row(text: str) -> tuple[float, dict[str, object]]:
    method, path, status, duration, *weight = text.split()
    row = {"method": method, "path": path, "status": int(status), "duration_ms": float(duration)}
    return float(weight[0].removeprefix("x")) if weight else 1.0, row


def _series(text: str, points: int, onset: int, chance: random.Random) -> Series:
    """Return noisy values: one level, a step at the onset, or a slope from there on."""
    parts = text.split()
    first, last = float(parts[0]), float(parts[-1])
    values = []
    for point in range(points):
        share = (
            0.0 if point < onset else (point - onset) / max(points - onset - 1, 1) if ">" in parts else 1.0
        )
        values.append((first + (last - first) * share) * chance.uniform(0.98, 1.02))
    return list(values)


def _mean(values: Series) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else 0.0


def _compared(path: str, before: str, after: str) -> ComparedFile:
    rows = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm=""))[2:]
    return ComparedFile(
        path=path,
        status="modified" if before else "added",
        additions=sum(row.startswith("+") for row in rows),
        deletions=sum(row.startswith("-") for row in rows),
        patch="\n".join(rows),
    )

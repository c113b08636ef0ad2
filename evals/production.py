"""Recorded production in place of Railway, GitHub and status pages.

It answers what the activities ask of their clients, so that what a model sees of a case is formatted by the
functions that format real data.
"""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from posixpath import normpath
from typing import Any

from evals.case import WINDOW, Case, Commit, log_rows
from railmend.assessment.rules import assess
from railmend.contracts.incident import IncidentRequest, Neighbour
from railmend.contracts.providers import ProviderIncident
from railmend.contracts.scan import Finding, FindingKind, Service, ServiceKind, Severity, Window
from railmend.evidence.change import CommitComparison, ComparedCommit
from railmend.providers.repository import SourceFiles
from railmend.providers.status.reader import StatusView
from railmend.railway.context import ConfigurationChange, Deployed, State, Step, Variable
from railmend.railway.model import DeploymentRecord, HttpLogLine, LogLine
from railmend.railway.network import NetworkSeen
from railmend.railway.survey import DetailedSlices

ENVIRONMENT, PROJECT = "environment", "project"
FILTER = re.compile(r"@(httpStatus|totalDuration):(>=|<)?([\d.]+)")
LONG_AGO = WINDOW.start - timedelta(days=30)


def incident_of(case: Case) -> IncidentRequest:
    """Return what the scan would hand to an investigation of this case."""
    service = _service(case)
    window, past = case.slices()
    findings = assess(window, service, environment_id=ENVIRONMENT, history=past)
    if not findings and case.finding is not None:
        findings = [_false_alarm(case, case.finding)]
    return IncidentRequest(
        project_id=PROJECT,
        environment_id=ENVIRONMENT,
        service=service,
        findings=tuple(findings),
        window=WINDOW,
        platform_incident=case.platform_incident,
        neighbours=tuple(
            Neighbour(name=each.name, relation=each.relation, findings=each.findings, service_id=each.name)
            for each in case.neighbours
        ),
    )


def _service(case: Case) -> Service:
    deployed = case.history
    serves = [commit for commit in deployed if commit.status == "SUCCESS"][-1]
    fields: dict[str, Any] = {
        "service_id": case.name,
        "name": case.repository,
        "kind": ServiceKind.WEB if case.traffic else ServiceKind.WORKER,
        "repository": f"acme/{case.repository}",
        "branch": "main",
        "active_deployment_id": serves.sha[:12],
        "active_status": "SUCCESS",
        "active_since": serves.time,
        "latest_deployment_id": deployed[-1].sha[:12],
        "latest_status": deployed[-1].status,
        "latest_since": deployed[-1].time,
        "commit": serves.sha,
        "instances": ("RUNNING",),
        "public": case.traffic is not None,
        "depends_on": tuple(each.name for each in case.neighbours if each.relation == "needs"),
    }
    return Service(**(fields | dict(case.service)))


def _false_alarm(case: Case, kind: FindingKind) -> Finding:
    return Finding(
        environment_id=ENVIRONMENT,
        service_id=case.name,
        service_name=case.repository,
        kind=kind,
        severity=Severity.WARNING,
        value=1.0,
        threshold=1.0,
        unit="",
        onset=WINDOW.start + timedelta(minutes=case.onset),
        confidence=0.5,
        rule=f"{kind.value}.recorded",
        sentence=f"{case.repository} may be in trouble: {kind.value}.",
        requests=len(case.requests),
    )


@dataclass
class RecordedProduction:
    """All outside systems of one case: pool, client, surveyor, context, network, GitHub, code, status."""

    case: Case

    async def client_for(self, _: str) -> "RecordedProduction":
        return self

    @property
    def surveyor(self) -> "RecordedProduction":
        return self

    @property
    def context(self) -> "RecordedProduction":
        return self

    @property
    def network(self) -> "RecordedProduction":
        return self

    async def fetch_detailed(
        self, _: str, __: Sequence[Service], window: Window
    ) -> tuple[list[DetailedSlices], list[str]]:
        whole, past = self.case.slices()
        first = max(int((window.start - whole.start).total_seconds() // whole.step_seconds), 0)
        last = max(int((window.end - whole.start).total_seconds() // whole.step_seconds), first)
        part: dict[str, Any] = {"start": whole.start + timedelta(seconds=first * whole.step_seconds)}
        for name in ("cpu", "cpu_limit", "memory_gb", "memory_limit_gb"):
            part[name] = getattr(whole, name)[first:last]
        for name in ("http", "latency"):
            part[name] = {key: values[first:last] for key, values in getattr(whole, name).items()}
        return [DetailedSlices(slice=whole.model_copy(update=part), history=past)], []

    async def history(self, *_: str) -> list[Deployed]:
        return [self._deployed(commit) for commit in reversed(self.case.history)]

    def _deployed(self, commit: Commit) -> Deployed:
        serves = commit.sha == _service(self.case).commit
        status = commit.status if serves or commit.status != "SUCCESS" else "REMOVED"
        record = DeploymentRecord(
            id=commit.sha[:12],
            status=status,
            created_at=commit.time,
            commit=commit.sha,
            commit_message=commit.message,
            commit_author="dana",
            branch="main",
        )
        return Deployed(record=record, settings={"branch": "main", "deploy.restartPolicyType": "ON_FAILURE"})

    async def state(self, deployment_id: str) -> State:
        commit = self._by_id(deployment_id)
        service = _service(self.case)
        serves = deployment_id == service.active_deployment_id
        return State(
            status=commit.status,
            created_at=commit.time,
            changed_at=commit.time,
            stopped=False,
            instances=service.instances if serves else (),
        )

    async def steps(self, _: str) -> list[Step]:
        return []

    async def changes(self, *_: str) -> list[ConfigurationChange]:
        changes = []
        for text in self.case.changed.feed:
            minute, action, kind = text.split()
            at = WINDOW.start + timedelta(minutes=int(minute))
            changes.append(ConfigurationChange(at=at, action=action, object=kind, severity="INFO"))
        return changes

    async def variables(self, *_: str) -> list[Variable]:
        rows = self.case.changed.variables.items()
        times = {name: WINDOW.start + timedelta(minutes=minute) for name, minute in rows}
        return [Variable(name=name, created_at=LONG_AGO, updated_at=at) for name, at in times.items()]

    async def seen(self, *_: Any) -> NetworkSeen:
        return NetworkSeen(variables=tuple(self.case.changed.variables))

    async def deploy_logs(
        self, deployment_id: str, start: datetime, end: datetime, limit: int
    ) -> list[LogLine]:
        """Return the newest rows of the deployment that serves, or whose start failed."""
        commit = self._by_id(deployment_id)
        newest = [each for each in self.case.history if each.status in ("SUCCESS", "CRASHED")][-1]
        rows = log_rows(self.case.logs) if commit.sha == newest.sha else []
        return [row for row in rows if start <= row.timestamp <= end][-limit:]

    async def build_logs(self, deployment_id: str, *_: datetime, limit: int = 0) -> list[LogLine]:
        commit = self._by_id(deployment_id)
        rows = commit.build or ("Build succeeded",)
        return [LogLine(timestamp=commit.time, severity="info", message=row) for row in rows]

    async def stream_deploy_logs(
        self, deployment_id: str, start: datetime, end: datetime, most: int
    ) -> AsyncIterator[list[LogLine]]:
        yield await self.deploy_logs(deployment_id, start, end, most)

    async def stream_http_logs(
        self, _: str, start: datetime, end: datetime, filter: str = "", most: int = 0
    ) -> AsyncIterator[list[HttpLogLine]]:
        rows = [row for row in self.case.requests if start <= row.timestamp <= end and _passes(row, filter)]
        yield rows[-most:]

    async def environment_logs(
        self, _: str, start: datetime, end: datetime, filter: str, limit: int
    ) -> list[LogLine]:
        """Return the errors of the service or of one next to it."""
        lines = {each.name: each.errors for each in self.case.neighbours} | {self.case.name: self.case.logs}
        wanted = next((name for name in lines if filter.startswith(f"@service:{name} ")), None)
        rows = log_rows(lines[wanted]) if wanted else []
        return [row for row in rows if row.severity == "error" and start <= row.timestamp <= end][-limit:]

    async def read(self, service: Service, commit: str | None = None) -> SourceFiles:
        wanted = commit or service.commit or ""
        at = next((each for each in self.case.history if each.sha == wanted), None)
        return SourceFiles(commit=wanted, files=tuple(self.case.files(at).items()))

    def commits(
        self, _: str, __: str | None, *, path: str = "", since: datetime | None = None, most: int = 20
    ) -> list[ComparedCommit]:
        found = [
            commit
            for commit in reversed(self.case.history)
            if (since is None or commit.time >= since)
            and (not path or any(file.path.startswith(path) for file in self.case.change(commit)))
        ]
        return [self.case.compared(commit) for commit in found[:most]]

    def own_change(self, _: str, sha: str) -> CommitComparison:
        commit = next((each for each in self.case.history if each.sha.startswith(sha)), None)
        commits = (commit,) if commit else ()
        return _comparison(self.case, commits, "", sha)

    def compare(self, _: str, base: str, head: str) -> CommitComparison:
        places = [commit.sha for commit in self.case.history]
        between = self.case.history[places.index(base) + 1 : places.index(head) + 1]
        return _comparison(self.case, between, base, head)

    def missing_files(self, _: str, __: str, ___: str, paths: Sequence[str]) -> list[str]:
        files = self.case.files()
        return [path for path in paths if normpath(path) not in files]

    async def incidents(self, providers: Sequence[Any], window: Window) -> StatusView:
        wanted = {provider.id for provider in providers}
        return StatusView(
            incidents=[
                ProviderIncident.model_validate(
                    {
                        **page.model_dump(include={"provider", "title", "impact", "latest"}),
                        "state": "investigating",
                        "started": WINDOW.start + timedelta(minutes=page.at),
                    }
                )
                for page in self.case.status_pages
                if page.provider in wanted
            ]
        )

    def _by_id(self, deployment_id: str) -> Commit:
        return next(each for each in self.case.history if each.sha.startswith(deployment_id))


def _comparison(case: Case, commits: Sequence[Commit], base: str, head: str) -> CommitComparison:
    return CommitComparison(
        base=base,
        head=head,
        status="ahead",
        total=len(commits),
        commits=tuple(map(case.compared, commits)),
        files=tuple(file for commit in commits for file in case.change(commit)),
    )


def _passes(row: HttpLogLine, filter: str) -> bool:
    values = {"httpStatus": row.status, "totalDuration": row.duration_ms}
    for name, relation, text in FILTER.findall(filter):
        value, bound = values[name], float(text)
        if not (value >= bound if relation == ">=" else value < bound if relation == "<" else value == bound):
            return False
    return True

"""What a model may look at while it diagnoses: one call is one activity; it only reads, and what it gives is
redacted before anything is searched or cut.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from posixpath import join, normpath

from temporalio import activity

from activities.deployments import DeploymentActivities
from activities.heartbeat import working
from activities.source import SourceReader
from railmend.artifacts import ArtifactGone, ArtifactStore
from railmend.contracts.incident import Fact, Facts, IncidentRequest
from railmend.contracts.investigation import EvidenceCall, EvidenceResult, Tool, ToolRequest
from railmend.contracts.scan import Service
from railmend.diagnosis.tools import RESULT_TOKENS, stretch
from railmend.evidence.change import commit_row, describe
from railmend.evidence.condense import Condenser, condensed_fact
from railmend.evidence.http import HttpCondenser
from railmend.evidence.incident_facts import hints, onset, redaction_key
from railmend.evidence.redact import Redactor
from railmend.providers.registry import load
from railmend.providers.status.reader import StatusReader
from railmend.publishing.github import GitHubClient
from railmend.railway.model import LogLine, Series, Slice, thinned
from railmend.railway.pool import RailwayPool

MAX_ROWS, MAX_HTTP_ROWS, MAX_NEIGHBOUR_ROWS = 6_000, 4_000, 1_000
MAX_COMMITS, MAX_MATCHES, MAX_SAMPLES = 20, 40, 60
READS_REPOSITORY = frozenset({Tool.READ_CODE, Tool.SEARCH_CODE, Tool.COMMITS, Tool.SHOW_COMMIT})
READABLE = (
    "Texts of up to 256 kB of the service's folder can be read, without hidden and foreign ones; "
    "of those that are no source, 4 MB."
)
NO_REPOSITORY = "The service has no repository, so there is no code to read."


def _nothing(sentence: str) -> Facts:
    return Facts(items=(), unseen=(sentence,))


async def _files(code: SourceReader, service: Service) -> dict[str, dict[str, str]]:
    """Return the texts of the commit that serves, by kind of evidence and path from the repository's root:
    code of the running service, and other files, which prove nothing of it. Raise `GitError`.
    """
    source = await code.read(service)
    root = service.root_directory.strip("/")
    return {
        kind: {normpath(join(root, path)): text for path, text in files}
        for kind, files in (("code", source.files), ("file", source.others))
    }


@dataclass
class ToolActivities:
    """`secrets`: values that the worker holds; they never pass."""

    railway: RailwayPool
    github: GitHubClient
    status: StatusReader
    artifacts: ArtifactStore
    secrets: Callable[[], Sequence[str]] = tuple
    code: SourceReader | None = None

    def __post_init__(self) -> None:
        self._code = self.code or SourceReader(self.github)
        self._deployments = DeploymentActivities(self.railway, self.artifacts, self.secrets)

    @activity.defn
    async def use_tool(self, request: ToolRequest) -> EvidenceResult:
        """Make one call; what it gives is stored. A call that finds nothing says so."""
        tools = {
            Tool.READ_CODE: self._read_code,
            Tool.SEARCH_CODE: self._search_code,
            Tool.COMMITS: self._commits,
            Tool.SHOW_COMMIT: self._show_commit,
            Tool.LOGS: self._logs,
            Tool.HTTP: self._http,
            Tool.METRICS: self._metrics,
            Tool.NEIGHBOUR: self._neighbour,
            Tool.PROVIDER_STATUS: self._provider_status,
        }
        stored = {
            Tool.DEPLOYMENTS: self._deployments.deployment_facts,
            Tool.CONFIGURATION_DRIFT: self._deployments.drift_facts,
        }
        call = request.call
        async with working():
            try:
                incident = await self.artifacts.get_model(request.incident, IncidentRequest)
            except ArtifactGone as error:
                return EvidenceResult(call_id=call.id, unseen=f"The evidence is lost. {error}")
            if (keeps := stored.get(call.tool)) is not None:
                return EvidenceResult(call_id=call.id, facts=await keeps(incident))
            if (tool := tools.get(call.tool)) is None:
                return EvidenceResult(call_id=call.id, unseen=f"This worker has no tool {call.tool}.")
            without = call.tool in READS_REPOSITORY and incident.service.repository is None
            facts = _nothing(NO_REPOSITORY) if without else await tool(incident, call)
            return EvidenceResult(call_id=call.id, facts=await self.artifacts.put_model(facts))

    def _redactor(self, incident: IncidentRequest) -> Redactor:
        return Redactor(self.secrets(), redaction_key(incident))

    async def _read_code(self, incident: IncidentRequest, call: EvidenceCall) -> Facts:
        kinds = await _files(self._code, incident.service)
        path, first, last = (
            str(call.arguments["path"]),
            int(call.arguments["first"]),
            int(call.arguments["last"]),
        )
        kind, text = next(((kind, files[path]) for kind, files in kinds.items() if path in files), ("", ""))
        if not kind:
            names = sorted(name for files in kinds.values() for name in files)
            near = [name for name in names if name.endswith(f"/{path.rpartition('/')[2]}")][:5]
            others = f"; there is {', '.join(near)}" if near else ""
            return _nothing(f"{path} cannot be read{others}. {READABLE}")
        lines = await asyncio.to_thread(self._redactor(incident).lines, text.split("\n"))
        if first > len(lines):
            return _nothing(f"{path} has {len(lines)} lines.")
        shown = _numbered((number, lines[number - 1]) for number in range(first, min(last, len(lines)) + 1))
        return Facts(items=(Fact(kind=kind, source=f"{path}, of {len(lines)} lines", text=shown),))

    async def _search_code(self, incident: IncidentRequest, call: EvidenceCall) -> Facts:
        redactor, wanted = self._redactor(incident), str(call.arguments["text"])
        kinds = await _files(self._code, incident.service)
        found = {kind: await asyncio.to_thread(_search, kinds[kind], wanted, redactor) for kind in kinds}
        if not any(found.values()):
            return _nothing(f"No file holds this text. {READABLE}")
        where = {"code": "where the source holds it", "file": "where other files hold it"}
        return Facts(
            items=tuple(Fact(kind=k, source=where[k], text=text) for k, text in found.items() if text)
        )

    async def _commits(self, incident: IncidentRequest, call: EvidenceCall) -> Facts:
        service = incident.service
        since = call.arguments.get("since")
        commits = await asyncio.to_thread(
            self.github.commits,
            service.repository or "",
            service.commit or service.branch,
            path=str(call.arguments.get("path", "")),
            since=datetime.fromisoformat(str(since)) if since else None,
            most=MAX_COMMITS,
        )
        rows = [commit_row(commit) for commit in map(self._redactor(incident).model, commits)]
        if not rows:
            return _nothing("There are no such commits.")
        source = f"commits of {service.repository}, newest first"
        return Facts(items=(Fact(kind="commits", source=source, text="\n".join(rows)),))

    async def _show_commit(self, incident: IncidentRequest, call: EvidenceCall) -> Facts:
        service = incident.service
        sha = str(call.arguments["sha"])
        own = await asyncio.to_thread(self.github.own_change, service.repository or "", sha)
        change = await asyncio.to_thread(self._redactor(incident).model, own)
        text = describe(change, service.root_directory, budget=RESULT_TOKENS)
        return Facts(items=(Fact(kind="change", source=f"{service.repository}, one commit", text=text),))

    async def _logs(self, incident: IncidentRequest, call: EvidenceCall) -> Facts:
        service = incident.service
        build = call.arguments.get("stream") == "build"
        deployment = service.latest_deployment_id if build else service.active_deployment_id
        deployment = deployment or service.latest_deployment_id
        if deployment is None:
            return _nothing("The service has no deployment, so there are no logs.")
        start, end = stretch(call, incident.window.start, incident.window.end)
        client = await self.railway.client_for(incident.environment_id)
        if build:
            pages = [await client.build_logs(deployment, start, end, MAX_ROWS)]
        else:
            stream = client.stream_deploy_logs(deployment, start, end, most=MAX_ROWS)
            pages = [page async for page in stream]
        return await asyncio.to_thread(self._log_facts, incident, call, pages)

    def _log_facts(
        self, incident: IncidentRequest, call: EvidenceCall, pages: Sequence[list[LogLine]]
    ) -> Facts:
        """Condense what holds the text, looked for after redaction: no secret can be guessed by asking."""
        redactor, wanted = self._redactor(incident), str(call.arguments.get("text", "")).lower()
        build = call.arguments.get("stream") == "build"
        condenser = Condenser(build=build, onset=onset(incident), hints=hints(incident))
        read = 0
        for page in pages:
            read += len(page)
            rows = [row for row in redactor.rows(page) if wanted in _all_of(row).lower()]
            condenser.read_older(rows)
        condensed = condenser.result(RESULT_TOKENS)
        if not condensed.rows:
            return _nothing(f"Of {read} log lines none matches.")
        kind = "build_log" if build else "deploy_log"
        source = f"{'build' if build else 'deploy'} logs, {condensed.rows} of {read} lines, condensed"
        return Facts(items=(condensed_fact(kind, source, condensed, redactor),))

    async def _http(self, incident: IncidentRequest, call: EvidenceCall) -> Facts:
        deployment = incident.service.active_deployment_id
        if deployment is None:
            return _nothing("No deployment is active, so there are no HTTP logs.")
        start, end = stretch(call, incident.window.start, incident.window.end)
        client = await self.railway.client_for(incident.environment_id)
        condenser, redactor = HttpCondenser(onset=onset(incident)), self._redactor(incident)
        wanted, read = str(call.arguments.get("path", "")), 0
        filter_ = _status_filter(str(call.arguments.get("status", "")))
        async for page in client.stream_http_logs(deployment, start, end, filter_, most=MAX_HTTP_ROWS):
            read += len(page)
            rows = await asyncio.to_thread(redactor.rows, page)
            condenser.read(row for row in rows if wanted in row.path)
        condensed = condenser.result(RESULT_TOKENS)
        if not condensed.rows:
            return _nothing(f"Of {read} requests none matches.")
        source = f"HTTP logs, {condensed.rows} of {read} requests, condensed"
        return Facts(items=(condensed_fact("http_log", source, condensed, redactor),))

    async def _metrics(self, incident: IncidentRequest, call: EvidenceCall) -> Facts:
        start, end = stretch(call, incident.window.start, incident.window.end)
        window = incident.window.model_copy(update={"start": start, "end": end})
        client = await self.railway.client_for(incident.environment_id)
        pairs, unseen = await client.surveyor.fetch_detailed(
            incident.environment_id, [incident.service], window
        )
        name = str(call.arguments["series"])
        text = "\n".join(row for pair in pairs for row in _series(pair.slice, name))
        if not text:
            return Facts(items=(), unseen=(f"There are no samples of {name} between these times.", *unseen))
        return Facts(
            items=(Fact(kind="chart", source=f"{name} in numbers", text=text),), unseen=tuple(unseen)
        )

    async def _neighbour(self, incident: IncidentRequest, call: EvidenceCall) -> Facts:
        name = str(call.arguments["service"])
        near = {neighbour.name: neighbour for neighbour in incident.neighbours if neighbour.service_id}
        if (neighbour := near.get(name)) is None:
            return _nothing(
                f"No service {name!r} is next to this one; there are {', '.join(near) or 'none'}."
            )
        start, end = stretch(call, incident.window.start, incident.window.end)
        client = await self.railway.client_for(incident.environment_id)
        rows = await client.environment_logs(
            incident.environment_id,
            start,
            end,
            f"@service:{neighbour.service_id} AND @level:error",
            MAX_NEIGHBOUR_ROWS,
        )
        redactor, condenser = self._redactor(incident), Condenser(onset=onset(incident))
        condenser.read(await asyncio.to_thread(redactor.rows, rows))
        condensed = condenser.result(RESULT_TOKENS)
        found = " ".join(neighbour.findings) or "Nothing was found wrong with it."
        if not condensed.rows:
            return _nothing(f"{name} writes no errors between these times. {found}")
        fact = condensed_fact("neighbour", f"error logs of {name}, {neighbour.relation}", condensed, redactor)
        return Facts(items=(fact.model_copy(update={"text": f"{found}\n{fact.text}"}),))

    async def _provider_status(self, incident: IncidentRequest, call: EvidenceCall) -> Facts:
        wanted = str(call.arguments["provider"])
        provider = load().by_id().get(wanted)
        if provider is None:
            return _nothing(f"No provider {wanted!r} is known.")
        start, end = stretch(call, incident.window.start, incident.window.end)
        window = incident.window.model_copy(update={"start": start, "end": end})
        view = await self.status.incidents([provider], window)
        rows = [
            f"{each.started:%Y-%m-%d %H:%M} {each.impact.value}, {each.state}: {each.title}. {each.latest}"
            for each in view.incidents
        ]
        text = "\n".join(rows) or "It reports no incident between these times."
        if view.unseen and not rows:
            return Facts(items=(), unseen=tuple(view.unseen))
        redacted = self._redactor(incident)(text)
        return Facts(
            items=(Fact(kind="provider_status", source=f"status page of {provider.name}", text=redacted),)
        )


def _all_of(row: LogLine) -> str:
    return " ".join((row.message, *(f"{key}={value}" for key, value in row.attributes)))


def _numbered(lines: Iterable[tuple[int, str]]) -> str:
    return "\n".join(f"{number:>5} {line}" for number, line in lines)


def _search(files: dict[str, str], text: str, redactor: Redactor) -> str:
    """Return the lines that hold a text, by file; only files that hold it are redacted."""
    wanted, rows, left = text.lower(), list[str](), 0
    for path in sorted(files):
        if wanted not in files[path].lower():
            continue
        lines = redactor.lines(files[path].split("\n"))
        found = [(number, line) for number, line in enumerate(lines, start=1) if wanted in line.lower()]
        room = MAX_MATCHES - len(rows)
        rows += [f"{path}:{number}: {line.strip()[:200]}" for number, line in found[: max(room, 0)]]
        left += max(len(found) - max(room, 0), 0)
    return "\n".join([*rows, *([f"({left} more lines)"] if left else [])])


def _status_filter(status: str) -> str:
    """Return Railway's filter for a status, such as 503, or for a class of them, such as 5xx."""
    if status.endswith("xx"):
        lowest = int(status[0]) * 100
        return f"@httpStatus:>={lowest} AND @httpStatus:<{lowest + 100}"
    return f"@httpStatus:{status}" if status else ""


def _series(measured: Slice, name: str) -> list[str]:
    series: dict[str, dict[str, Series]] = {
        "cpu": {"CPU, vCPU": measured.cpu, "limit": measured.cpu_limit},
        "memory": {"memory, GB": measured.memory_gb, "limit": measured.memory_limit_gb},
        "requests": {f"{each} a minute": measured.requests_a_minute(each) for each in sorted(measured.http)},
        "latency": {f"{each}, ms": measured.latency[each] for each in sorted(measured.latency)},
    }
    steps = max((len(values) for values in series[name].values()), default=0)
    rows = [
        f"{label}: {' '.join(map(_short, thinned(values, MAX_SAMPLES)))}"
        for label, values in series[name].items()
        if any(value is not None for value in values)
    ]
    every = measured.step_seconds * max(steps / MAX_SAMPLES, 1)
    head = f"from {measured.start:%Y-%m-%d %H:%M:%S} UTC, one value every {every:.0f} s at least, - no sample"
    return [head, *rows] if rows else []


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"

"""Makes each trouble on railyard and records what the product measures: `python -m tests.packets.record`.

`python -m tests.packets.record leak asleep` records only these. Takes about 90 s for each batch.
"""

import argparse
import asyncio
import dataclasses
import logging
import signal
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from temporalio.testing import ActivityEnvironment

import railyard.platform.service
from activities.deployments import DeploymentActivities
from activities.evidence import EvidenceActivities
from activities.logs import LogActivities
from activities.providers import ProviderActivities
from activities.railway import RailwayActivities
from activities.repository import RepositoryActivities
from activities.source import SourceReader
from railmend.artifacts import ArtifactStore
from railmend.contracts.incident import (
    CodeRequest,
    EvidencePacket,
    EvidenceSource,
    IncidentRequest,
    PacketRequest,
    StoredFacts,
    neighbours_of,
)
from railmend.contracts.scan import (
    Finding,
    FindingKind,
    ScanRequest,
    Screening,
    ScreenRequest,
    Service,
    Severity,
    Window,
)
from railmend.providers.status.reader import StatusReader
from railmend.publishing.github import GitHubClient
from railmend.railway.limits import RateLimits
from railmend.railway.pool import RailwayPool, WatchedEnvironment
from railyard.forge import Forge
from railyard.forge import build as build_forge
from tests.integration.serving import serving
from tests.integration.test_provider_status import status_server
from tests.kept import memory_store
from tests.packets.recording import Recording, write
from tests.packets.scenarios import BATCHES, Scenario
from tests.packets.yard import PROJECT, TOKEN, Yard, service_id

GITHUB_TOKEN = "token-of-the-forge"
WINDOW_SECONDS, SETTLE_SECONDS, RUN_SECONDS = 55, 2, 64
# When the provider goes down: within the window.
TROUBLE_SECONDS = 22
# A deployment that does not listen is given up within the run, not after it.
START_SECONDS = 20.0


class Provider:
    """What answers for the provider behind the proxy: well at first, then not at all."""

    def __init__(self) -> None:
        self.fails_from = 0.0
        # A proxy is asked for a whole address, which is the path of no route.
        self.app = Starlette(exception_handlers={404: self._answer})

    async def _answer(self, _: Request, __: Exception) -> Response:
        return Response(*(("down", 503) if time.monotonic() >= self.fails_from else ("paid", 200)))


class Recorder:
    """`folder`: where everything is made; the addresses are of servers on this machine."""

    def __init__(
        self,
        folder: Path,
        forge: Forge,
        provider: Provider,
        *,
        forge_url: str,
        provider_url: str,
        status_url: str,
    ) -> None:
        self._folder = folder
        self._forge = forge
        self._provider = provider
        self._github = GitHubClient(f"{forge_url}/api/v3", SecretStr(GITHUB_TOKEN), pace=False)
        self._provider_url = provider_url
        self._status_url = status_url

    async def batch(self, scenarios: Sequence[Scenario]) -> list[Recording]:
        yards = [
            Yard(scenario, self._folder / scenario.name, self._forge, self._provider_url)
            for scenario in scenarios
        ]
        self._provider.fails_from = time.monotonic() + TROUBLE_SECONDS
        try:
            await asyncio.gather(*(yard.run(RUN_SECONDS) for yard in yards))
            return [await self._record(yard) for yard in yards]
        finally:
            await asyncio.gather(*(yard.stop() for yard in yards))

    async def _record(self, yard: Yard) -> Recording:
        scenario, part = yard.scenario, yard.scenario.parts[0]
        watched = WatchedEnvironment(
            name=scenario.name,
            project_id=PROJECT,
            environment_id=yard.environment_id,
            token=SecretStr(TOKEN),
            token_kind="project",
        )
        limits = RateLimits(per_second=1000)
        pool = RailwayPool("http://railway/graphql/v2", lambda: [watched], limits, yard.transport)
        end = yard.ended - timedelta(seconds=SETTLE_SECONDS)
        start = end - timedelta(seconds=WINDOW_SECONDS)
        window = Window(start=start, end=end, step_seconds=1)
        scan = ScanRequest(project_id=PROJECT, environment_id=yard.environment_id)
        try:
            screening = await RailwayActivities(pool, memory_store()).screen(
                ScreenRequest(scan=scan, window=window)
            )
            client = await pool.client_for(yard.environment_id)
            survey = await client.surveyor.survey(PROJECT, yard.environment_id, window)
            wanted = service_id(part)
            service = next(service for service in survey.services if service.service_id == wanted)
            request = incident(scenario, screening, service, survey.services, window)
            artifacts = memory_store()
            reference = await EvidenceActivities(artifacts).build_packet(
                PacketRequest(incident=request, facts=await self._facts(pool, artifacts, request, scenario))
            )
            packet = await artifacts.get_model(reference, EvidencePacket)
        finally:
            await pool.aclose()
        slices = {measured.service_id: measured for measured in survey.slices}
        past = {history.service_id: history for history in survey.history}
        explained = next(
            (effect for effect in screening.downstream_effects if effect.service_id == wanted), None
        )
        return Recording(
            scenario=scenario.name,
            trouble=scenario.trouble,
            verdict=scenario.right,
            by_rule=scenario.by_rule,
            artificial=scenario.artificial is not None,
            measured=tuple(finding.kind for finding in screening.findings if finding.service_id == wanted),
            explained=explained,
            files=yard.files(part),
            request=request,
            packet=packet,
            slice=slices[wanted],
            history=past.get(wanted),
        )

    async def _facts(
        self, pool: RailwayPool, artifacts: ArtifactStore, request: IncidentRequest, scenario: Scenario
    ) -> tuple[StoredFacts, ...]:
        """The sources in the order of the investigation, the providers first."""
        status = StatusReader({"stripe": self._status_url} if scenario.provider_down else {}, timeout=2)
        source = SourceReader(self._github, self._folder)
        providers = ProviderActivities(
            railway=pool,
            network_of=lambda of: of.network,
            code=source,
            status=status,
            artifacts=artifacts,
        )
        deployments, logs = DeploymentActivities(pool, artifacts), LogActivities(pool, artifacts)
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(ActivityEnvironment.default_info(), attempt=2)
        try:
            found = (
                await environment.run(providers.provider_facts, request),
                await EvidenceActivities(artifacts).finding_facts(request),
                await deployments.chart_facts(request),
                await deployments.deployment_facts(request),
                await deployments.state_facts(request),
                await logs.build_log_facts(request),
                await logs.deploy_log_facts(request),
                await logs.http_log_facts(request),
                await deployments.drift_facts(request),
            )
            others = [source for source in EvidenceSource if source is not EvidenceSource.CODE_CHANGES]
            stored = [
                StoredFacts(source=source, facts=facts) for source, facts in zip(others, found, strict=True)
            ]
            asked = CodeRequest(**dict(request), facts=tuple(stored))
            code = await RepositoryActivities(self._github, pool, artifacts, code=source).change_facts(asked)
            stored.append(StoredFacts(source=EvidenceSource.CODE_CHANGES, facts=code))
            return tuple(sorted(stored, key=lambda each: list(EvidenceSource).index(each.source)))
        finally:
            await status.aclose()


def incident(
    scenario: Scenario, screening: Screening, service: Service, services: Sequence[Service], window: Window
) -> IncidentRequest:
    findings = [finding for finding in screening.findings if finding.service_id == service.service_id]
    if not findings and scenario.artificial:
        findings = [false_alarm(scenario.artificial, service, window, f"environment-{scenario.name}")]
    return IncidentRequest(
        project_id=PROJECT,
        environment_id=f"environment-{scenario.name}",
        service=service,
        findings=tuple(findings),
        window=window,
        platform_incident=screening.platform_incident,
        neighbours=neighbours_of(service, services, screening.findings),
    )


def false_alarm(kind: FindingKind, service: Service, window: Window, environment_id: str) -> Finding:
    return Finding(
        environment_id=environment_id,
        service_id=service.service_id,
        service_name=service.name,
        kind=kind,
        severity=Severity.WARNING,
        value=1.0,
        threshold=1.0,
        unit="",
        onset=window.start + window.length / 2,
        confidence=0.5,
        rule=f"{kind.value}.artificial",
        sentence=f"{service.name} may be in trouble: {kind.value}.",
    )


async def main(names: Sequence[str]) -> None:
    railyard.platform.service.START_SECONDS = START_SECONDS
    # Requests that are under way when a batch ends are cut off, and that is no error.
    logging.disable(logging.CRITICAL)
    # A recording that is ended leaves no service behind.
    if (task := asyncio.current_task()) is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with tempfile.TemporaryDirectory(prefix="railmend-packets-") as temporary, ExitStack() as stack:
        folder = Path(temporary)
        provider = Provider()
        forge = Forge(folder / "forge", {GITHUB_TOKEN: "railmend[bot]"})
        recorder = Recorder(
            folder,
            forge,
            provider,
            forge_url=stack.enter_context(serving(build_forge(forge))),
            provider_url=stack.enter_context(serving(provider.app)),
            status_url=stack.enter_context(serving(status_server(down=True))),
        )
        for batch in BATCHES:
            chosen = [scenario for scenario in batch if not names or scenario.name in names]
            for recording in await recorder.batch(chosen) if chosen else ():
                expected = next(scenario.shows for scenario in chosen if scenario.name == recording.scenario)
                file = write(recording)
                as_it_should = set(expected) <= set(recording.measured) and bool(expected) == bool(
                    recording.measured
                )
                mark = "" if as_it_should else f"  <- wanted {[kind.value for kind in expected]}"
                kinds = [kind.value for kind in recording.measured]
                print(f"{recording.scenario}: {kinds}, {file.stat().st_size} bytes{mark}")  # noqa: T201


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.packets.record", description=__doc__)
    parser.add_argument("scenario", nargs="*", help="names; all where none is given")
    asyncio.run(main(parser.parse_args().scenario))

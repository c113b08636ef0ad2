"""Play one case as an investigation does: evidence, rules, the model with its tools, the sceptic."""

import time
from typing import Any, cast

from obstore.store import MemoryStore
from pydantic import BaseModel

from activities.by_reference import EvidenceActivities
from activities.deployments import DeploymentActivities
from activities.logs import LogActivities
from activities.providers import ProviderActivities
from activities.repository import RepositoryActivities
from activities.source import SourceReader
from activities.tools import ToolActivities
from evals.case import WINDOW, Case
from evals.production import RecordedProduction, incident_of
from railmend.artifacts import ArtifactStore
from railmend.contracts.incident import (
    BY_RULE,
    CODING_VERDICTS,
    CodeRequest,
    Diagnosis,
    EvidencePacket,
    EvidenceSource,
    Facts,
    IncidentRequest,
    PacketRequest,
    StoredFacts,
)
from railmend.contracts.investigation import EvidenceCall, ToolRequest
from railmend.diagnosis.conversation import MAX_CONCLUSIONS, begin
from railmend.diagnosis.diagnose import to_the_end
from railmend.diagnosis.model import ModelError, ModelSettings
from railmend.diagnosis.router import decide_by_rule
from railmend.providers.status.reader import StatusReader
from railmend.publishing.github import GitHubClient
from railmend.railway.pool import RailwayPool


class Played(BaseModel):
    """What came of one case, once. `diagnosis`: None where no model answered, and `failure` says why.

    `first`: the verdict before the sceptic. `gave_up`: no conclusion held, so the verdict is nobody's.
    """

    case: str
    first: str = ""
    diagnosis: Diagnosis | None = None
    packet: EvidencePacket | None = None
    gave_up: bool = False
    turns: int = 0
    calls: int = 0
    seconds: float = 0.0
    failure: str = ""

    @property
    def by_rule(self) -> bool:
        return self.diagnosis is not None and self.diagnosis.model == BY_RULE


async def collect(
    incident: IncidentRequest,
    artifacts: ArtifactStore,
    pool: RailwayPool,
    github: GitHubClient,
    code: SourceReader,
    status: StatusReader,
) -> EvidencePacket:
    """Return the packet of an incident: all sources, in the order of an investigation."""
    providers = ProviderActivities(
        railway=pool, network_of=lambda of: of.network, code=code, status=status, artifacts=artifacts
    )
    evidence = EvidenceActivities(artifacts)
    deployments, logs = DeploymentActivities(pool, artifacts), LogActivities(pool, artifacts)
    sources = {
        EvidenceSource.PROVIDERS: providers.provider_facts,
        EvidenceSource.FINDINGS: evidence.finding_facts,
        EvidenceSource.SERIES: deployments.chart_facts,
        EvidenceSource.DEPLOYMENTS: deployments.deployment_facts,
        EvidenceSource.DEPLOYMENT_STATE: deployments.state_facts,
        EvidenceSource.BUILD_LOGS: logs.build_log_facts,
        EvidenceSource.DEPLOY_LOGS: logs.deploy_log_facts,
        EvidenceSource.HTTP_LOGS: logs.http_log_facts,
        EvidenceSource.CONFIGURATION_CHANGES: deployments.drift_facts,
    }
    stored = {
        source: StoredFacts(source=source, facts=await facts(incident)) for source, facts in sources.items()
    }
    asked = CodeRequest(**dict(incident), facts=tuple(stored.values()))
    change = await RepositoryActivities(github, pool, artifacts, code=code).change_facts(asked)
    stored[EvidenceSource.CODE_CHANGES] = StoredFacts(source=EvidenceSource.CODE_CHANGES, facts=change)
    facts = tuple(stored[source] for source in EvidenceSource)
    reference = await evidence.build_packet(PacketRequest(incident=incident, facts=facts))
    return await artifacts.get_model(reference, EvidencePacket)


async def play(case: Case, model: ModelSettings, sceptic: ModelSettings) -> Played:
    """Return what came of a case; a model that cannot be asked is a failure of it, not of the run."""
    began = time.monotonic()
    production: Any = RecordedProduction(case)
    artifacts = ArtifactStore(MemoryStore(), "memory")
    incident = incident_of(case)
    packet = await collect(incident, artifacts, production, production, production, production)
    played = Played(case=case.name, packet=packet)
    if (decided := decide_by_rule(incident, packet)) is not None:
        return played.model_copy(update={"diagnosis": decided, "first": decided.verdict.value})
    tools = ToolActivities(
        railway=production, github=production, status=production, artifacts=artifacts, code=production
    )
    reference = await artifacts.put_model(incident)

    async def use_tool(call: EvidenceCall) -> Facts | str:
        result = await tools.use_tool(ToolRequest(incident=reference, call=call))
        return await artifacts.get_model(result.facts, Facts) if result.facts else result.unseen

    async def missing(paths: Any) -> list[str]:
        return cast(list[str], production.missing_files("", "", "", paths))

    try:
        talk, diagnosis = await to_the_end(
            begin(incident, packet, WINDOW.end), model, missing, use_tool=use_tool, now=WINDOW.end
        )
        update: dict[str, Any] = {"first": diagnosis.verdict.value, "turns": talk.turns, "calls": talk.calls}
        gave_up = talk.refused >= MAX_CONCLUSIONS
        if diagnosis.verdict in CODING_VERDICTS:
            doubting = begin(incident, talk.packet, WINDOW.end, diagnosis)
            talk, diagnosis = await to_the_end(doubting, sceptic, missing, use_tool=use_tool, now=WINDOW.end)
            update |= {"turns": update["turns"] + talk.turns, "calls": update["calls"] + talk.calls}
    except ModelError as error:
        return played.model_copy(update={"failure": str(error), "seconds": time.monotonic() - began})
    update |= {"diagnosis": diagnosis, "packet": talk.packet, "gave_up": gave_up}
    return played.model_copy(update=update | {"seconds": time.monotonic() - began})

"""Evidence sources: each condenses where it fetches, and hands on bounded text."""

from datetime import timedelta

from temporalio import activity

from activities.errors import translated
from railmend.contracts.incident import EvidencePacket, Facts, IncidentRequest, PacketRequest
from railmend.evidence.condense import condense_http, condense_logs
from railmend.evidence.packet import number
from railmend.railway.pool import RailwayPool

# Rows read per source; more is said to be cut. The evidence room streams later.
MAX_LOG_ROWS = 1000
MAX_HTTP_ROWS = 1000


class EvidenceActivities:
    def __init__(self, railway: RailwayPool) -> None:
        self._railway = railway

    @activity.defn
    async def finding_facts(self, request: IncidentRequest) -> Facts:
        """What was measured, in the words of the rules."""
        service = request.service
        brief = (
            f"service {service.name}, kind {service.kind.value}, repository {service.repository}, "
            f"branch {service.branch}, root directory {service.root_directory or '/'}, "
            f"running commit {service.commit}"
        )
        found = tuple(
            (
                "finding",
                finding.kind.value,
                f"{finding.kind.value} ({finding.severity.value}) since {finding.onset.isoformat()}: "
                f"{finding.sentence}",
            )
            for finding in request.findings
        )
        return Facts(items=(*found, ("architecture", "railway", brief)))

    @activity.defn
    async def deployment_facts(self, request: IncidentRequest) -> Facts:
        with translated():
            client = await self._railway.of(request.environment_id)
            rows = await client.deployments(
                request.project_id, request.environment_id, request.service.service_id
            )
        lines = [
            f"{row.created_at.isoformat()} {row.status} {(row.commit or '-')[:12]} "
            f"by {row.commit_author or '-'}: {(row.commit_message or '').splitlines()[0:1]}"
            for row in rows
        ]
        if not lines:
            return Facts(items=(), unseen=("No deployment of this service is known.",))
        return Facts(items=(("deployment", "railway deployments, newest first", "\n".join(lines)),))

    @activity.defn
    async def deploy_log_facts(self, request: IncidentRequest) -> Facts:
        deployment = request.service.active_deployment_id
        if deployment is None:
            return Facts(items=(), unseen=("No deployment is active, so there are no deploy logs.",))
        window = request.window
        with translated():
            client = await self._railway.of(request.environment_id)
            lines = await client.deploy_logs(
                deployment, window.start, window.end + timedelta(minutes=5), limit=MAX_LOG_ROWS
            )
        if not lines:
            return Facts(items=(), unseen=("The deploy logs of the window are empty.",))
        cut = (
            (f"Deploy logs: only the newest {MAX_LOG_ROWS} rows were read.",)
            if len(lines) >= MAX_LOG_ROWS
            else ()
        )
        return Facts(items=(("deploy_log", "deploy logs, condensed", condense_logs(lines)),), unseen=cut)

    @activity.defn
    async def http_log_facts(self, request: IncidentRequest) -> Facts:
        """Errors and slow requests alike: a latency finding needs the slow ones."""
        deployment = request.service.active_deployment_id
        if deployment is None:
            return Facts(items=(), unseen=("No deployment is active, so there are no HTTP logs.",))
        window = request.window
        with translated():
            client = await self._railway.of(request.environment_id)
            lines = await client.http_logs(
                deployment, window.start, window.end, filter="", limit=MAX_HTTP_ROWS
            )
        if not lines:
            return Facts(items=(), unseen=("No HTTP log in the window: private or without traffic.",))
        return Facts(items=(("http_log", "HTTP logs, condensed", condense_http(lines)),))

    @activity.defn
    async def build_packet(self, request: PacketRequest) -> EvidencePacket:
        return number(request.incident.service.name, request.facts)

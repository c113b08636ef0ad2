"""Architecture and measurements over Railway's API."""

from temporalio import activity

from activities.errors import translated
from railmend.assessment import assess
from railmend.contracts.scan import Architecture, Assessment, AssessRequest, ScanRequest
from railmend.railway.client import RailwayClient


class RailwayActivities:
    def __init__(self, client: RailwayClient) -> None:
        self._client = client

    @activity.defn
    async def read_architecture(self, request: ScanRequest) -> Architecture:
        with translated():
            return await self._client.architecture(request.project_id, request.environment_id)

    @activity.defn
    async def assess_window(self, request: AssessRequest) -> Assessment:
        """Series are condensed to findings here: they never cross the border."""
        architecture = request.architecture
        services = {service.service_id: service for service in architecture.services}
        with translated():
            slices, unseen = await self._client.slices(
                architecture.environment_id, architecture.services, request.window
            )
        findings = [
            finding
            for one in slices
            for finding in assess(one, services[one.service_id], environment_id=architecture.environment_id)
        ]
        return Assessment(findings=tuple(findings), unseen=tuple(unseen))

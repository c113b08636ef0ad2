"""How a scan begins: the settings of this worker as they are then, and what they let it see."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio import activity

from activities.errors import translated
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.scan import ScanBeginning, ScanRequest, ScanSettings, Screening, ScreenRequest
from railmend.scan_settings import scan_settings
from railmend.settings import Settings


@dataclass
class SettingsActivities:
    """`report_only`: nobody here could diagnose or repair, so no scan goes further than its report.

    `own_repository`: of this worker, where the platform that it runs on says so.
    """

    current: Callable[[], Settings]
    screen: Callable[[ScreenRequest], Awaitable[Screening]]
    report_only: bool = False
    own_repository: str = ""

    @activity.defn
    async def read_scan_settings(self, request: ScanBeginning) -> ScanSettings:
        """Return how far this scan may go, what it may spend, how far it looks back, and what it sees."""
        with translated():
            settings = scan_settings(self.current(), request)
        settings = settings.model_copy(update={"own_repository": self.own_repository})
        if self.report_only:
            settings = settings.model_copy(update={"autonomy": Autonomy.REPORT, "service_autonomy": {}})
        if request.at is None:
            return settings
        screened = ScreenRequest(
            scan=ScanRequest(**{name: getattr(request, name) for name in ScanRequest.model_fields}),
            window=settings.window(request.at),
            pull_request_environment=settings.pull_request_environment,
        )
        return settings.model_copy(update={"screening": await self.screen(screened)})

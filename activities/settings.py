"""How a scan begins: the settings of this worker as they are then, and what they let it see."""

from collections.abc import Awaitable, Callable

from temporalio import activity

from activities.errors import translated
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.scan import ScanBeginning, ScanRequest, ScanSettings, Screening, ScreenRequest
from railmend.scan_settings import scan_settings
from railmend.settings import Settings


class SettingsActivities:
    def __init__(
        self,
        current: Callable[[], Settings],
        screen: Callable[[ScreenRequest], Awaitable[Screening]],
        *,
        report_only: bool = False,
        own_repository: str = "",
    ) -> None:
        """`report_only`: nobody here could diagnose or repair, so no scan goes further than its report.

        `own_repository`: of this worker, where the platform that it runs on says so.
        """
        self._current = current
        self._screen = screen
        self._report_only = report_only
        self._own_repository = own_repository

    @activity.defn
    async def read_scan_settings(self, request: ScanBeginning) -> ScanSettings:
        """Return how far this scan may go, what it may spend, how far it looks back, and what it sees."""
        with translated():
            settings = scan_settings(self._current(), request)
        settings = settings.model_copy(update={"own_repository": self._own_repository})
        if self._report_only:
            settings = settings.model_copy(update={"autonomy": Autonomy.REPORT, "service_autonomy": {}})
        if request.at is None:
            return settings
        screened = ScreenRequest(
            scan=ScanRequest(**{name: getattr(request, name) for name in ScanRequest.model_fields}),
            window=settings.window(request.at),
            pull_request_environment=settings.pull_request_environment,
        )
        return settings.model_copy(update={"screening": await self._screen(screened)})

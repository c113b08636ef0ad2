"""The settings of this worker, as they are when a scan begins."""

from collections.abc import Callable

from temporalio import activity

from activities.errors import translated
from railmend.contracts.autonomy import Autonomy
from railmend.contracts.scan import ScanRequest, ScanSettings
from railmend.scan_settings import scan_settings
from railmend.settings import Settings


class SettingsActivities:
    def __init__(self, current: Callable[[], Settings], *, report_only: bool = False) -> None:
        """`report_only`: nobody here could diagnose or repair, so no scan goes further than its report."""
        self._current = current
        self._report_only = report_only

    @activity.defn
    async def read_scan_settings(self, request: ScanRequest) -> ScanSettings:
        """Return how far this scan may go, what it may spend and how far it looks back."""
        with translated():
            scanned = scan_settings(self._current(), request)
        if self._report_only:
            return scanned.model_copy(update={"autonomy": Autonomy.REPORT, "service_autonomy": {}})
        return scanned

"""The settings of this worker, as they are when a scan begins."""

from collections.abc import Callable

from temporalio import activity

from activities.errors import translated
from railmend.contracts.scan import ScanRequest, ScanSettings
from railmend.scan_settings import scan_settings
from railmend.settings import Settings


class SettingsActivities:
    def __init__(self, current: Callable[[], Settings]) -> None:
        self._current = current

    @activity.defn
    async def read_scan_settings(self, request: ScanRequest) -> ScanSettings:
        """Return how far this scan may go, what it may spend and how far it looks back."""
        with translated():
            return scan_settings(self._current(), request)

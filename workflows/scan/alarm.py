"""Tell people that scans are missed: once for each streak, whatever the number of workers that notice it."""

import asyncio
from contextlib import suppress

from temporalio import workflow

from railmend.contracts.notification import MissedScans, missed_scans_notification
from railmend.contracts.policy import Policy
from workflows.shared import details, policies
from workflows.shared.notifications import notify


@workflow.defn
class ScanAlarm:
    """Open as long as the streak: its workflow id keeps another worker from telling the same."""

    def __init__(self) -> None:
        self._over = False

    @workflow.run
    async def run(self, missed: MissedScans) -> None:
        details.show("{} {}", missed.sentence, missed.next_step)
        await notify(Policy(notify=True), [missed_scans_notification(missed, workflow.info().run_id)])
        with suppress(asyncio.TimeoutError):  # a streak that goes on is then told again
            await workflow.wait_condition(
                lambda: self._over,
                timeout=policies.ALARM_REPEAT,
                timeout_summary="until people are notified again",
            )

    @workflow.signal(description="A scan has succeeded again")
    def over(self) -> None:
        self._over = True

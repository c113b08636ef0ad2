"""Where a repair is after its pull request was opened, and how it is handed to the next run."""

from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from railmend.contracts.policy import FollowUp
    from railmend.contracts.repair import Progress, RepairOutcome, RepairRequest, RepairResult
    from railmend.contracts.track_record import FixRecord
    from workflows.shared import policies


class Course:
    """All state of the stages after the pull request; nothing else may be needed to go on."""

    def __init__(self, repair: RepairRequest, progress: Progress) -> None:
        self.repair = repair
        self.progress = progress

    @property
    def policy(self) -> FollowUp:
        return self.repair.policy.follow_up

    @property
    def number(self) -> int:
        return self.progress.pull_request.number

    @property
    def retries_left(self) -> bool:
        """Whether a merged fix that did not hold is followed by another one."""
        return self.progress.fix_number <= self.policy.retries

    def ended(self, outcome: RepairOutcome, reason: str) -> RepairResult:
        progress = self.progress
        return progress.result.model_copy(
            update={
                "outcome": outcome,
                "reason": reason,
                "pull_request": progress.pull_request,
                "merge": progress.merge,
                "edited": progress.edited,
            }
        )

    def fixes(self, result: RepairResult) -> tuple[FixRecord, ...]:
        """What became of each attempt, `result` being this one's."""
        repair, progress = self.repair, self.progress
        up_since = progress.up_since if result.outcome is RepairOutcome.HELD else None
        fix = FixRecord(
            repository=repair.repository,
            kind=repair.kind,
            outcome=result.outcome.value,
            merged=progress.merge is not None,
            edited=progress.edited,
            at=workflow.now(),
            opened_seconds=self._since_onset(progress.opened_at if progress.fix_number == 1 else None),
            recovered_seconds=self._since_onset(up_since),
        )
        return (*progress.earlier, fix)

    def _since_onset(self, moment: datetime | None) -> int | None:
        return None if moment is None else int((moment - self.repair.onset).total_seconds())

    def note(self, **changes: Any) -> None:
        self.progress = self.progress.model_copy(update=changes)

    async def pause(self, length: timedelta, summary: str) -> None:
        """Sleep, unless this run has grown long: then a new one goes on from here."""
        if workflow.info().get_current_history_length() > policies.LONGEST_HISTORY:
            await workflow.wait_condition(workflow.all_handlers_finished)
            workflow.continue_as_new(self.repair.model_copy(update={"progress": self.progress}))
        await workflow.sleep(length, summary=summary)

    async def until(self, moment: datetime, summary: str) -> None:
        await self.pause(max(moment - workflow.now(), timedelta(0)), summary)

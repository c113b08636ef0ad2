"""All that a repair knows, and how a long one goes on in a new run."""

from datetime import datetime, timedelta
from typing import Any

from pydantic import ConfigDict, PrivateAttr
from temporalio import workflow

from railmend.contracts.base import Contract
from railmend.contracts.policy import FollowUp
from railmend.contracts.repair import (
    Approval,
    CodingRound,
    PullRequest,
    RepairOutcome,
    RepairRequest,
    RepairResult,
    Workspace,
)
from railmend.contracts.review import Merge, PullState, SeenNotes
from railmend.contracts.status import (
    PHASES,
    WAITS_FOR_APPROVAL,
    Phase,
    RepairStatus,
    status_of_failure,
    status_of_result,
)
from railmend.contracts.track_record import FixRecord
from workflows.shared import details, policies


class PublishedFix(Contract):
    """One fix whose pull request was opened, and what has become of it.

    `head`: the last commit that Railmend pushed. `rounds`: follow-ups made in answer to the review.
    `moved_at`: when the last look found something new; `looked_state`, `looked_head`: what it found.
    `closed_at`: since when it is closed, while it may be opened again. `deployed`: by incident, the
    deployment that carries the merge. `live_since`: when the merge was seen in production. `measurements`:
    how many were made. `delay_told`: people know that the merge is not deployed by itself. `proof`: what it
    came to for `head`; empty: none was made.
    """

    model_config = ConfigDict(frozen=False)

    pull_request: PullRequest
    head: str
    opened_at: datetime
    seen: SeenNotes = SeenNotes()
    rounds: int = 0
    moved_at: datetime | None = None
    looked_state: PullState = PullState.OPEN
    looked_head: str = ""
    closed_at: datetime | None = None
    merge: Merge | None = None
    merged_seen_at: datetime | None = None
    deployed: tuple[str | None, ...] = ()
    live_since: datetime | None = None
    measurements: int = 0
    delay_told: bool = False
    proof: str = ""

    @property
    def edited(self) -> bool:
        """Whether a person's commits were merged with it."""
        return self.merge is not None and self.merge.head != self.head

    @property
    def proof_of_merge(self) -> str:
        """What was proved of what was merged; empty: nothing."""
        return self.proof if self.merge and not self.edited else ""

    @property
    def merged(self) -> Merge:
        """The merge, in the phases after it."""
        if self.merge is None:
            raise ValueError(f"Pull request {self.pull_request.number} is not merged.")
        return self.merge


class RepairState(Contract):
    """The state of a repair: what a run starts with, changes, and hands to the next run. There is no other.

    `result`: what the repair came to so far. `opened`: its first pull request, as the scan reports it.
    `workspace`: where the session is kept. `next_turn`: the number of the session's next message. `round`:
    what coding hands to publishing. `machines_lost`: how often the machine with the workspace went away.
    `fix`: the one that is published; `earlier`: what became of those before it.
    """

    model_config = ConfigDict(frozen=False)

    request: RepairRequest
    phase: Phase = Phase.APPROVAL
    approval: Approval | None = None
    result: RepairResult | None = None
    opened: RepairResult | None = None
    workspace: Workspace | None = None
    next_turn: int = 0
    round: CodingRound | None = None
    machines_lost: int = 0
    fix: PublishedFix | None = None
    earlier: tuple[FixRecord, ...] = ()
    # What the phase is at, for people: not stored, a replay comes to it again.
    _step: str = PrivateAttr("")
    _link: str = PrivateAttr("")

    @property
    def policy(self) -> FollowUp:
        return self.request.policy.follow_up

    @property
    def machine(self) -> str | None:
        """The task queue of the machine that keeps the session."""
        return self.workspace.task_queue if self.workspace else None

    @property
    def waits_for_approval(self) -> bool:
        return self.phase is Phase.APPROVAL and self.approval is None

    def enter(self, phase: Phase) -> None:
        """Begin a phase, and show it."""
        self.phase = phase
        self.show("")

    def show(self, step: str, link: str = "") -> None:
        """Show the status with what the phase is at. `link`: an address that belongs to it."""
        self._step, self._link = step, link
        details.show_status(self.status())

    def status(self) -> RepairStatus:
        """Return how the repair stands, as every screen shows it."""
        if self.phase is Phase.DONE:
            if self.result is None:
                return status_of_failure(cancelled=False, reason="")
            return status_of_result(self.result).model_copy(update={"waits": False})
        link = self.fix.pull_request.url if self.fix else ""
        if self.waits_for_approval and self.request.needs_approval:
            command = f"starter.py approve {self.request.workflow_id} --plan {self.request.plan_hash}"
            return RepairStatus(
                label=WAITS_FOR_APPROVAL, detail=self._step, waits=True, command=command, link=self._link
            )
        label = PHASES.get(self.phase, f"in phase {self.phase.value}, which a newer version began")
        if self.phase is Phase.CODING and self.request.fix_number > 1:
            label = "the fix did not hold, another one is being written"
        waits = self.phase is Phase.REVIEW
        return RepairStatus(label=label, detail=self._step, waits=waits, link=link)

    @property
    def retries_left(self) -> bool:
        """Whether a merged fix that does not hold is followed by another one."""
        return self.request.fix_number <= self.policy.retries

    @property
    def retry_failed(self) -> bool:
        """Whether the repair has ended with no pull request for the fix that it announced."""
        announced = self.result is not None and self.result.merge is not None
        return self.phase is Phase.DONE and self.fix is None and announced

    @property
    def published(self) -> PublishedFix:
        """The fix that is published, in the phases after publishing."""
        if self.fix is None:
            raise ValueError(f"The repair {self.request.key} has no pull request.")
        return self.fix

    def end(self, outcome: RepairOutcome, reason: str) -> Phase:
        """End with the result so far and the pull request, where there is one."""
        result = self.result if self.fix and self.result else RepairResult(outcome=outcome, reason=reason)
        update: dict[str, Any] = {"outcome": outcome, "reason": reason}
        if self.fix is not None:
            fix = self.fix
            update |= {"pull_request": fix.pull_request, "merge": fix.merge, "edited": fix.edited}
        return self.end_with(result.model_copy(update=update))

    def end_with(self, result: RepairResult) -> Phase:
        """End with `result`; after a fix that was merged, one that is not published only adds its reason."""
        unpublished = self.result is not None and self.fix is None
        self.result = self.result.but(result.reason) if self.result and unpublished else result
        return Phase.DONE

    def next_fix(self) -> Phase:
        """Begin another fix, on what was merged; `result` tells the session how the last one did."""
        self.earlier = self.fix_records()
        self.request = self.request.next_fix()
        self.fix = None
        return Phase.CODING

    def fix_records(self) -> tuple[FixRecord, ...]:
        """Return what became of each fix; the newest ended as `result` says."""
        if self.fix is None or self.result is None:
            return self.earlier
        held = self.result.outcome is RepairOutcome.HELD
        record = FixRecord(
            repository=self.request.repository,
            kind=self.request.kind,
            outcome=self.result.outcome.value,
            merged=self.fix.merge is not None,
            edited=self.fix.edited,
            proof=self.fix.proof_of_merge,
            at=workflow.now(),
            opened_seconds=self._since_onset(self.fix.opened_at if self.request.fix_number == 1 else None),
            recovered_seconds=self._since_onset(self.fix.live_since if held else None),
        )
        return (*self.earlier, record)

    def _since_onset(self, moment: datetime | None) -> int | None:
        return None if moment is None else int((moment - self.request.onset).total_seconds())

    async def pause(self, length: timedelta, summary: str) -> None:
        """Sleep; in a run that has grown long, begin a new one that goes on with this state."""
        if workflow.info().get_current_history_length() > policies.LONGEST_HISTORY:
            await workflow.wait_condition(workflow.all_handlers_finished)
            workflow.continue_as_new(self)
        await workflow.sleep(length, summary=summary)

    async def pause_until(self, moment: datetime, summary: str) -> None:
        await self.pause(max(moment - workflow.now(), timedelta(0)), summary)

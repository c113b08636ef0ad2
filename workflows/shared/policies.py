"""Every timeout and retry policy, named, with its reason.

Nested: client < start-to-close < schedule-to-close.
"""

from datetime import timedelta
from typing import NotRequired, TypedDict

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

# Raised by the SDK when a result is over 2 MB, which nothing here comes near: sending it again cannot help.
TOO_LARGE = "PayloadsTooLarge"
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=n) for n in (1, 60, 3_600, 86_400))
# Ids of patches (`workflow.patched`) stand here, each with what changed and since which release: PATCH_NAME =
# "what-changed". None is used twice; both branches stay as long as a recorded history needs the old one.
# A patch is billed in each run that asks (a marker, an upsert): what every scan would ask, its first answer
# tells (`workflows/scan/candidates.py`).
# After 0.1.0: a ledger that is away once a scan has its claims fails neither the scan nor its investigations.
PATCH_WITHOUT_LEDGER = "without-ledger"
# Since 0.2.0 a plan that waits may be shown on an issue, and decided by a comment there.
PATCH_APPROVE_BY_COMMENT = "approve-by-comment"
# After 0.1.0: a merge that is not deployed by itself is told at once, and waited for; it ended the repair.
PATCH_MERGE_RIDES_LATER = "merge-rides-later"
# After 0.1.0: where another fix was announced and none came, the pull request of the first says so.
PATCH_RETRY_ENDED = "retry-ended"
# After 0.1.0: a change is proved before it is published; it was published at once.
PATCH_PROOF = "proof"
# After 0.1.0: a follow-up is proved before it is pushed; the proof was about the first commit alone.
PATCH_PROOF_AGAIN = "proof-again"
# After 0.1.0: a review that gets no answer (a cancel, a lost claim, a moved branch) leaves no check running.
PATCH_SETTLE_CHECK = "settle-check"
# After 0.1.0: a proof asks some of production's own requests, which are read before.
PATCH_PROOF_REQUESTS = "proof-requests"
# An investigation reads the code after all other sources, which name what of it matters. Since 0.2.0.
PATCH_CODE_AFTER_LOGS = "code-after-logs"
# After 0.1.0: a model diagnoses in turns, with tools in between; it got one packet and had to conclude.
PATCH_TOOLS = "tools"
# After 0.1.0: where a service of the project does not answer, a restart of it is offered.
PATCH_RESTART_OFFER = "restart-offer"


class Call(TypedDict):
    """The keyword arguments of one kind of activity call."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: timedelta
    retry_policy: RetryPolicy


class LedgerCall(TypedDict):
    """As `Call`; without a schedule-to-close it is repeated for ever."""

    start_to_close_timeout: timedelta
    schedule_to_close_timeout: NotRequired[timedelta]
    retry_policy: RetryPolicy


class BeatingCall(Call):
    """As `Call`, for an activity that heartbeats."""

    heartbeat_timeout: timedelta


class LongCall(BeatingCall):
    """As `BeatingCall`, for an activity that is tied to one machine."""

    schedule_to_start_timeout: timedelta
    cancellation_type: ActivityCancellationType


def _retry(attempts: int, first: float, most: float) -> RetryPolicy:
    return RetryPolicy(
        initial_interval=timedelta(seconds=first),
        backoff_coefficient=2.0,
        maximum_interval=timedelta(seconds=most),
        maximum_attempts=attempts,
        non_retryable_error_types=[TOO_LARGE],
    )


# Whatever waits for an outside system beats: a worker that dies in it is noticed after this (and the pause
# before a retry), not after the longest that the call may take.
BEAT = 20 * SECOND
# What takes an hour beats more slowly, because each beat is billed; a dead worker is noticed within a minute.
SLOW_BEAT = 50 * SECOND


def _beating(once: timedelta, whole: timedelta, retry: RetryPolicy, beat: timedelta = BEAT) -> BeatingCall:
    """Return the policy of what takes at most `once` each time, and `whole` with all its attempts."""
    return BeatingCall(
        start_to_close_timeout=once,
        schedule_to_close_timeout=whole,
        heartbeat_timeout=beat,
        retry_policy=retry,
    )


def _long(once: timedelta, whole: timedelta, retry: RetryPolicy) -> LongCall:
    """Return the same for what is tied to one machine, which may be away for ten minutes."""
    return LongCall(
        **_beating(once, whole, retry, SLOW_BEAT),
        schedule_to_start_timeout=10 * MINUTE,
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


# Reads over the network: the client's own limit is 30 s a request, and a scan makes a handful.
READ = _beating(3 * MINUTE, 10 * MINUTE, _retry(5, 2, 60))
# One evidence source may fail alone; but many investigations at once share the client's pace of requests, and
# a source asks up to eight.
EVIDENCE = _beating(3 * MINUTE, 8 * MINUTE, _retry(3, 1, 20))
# A source that failed in all its attempts is read once more after this.
READ_AGAIN_AFTER = MINUTE
# One answer takes at most 5 minutes (RAILMEND_DIAGNOSIS_SECONDS, 10 at most), and up to five are asked for:
# the first may be cut, two more may be wrong. A provider that is overloaded for minutes is waited for.
MODEL = _beating(50 * MINUTE, 75 * MINUTE, _retry(6, 5, 120))
# Updates of the ledger: quick, idempotent by their ids, and needed. A repair waits for its ledger for ever:
# it must neither end nor go on because of one that does not answer, or is paused.
LEDGER = LedgerCall(start_to_close_timeout=30 * SECOND, retry_policy=_retry(0, 1, 30))
# A scan and an investigation go on without: a scan always reports, and the next one asks again.
LEDGER_BRIEFLY = LedgerCall(
    start_to_close_timeout=30 * SECOND,
    schedule_to_close_timeout=10 * MINUTE,
    retry_policy=_retry(0, 1, 30),
)
# Claims and settlements sent in one call: about 2 KiB each with their answers, so a call stays below 64 KiB.
CLAIMS_AT_ONCE = 20
# The ledger goes on in a new run before Temporal would ask for it: its answers wait for a replay.
LEDGER_EVENTS = 4_000
LEDGER_BYTES = 2 * 1024 * 1024
# Settings read from this machine: only a dead worker can make it fail.
TEXT = Call(
    start_to_close_timeout=30 * SECOND,
    schedule_to_close_timeout=10 * MINUTE,
    retry_policy=_retry(3, 1, 10),
)
# Text made of artifacts, or artifacts read: a store that does not answer is waited for. One request takes at
# most 20 s (client), and most of these make one.
STORED = Call(
    start_to_close_timeout=MINUTE,
    schedule_to_close_timeout=10 * MINUTE,
    retry_policy=_retry(12, 1, 60),
)
# Some HTTP calls of at most 10 s each; a channel that is away for longer is not waited for. The heartbeat
# keeps what was sent, so that a new attempt does not say it twice.
NOTIFY = _beating(3 * MINUTE, 6 * MINUTE, _retry(4, 2, 60), beat=40 * SECOND)
# Clone or fetch of a repository.
WORKSPACE = _beating(10 * MINUTE, 40 * MINUTE, _retry(5, 2, 60))
# One answer of a model that diagnoses in turns, as `MODEL`; what it costs is kept by its heartbeat.
TURN = MODEL
# Far beyond the turns that a conversation allows itself (8, then at most three conclusions and one repeated).
MOST_TURNS = 20
# The coding session: its own limits end it, by default after an hour and after 6 at most, or where it gets no
# further (RAILMEND_SESSION_SECONDS, RAILMEND_STALL_SECONDS); a dead worker is noticed by the missing
# heartbeat after 50 s; a machine that stays away for 10 minutes is given up and the repair starts over. A
# cancel waits until the session is aborted, so that the workspace is not removed under it.
SESSION = _long(6 * HOUR + 15 * MINUTE, 13 * HOUR, _retry(6, 1, 30))
# Installing what checks need, and running them: 4 suites of a few commands, each ended after 10 minutes by
# default. Bound to the machine like the session, and noticed as quickly when its worker dies.
CHECKS = _long(HOUR, 3 * HOUR, _retry(4, 1, 30))
# One side of a proof, as long as the checks: their installation, at most 12 runs of 2 minutes, and a start.
PROOF = CHECKS
# Removing a workspace, or most of it; what cannot be removed now is swept later.
CLEAN_UP = _beating(3 * MINUTE, 8 * MINUTE, _retry(3, 1, 20))
# Push and pull request: GitHub's secondary limits may ask for minutes of patience.
PUBLISH = _beating(3 * MINUTE, HOUR, _retry(8, 2, 300))

# Notifications sent in one call: about 1.5 KiB each, so a call stays far below 64 KiB.
NOTIFICATIONS_AT_ONCE = 20
# One look at a pull request is some reads; a GitHub that is down for an hour delays a repair, no more.
POLL = _beating(2 * MINUTE, 6 * HOUR, _retry(0, 5, 300))
# A plan that waits for a comment: the first looks come quickly, then one in 10 minutes. A retry is one action
# and no event: 30 days, the most that a plan may wait, are about 4,300. The workflow ends it at its own time.
DECISION = _beating(2 * MINUTE, 31 * DAY, _retry(0, 30, 600))
# Comments, labels, a revert: wanted, but a repair goes on without them after a day.
COMMENT = _beating(5 * MINUTE, DAY, _retry(0, 5, 600))
# A person waits for it, and Railway may be down just then.
ACTION = _beating(2 * MINUTE, HOUR, _retry(0, 2, 60))

# Children are started this many at a time: one workflow task must stay far below 4 MB of commands.
CHILDREN_AT_ONCE = 10
# Ten sources of evidence, a diagnosis and its sceptic, each as slow as it may be.
INVESTIGATION_TIMEOUT = 3 * HOUR
# For a day after something moved a pull request is looked at as often as is set, then after a share of its
# silence, an hour at most: 30 silent days are 1,100 looks instead of 10,800, each of two actions.
QUIET_AFTER = DAY
QUIET_SHARE = 1 / 96
SLOWEST_POLL = HOUR
# A streak of missed scans that lasts this long is told again.
ALARM_REPEAT = 7 * DAY
# What was settled is not raised again for this long, whatever is deployed ...
COOLDOWN = 6 * HOUR
# ... and for this long while the same deployment serves: nothing has changed that could change the verdict.
COOLDOWN_UNCHANGED = 7 * DAY
# What was always bad stays so: it is investigated again with the next deployment.
COOLDOWN_CHRONIC = 365 * DAY
# A repair whose budget is used up asks again at most this often.
BUDGET_PAUSE = 30 * SECOND
# A change that is refused, or breaks a check, goes back to the agent this many times.
FOLLOW_UPS = 1
# How often a repair starts over when the machine with its workspace is gone.
WORKSPACE_ROUNDS = 2
# A run ends and hands its state on before its history grows longer: it must stay below 1,000 events, and one
# follow-up or outcome adds up to a hundred.
LONGEST_HISTORY = 800
# Railway builds within minutes; after this long people are told that a merge is in no deployment.
DEPLOYED_WITHIN = 2 * HOUR
DEPLOYMENT_POLL = MINUTE
# A merge that Railway skipped, or lost, rides the next deployment that is made: in a public measurement of 77
# services half of them did at once, nine of ten within 19 hours and all within 63.
RIDES_WITHIN = 3 * DAY
RIDES_POLL = 30 * MINUTE
# Where traffic was too low to tell, the last check is repeated this often, as long after the one before.
EXTRA_CHECKS = 2
# A follow-up goes back to the machine that keeps its session, and elsewhere when nobody answers there.
MACHINE_PATIENCE = 10 * MINUTE

"""Notify people of a change of state; a channel that cannot be reached fails nothing."""

from collections.abc import Sequence

from temporalio import workflow

from activities.notifications import NotificationActivities
from railmend.contracts.notification import Notification, NotificationBatch
from railmend.contracts.policy import Policy
from workflows.shared import policies
from workflows.shared.failures import logged


async def notify(policy: Policy, notifications: Sequence[Notification]) -> None:
    """Send notifications, where anybody wants them. The policy came with the run, so a replay agrees."""
    if not policy.notify:
        return
    for start in range(0, len(notifications), policies.NOTIFICATIONS_AT_ONCE):
        await _send(notifications[start : start + policies.NOTIFICATIONS_AT_ONCE])


async def _send(notifications: Sequence[Notification]) -> None:
    sending = workflow.execute_activity_method(
        NotificationActivities.notify,
        NotificationBatch(notifications=tuple(notifications)),
        summary=notifications[0].kind.value,
        **policies.NOTIFY,
    )
    await logged("notifications not sent", sending)

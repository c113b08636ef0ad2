"""Notifies people of changes of state, on each channel that is set; never delays a repair."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from temporalio import activity

from activities.errors import translated
from railmend.contracts.notification import Notification, NotificationBatch
from railmend.notifying.delivery import DeliveryError, MessageLimit

log = structlog.get_logger(__name__)

Deliver = Callable[[Notification], Awaitable[None]]


@dataclass(frozen=True)
class Channel:
    """`repeatable`: the receiver knows a message again, by a marker or an id: a repeat is no harm."""

    name: str
    deliver: Deliver
    repeatable: bool


class NotificationActivities:
    """What was begun is kept in the heartbeat: a new attempt repeats a message only where that is no harm."""

    def __init__(self, channels: Sequence[Channel], limit: MessageLimit) -> None:
        self._channels = channels
        self._limit = limit

    @activity.defn
    async def notify(self, request: NotificationBatch) -> None:
        """Deliver each notification on each channel. The first retryable failure is raised at the end."""
        begun = set(_earlier())
        failures: dict[str, Exception] = {}  # by channel: one that is down is not asked again in this attempt
        for notification in self._admitted(request.notifications):
            for channel in self._channels:
                mark = f"{channel.name}:{notification.notification_id}"
                if channel.name in failures or (mark in begun and not channel.repeatable):
                    continue
                begun.add(mark)
                activity.heartbeat(sorted(begun))
                failure = await _attempt(channel, notification)
                if failure is not None:
                    failures[channel.name] = failure
                    if not _may_have_arrived(failure):
                        begun.discard(mark)
        activity.heartbeat(sorted(begun))
        if failures:
            with translated():
                raise next(iter(failures.values()))

    def _admitted(self, notifications: Sequence[Notification]) -> list[Notification]:
        admitted = [self._limit.admit(notification) for notification in notifications]
        if left_out := admitted.count(None):
            log.warning("messages left out: the hour's limit is reached", count=left_out)
        return [notification for notification in admitted if notification is not None]


def _earlier() -> Sequence[str]:
    details = activity.info().heartbeat_details
    return list(details[0]) if details else []


async def _attempt(channel: Channel, notification: Notification) -> Exception | None:
    """None: delivered, or given up for good, which is logged."""
    try:
        await channel.deliver(notification)
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - one channel's failure, of whatever kind, spares the others
        log.warning(
            "not notified",
            channel=channel.name,
            notification=notification.notification_id,
            reason=str(error)[:300],
        )
        return error if getattr(error, "retryable", False) else None
    return None


def _may_have_arrived(error: Exception) -> bool:
    return isinstance(error, DeliveryError) and error.uncertain

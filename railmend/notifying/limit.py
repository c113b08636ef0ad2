"""Bounds how many messages people get: so many an hour, and none of them twice."""

import time
from collections import deque
from collections.abc import Callable

from railmend.contracts.notification import Notification

HOUR_SECONDS = 3600.0
MOST_KNOWN = 2_000  # newest messages that are known again


class MessageLimit:
    """Counts in this process: each orchestration worker has its own hour. `clock`: seconds, monotonic."""

    def __init__(self, per_hour: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_hour, self._clock = per_hour, clock
        self._admitted: deque[float] = deque()
        self._known: dict[str, Notification | None] = {}

    def admit(self, notification: Notification) -> Notification | None:
        """Return what may be sent; the hour's last one says that more is left out. None: the hour is full.

        A message that is asked for again, as by another attempt, gets the same answer.
        """
        name = notification.notification_id
        if name not in self._known:
            self._known[name] = self._new(notification)
            if len(self._known) > MOST_KNOWN:
                del self._known[next(iter(self._known))]
        return self._known[name]

    def _new(self, notification: Notification) -> Notification | None:
        now = self._clock()
        while self._admitted and now - self._admitted[0] >= HOUR_SECONDS:
            self._admitted.popleft()
        if len(self._admitted) >= self._per_hour:
            return None
        self._admitted.append(now)
        full = len(self._admitted) == self._per_hour
        return notification.model_copy(update={"last": True}) if full else notification

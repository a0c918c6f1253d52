"""Where alarms go besides the entry: a count by kind, one log line, and the last hundred for readiness and the command line."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.observe.instruments import Count
from gateway.observe.logs import event
from gateway.observe.metrics import Metrics
from gateway.words.json import Pattern
from gateway.words.record import Alarm, AlarmKind

_KEPT = 100


@dataclass(frozen=True, slots=True)
class RecentAlarm:
    """One alarm as it is remembered: what, where by the catalogue's names, and when (UTC)."""

    kind: AlarmKind
    upstream: str
    resource: str
    pattern: Pattern | None
    time: datetime


class Alarms:
    """Fits the corridor's `Alarms`. Used from the event loop only."""

    def __init__(self, metrics: Metrics, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._metrics = metrics
        self._now = now
        self._recent: deque[RecentAlarm] = deque(maxlen=_KEPT)

    def raise_(self, alarms: Sequence[Alarm]) -> None:
        """Counts, logs and remembers each; never blocks on anything but the log's stream."""
        for alarm in alarms:
            self._metrics.count(Count.ALARMS, kind=alarm.kind)
            event(
                "alarm",
                logging.ERROR,
                kind=alarm.kind.value,
                upstream=alarm.upstream,
                resource=alarm.resource,
                pattern=alarm.pattern,
            )
            self._recent.append(
                RecentAlarm(alarm.kind, alarm.upstream, alarm.resource, alarm.pattern, self._now())
            )

    def recent(self) -> tuple[RecentAlarm, ...]:
        """Gives the last hundred, oldest first."""
        return tuple(self._recent)

"""What operators see: logs, counts and alarms, none of which can hold a personal value. The only room that knows opentelemetry."""

from gateway.observe.alarms import Alarms, RecentAlarm
from gateway.observe.logs import configure, event, place_of
from gateway.observe.memory import keep_memory_private
from gateway.observe.metrics import Count, Metrics, Outcome

__all__ = [
    "Alarms",
    "Count",
    "Metrics",
    "Outcome",
    "RecentAlarm",
    "configure",
    "event",
    "keep_memory_private",
    "place_of",
]

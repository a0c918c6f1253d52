"""What operators see: logs, counts and alarms, none of which can hold a personal value. The only room that knows opentelemetry."""

from gateway.observe.alarms import Alarms, RecentAlarm
from gateway.observe.exposition import MEDIA_TYPE, prometheus_name, render
from gateway.observe.instruments import (
    TABLE,
    Count,
    Entered,
    Level,
    Outcome,
    Shown,
    Spread,
    Trouble,
    Unwritten,
)
from gateway.observe.logs import configure, event, place_of
from gateway.observe.memory import keep_memory_private
from gateway.observe.metrics import Metrics

__all__ = [
    "MEDIA_TYPE",
    "TABLE",
    "Alarms",
    "Count",
    "Entered",
    "Level",
    "Metrics",
    "Outcome",
    "RecentAlarm",
    "Shown",
    "Spread",
    "Trouble",
    "Unwritten",
    "configure",
    "event",
    "keep_memory_private",
    "place_of",
    "prometheus_name",
    "render",
]

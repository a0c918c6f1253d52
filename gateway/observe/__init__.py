"""What operators see: logs, counts and alarms, none of which can hold a personal value. The only room that knows opentelemetry."""

from gateway.observe.alarms import Alarms, RecentAlarm
from gateway.observe.collecting import CLOSE_SECONDS, Collecting, can_collect, collector
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
from gateway.observe.metrics import Metrics, Series
from gateway.observe.several import joined, packed, unpacked
from gateway.observe.tracing import Kind as SpanKind
from gateway.observe.tracing import Span, Spans, Traced, Tracer, end, here, lines_of

__all__ = [
    "CLOSE_SECONDS",
    "MEDIA_TYPE",
    "TABLE",
    "Alarms",
    "Collecting",
    "Count",
    "Entered",
    "Level",
    "Metrics",
    "Outcome",
    "RecentAlarm",
    "Series",
    "Shown",
    "Span",
    "SpanKind",
    "Spans",
    "Spread",
    "Traced",
    "Tracer",
    "Trouble",
    "Unwritten",
    "can_collect",
    "collector",
    "configure",
    "end",
    "event",
    "here",
    "joined",
    "keep_memory_private",
    "lines_of",
    "packed",
    "place_of",
    "prometheus_name",
    "render",
    "unpacked",
]

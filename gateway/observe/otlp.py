"""Metrics and spans to a collector by OTLP over HTTP, on a thread of its own. The only page that knows opentelemetry.

Imported when a collector is configured, never otherwise. A collector that is slow, gone or hostile costs telemetry and nothing else:
requests put spans into a bounded queue and go on; what it answers is read as a status and no further.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from time import time_ns
from typing import Any, Final

import requests
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import export as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from gateway.observe.instruments import Count, Exported, Fate, Labels, Spread
from gateway.observe.metrics import Distribution, Metrics, Series
from gateway.observe.tracing import Kind, Span, Spans
from gateway.words.ids import new_id

_BATCH: Final = 512
_PAUSE_SECONDS: Final = 2.0
ANSWER_SECONDS: Final = 5.0
"""How long the collector may take for one batch, trying again included."""
_KINDS: Final = {
    Kind.SERVER: SpanKind.SERVER,
    Kind.CLIENT: SpanKind.CLIENT,
    Kind.INTERNAL: SpanKind.INTERNAL,
}
_SCOPE: Final = InstrumentationScope("gatehouse")


class Collector:
    """Somewhere to send telemetry to. `push` and `close` are called from the event loop and never wait for the collector."""

    def __init__(self, endpoint: str, spans: Spans, metrics: Metrics, version: str) -> None:
        """endpoint: its address without a path (http://127.0.0.1:4318); /v1/traces and /v1/metrics are OTLP's own."""
        # Given, not detected: detection reads the environment and the machine's names.
        # The instance is this start of this process: two that share a collector must not add up to nonsense.
        self._resource = Resource(
            {"service.name": "gatehouse", "service.version": version, "service.instance.id": new_id("run")}
        )
        base = endpoint.rstrip("/")
        self._to_spans = OTLPSpanExporter(f"{base}/v1/traces", timeout=ANSWER_SECONDS, session=_session())
        self._to_metrics = OTLPMetricExporter(
            f"{base}/v1/metrics", timeout=ANSWER_SECONDS, session=_session()
        )
        self._spans = spans
        self._metrics = metrics
        self._pushed: tuple[Sequence[Series], int] | None = None
        self._wake = threading.Event()
        self._closing = False
        self._fates = dict.fromkeys(Fate, 0)
        self._results = dict.fromkeys(Exported, 0)
        metrics.before_reading(self._tell)
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
        self._thread.start()

    def push(self) -> None:
        """Lets the thread send the metrics as they stand now, when it comes to it; older ones that still wait are forgotten."""
        self._pushed = (self._metrics.collect(), time_ns())

    def close(self) -> threading.Thread:
        """Asks the thread to send what there is and end; gives it, to be waited for off the event loop."""
        self.push()
        self._closing = True
        self._wake.set()
        return self._thread

    def _tell(self) -> None:
        for fate in (Fate.EXPORTED, Fate.FAILED):
            self._metrics.reached(Count.SPANS, self._fates[fate], fate=fate)
        for result, n in self._results.items():
            self._metrics.reached(Count.EXPORTS, n, result=result)

    # From here on: the thread.

    def _run(self) -> None:
        closing = False
        while not closing:
            self._wake.wait(_PAUSE_SECONDS)
            closing = self._closing  # before the last round, which takes what was put until then
            self._send()

    def _send(self) -> None:
        pushed, self._pushed = self._pushed, None
        if pushed is not None:
            self._result(self._try_metrics(*pushed))
        while batch := self._spans.take(_BATCH):
            done = self._try_spans(batch)
            self._fates[Fate.EXPORTED if done else Fate.FAILED] += len(batch)
            self._result(done)
            if not done:
                return  # whatever else waits has its turn after a pause, if there is still room for it

    def _result(self, done: bool) -> None:
        self._results[Exported.DONE if done else Exported.FAILED] += 1

    def _try_spans(self, batch: Sequence[Span]) -> bool:
        try:
            readable = [_readable(span, self._resource) for span in batch]
            return self._to_spans.export(readable) is SpanExportResult.SUCCESS
        except Exception:  # noqa: BLE001 - does not go on: telemetry is lost and counted; a request has nothing to do with it
            return False

    def _try_metrics(self, collected: Sequence[Series], now_ns: int) -> bool:
        try:
            data = _metrics_data(collected, self._metrics.started_ns, now_ns, self._resource)
            return self._to_metrics.export(data) is sdk.MetricExportResult.SUCCESS
        except Exception:  # noqa: BLE001 - as above
            return False


class _StatusAlone(requests.Session):
    """Takes of an answer its status and nothing else: not its body, which may have no end, and no way elsewhere."""

    def request(self, *args: Any, **given: Any) -> requests.Response:
        answer = super().request(*args, **(given | {"stream": True, "allow_redirects": False}))
        answer.close()
        answer._content = b""  # what is asked of it later finds it read
        if 300 <= answer.status_code < 400:  # the exporter would take it for done
            answer.status_code = 502
        return answer


def _session() -> requests.Session:
    session = _StatusAlone()
    session.trust_env = False  # no proxy and no .netrc that somebody left in the environment
    return session


def _context(trace: str, span: str) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=TraceFlags(1))


def _readable(span: Span, resource: Resource) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=_context(span.trace, span.id),
        parent=None if span.parent is None else _context(span.trace, span.parent),
        resource=resource,
        attributes={name.value: value for name, value in span.attributes.items()},
        kind=_KINDS[span.kind],
        status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
        start_time=span.start_ns,
        end_time=span.end_ns,
        instrumentation_scope=_SCOPE,
    )


def _metrics_data(
    collected: Sequence[Series], since_ns: int, now_ns: int, resource: Resource
) -> sdk.MetricsData:
    found = [
        sdk.Metric(
            name=series.name.value,
            description=series.instrument.help,
            unit=series.instrument.unit,
            data=_data(series, since_ns, now_ns),
        )
        for series in collected
    ]
    scoped = sdk.ScopeMetrics(scope=_SCOPE, metrics=found, schema_url="")
    whole = sdk.ResourceMetrics(resource=resource, scope_metrics=[scoped], schema_url="")
    return sdk.MetricsData(resource_metrics=[whole])


def _data(series: Series, since_ns: int, now_ns: int) -> sdk.Sum | sdk.Gauge | sdk.Histogram:
    cumulative = sdk.AggregationTemporality.CUMULATIVE
    if isinstance(series.name, Spread):
        points = [
            _histogram(labels, value, series.instrument.bounds, since_ns, now_ns)
            for labels, value in series.values.items()
            if isinstance(value, Distribution)
        ]
        return sdk.Histogram(data_points=points, aggregation_temporality=cumulative)
    numbers = [
        sdk.NumberDataPoint(dict(labels), since_ns, now_ns, value)
        for labels, value in series.values.items()
        if not isinstance(value, Distribution)
    ]
    if isinstance(series.name, Count):
        return sdk.Sum(data_points=numbers, aggregation_temporality=cumulative, is_monotonic=True)
    return sdk.Gauge(data_points=numbers)


def _histogram(
    labels: Labels, value: Distribution, bounds: Sequence[float], since_ns: int, now_ns: int
) -> sdk.HistogramDataPoint:
    return sdk.HistogramDataPoint(
        attributes=dict(labels),
        start_time_unix_nano=since_ns,
        time_unix_nano=now_ns,
        count=sum(value.counts),
        sum=value.sum,
        bucket_counts=value.counts,
        explicit_bounds=bounds,
        # Not kept: None leaves them out on the wire, where they are optional.
        min=None,  # type: ignore[arg-type]  # the SDK's type has no word for absent
        max=None,  # type: ignore[arg-type]  # as above
    )

"""A collector on loopback: takes OTLP over HTTP as any does, decodes it with OpenTelemetry's own classes, and can misbehave."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan

Value = str | int | float


@dataclass
class Receiver:
    """What came. status, location, body_bytes: what is answered from now on. sent: how much of a body was taken.

    free: nothing is answered until it is set.
    """

    status: int = 200
    raw: list[tuple[str, bytes]] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)
    free: threading.Event = field(default_factory=threading.Event)
    base: str = ""
    location: str = ""
    body_bytes: int = 0
    sent: int = 0

    @property
    def spans(self) -> list[WireSpan]:
        found = []
        for path, body in self.raw:
            if path == "/v1/traces":
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    found += [span for scope in resource.scope_spans for span in scope.spans]
        return found

    @property
    def metrics(self) -> dict[str, Any]:
        """The last export, by name."""
        bodies = [body for path, body in self.raw if path == "/v1/metrics"]
        if not bodies:
            return {}
        (resource,) = ExportMetricsServiceRequest.FromString(bodies[-1]).resource_metrics
        return {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}


def said(span: WireSpan) -> dict[str, Value]:
    """A span's attributes."""
    return {a.key: getattr(a.value, str(a.value.WhichOneof("value"))) for a in span.attributes}


@contextmanager
def receiving(*, hang: bool = False, status: int = 200) -> Iterator[Receiver]:
    """Runs one for a `with` block."""
    made = Receiver(status)
    if not hang:
        made.free.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.heads.append(str(self.headers).encode())
            made.raw.append((self.path, body))
            made.free.wait(30)
            self.send_response(made.status)
            self.send_header("content-length", str(made.body_bytes))
            if made.location:
                self.send_header("location", made.location)
            self.end_headers()
            with suppress(OSError):
                while made.sent < made.body_bytes:
                    made.sent += self.wfile.write(bytes(1 << 16))

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    with Quiet(("127.0.0.1", 0), Handler) as server:
        made.base = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            made.free.set()
            server.shutdown()
            thread.join(5)

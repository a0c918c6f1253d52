"""Whether telemetry goes anywhere: joins the collector's page when one is configured, and names what is missing for it."""

from __future__ import annotations

from importlib import import_module
from threading import Thread
from typing import Any, Protocol

from gateway.observe.metrics import Metrics
from gateway.observe.tracing import Spans
from gateway.words.errors import Misconfigured

CLOSE_SECONDS = 2.0
"""How long a stop waits for the last of it; a collector that hangs keeps nobody."""
_NEEDED = frozenset({"opentelemetry", "requests", "google"})


class Collecting(Protocol):
    """Somewhere that telemetry goes."""

    def push(self) -> None:
        """Sends the metrics as they stand now, without waiting for it."""
        ...

    def close(self) -> Thread:
        """Asks for the end; gives the thread that is ending."""
        ...


def can_collect() -> None:
    """Raises Misconfigured where the extra `otlp` is not installed."""
    _page()


def collector(endpoint: str, spans: Spans, metrics: Metrics, version: str) -> Collecting:
    """Gives a collector at that address. Raises Misconfigured where the extra `otlp` is not installed."""
    made: Collecting = _page().Collector(endpoint, spans, metrics, version)
    return made


def _page() -> Any:
    try:
        # By name, when it is asked for: what is not exported needs no SDK, and a start does not wait for one.
        return import_module("gateway.observe.otlp")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _NEEDED:
            raise
        raise Misconfigured(
            "GATEHOUSE_OTLP_ENDPOINT needs the extra `otlp`: install gatehouse[otlp], or take the setting away"
        ) from error

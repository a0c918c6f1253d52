"""A request's trace: its ids from the first step on, and spans if it is one of the few that are kept. No library is called here.

What is decided first is whether a trace is kept; one that is not costs its ids and nothing more. Spans have names and attributes from
closed lists, wait in a bounded queue, and are taken away by `otlp.py` on a thread of its own.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from enum import StrEnum
from time import time_ns
from typing import Final

from gateway.observe.instruments import Count, Fate
from gateway.observe.metrics import Metrics
from gateway.wire.traceparent import Parent, line

_WORD: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,80}")
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,80}( [A-Za-z0-9_][A-Za-z0-9_.:-]{0,80})?")
_UNFIT: Final = "unfit"
_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_KEPT_SPANS: Final = 2048
_MAX_SPANS: Final = 128
"""Of one trace: a list that reads on through many pages need not tell of each."""


class Attribute(StrEnum):
    """Everything that a span may say; the first three are OpenTelemetry's own names."""

    METHOD = "http.request.method"
    STATUS = "http.response.status_code"
    ERROR = "error.type"
    REQUEST = "gatehouse.request"
    UPSTREAM = "gatehouse.upstream"
    RESOURCE = "gatehouse.resource"


class Kind(StrEnum):
    """Which side of an exchange a span is."""

    SERVER = "server"
    CLIENT = "client"
    INTERNAL = "internal"


@dataclass(slots=True)
class Span:
    """One stretch of work of a kept trace. ids: lower-case hex. end_ns: 0 while it goes on."""

    name: str
    kind: Kind
    trace: str
    id: str
    parent: str | None
    start_ns: int
    end_ns: int = 0
    failed: bool = False
    attributes: dict[Attribute, str | int] = field(default_factory=dict)

    def say(self, name: Attribute, value: str | int) -> None:
        """Notes an attribute. A text that is no word of ours is written as `unfit`: it may be anything."""
        self.attributes[name] = value if isinstance(value, int) else fit(value)


def fit(text: str) -> str:
    """Gives the text if it is a word that a span may hold."""
    plain = str.__str__(text)
    return plain if _WORD.fullmatch(plain) else _UNFIT


def method_of(method: str) -> str:
    """Gives a method as OpenTelemetry's conventions want it: one of a closed list."""
    return method if method in _METHODS else "_OTHER"


class Spans:
    """The queue between requests and the collector: bounded, and what finds no room is counted and gone."""

    def __init__(self, metrics: Metrics, room: int = _KEPT_SPANS) -> None:
        self._metrics = metrics
        self._room = room
        self._waiting: deque[Span] = deque()

    def put(self, spans: Sequence[Span]) -> None:
        """Takes finished spans, at once or not at all; never waits."""
        for span in spans:
            if len(self._waiting) >= self._room:
                self._metrics.count(Count.SPANS, fate=Fate.DROPPED)
            else:
                self._waiting.append(span)

    def take(self, most: int) -> list[Span]:
        """Gives at most that many, the oldest first. From any one thread."""
        taken: list[Span] = []
        while self._waiting and len(taken) < most:
            taken.append(self._waiting.popleft())
        return taken


class Traced:
    """One request. id: of its trace. span: of its own work, the parent of what it asks of others. root: its own span if it is kept."""

    __slots__ = ("_dice", "_spans", "id", "request", "root", "span")

    def __init__(
        self, trace: str, span: str, request: str, root: Span | None, dice: Callable[[int], bytes]
    ) -> None:
        self.id = trace
        self.span = span
        self.request = request
        self.root = root
        self._dice = dice
        self._spans: list[Span] = []

    def child(self, name: str, kind: Kind) -> Span | None:
        """Begins a span below the request's own; None where the trace is not kept, or has said enough."""
        if self.root is None or len(self._spans) >= _MAX_SPANS:
            return None
        span = Span(_named(name), kind, self.id, self._dice(8).hex(), self.span, time_ns())
        self._spans.append(span)
        return span

    def outgoing(self, span: Span | None) -> str:
        """Gives the traceparent of a request that is made for this one."""
        return line(self.id, self.span if span is None else span.id, sampled=self.root is not None)

    def about(self, action: str, place: tuple[str, str] | None) -> None:
        """Names the request by what it is about, in the catalogue's own words: its action; upstream and resource."""
        if self.root is not None:
            self.root.name = _named(action)
            if place is not None:
                self.root.say(Attribute.UPSTREAM, place[0])
                self.root.say(Attribute.RESOURCE, place[1])

    def refused(self, code: StrEnum) -> None:
        """Notes why it was refused."""
        if self.root is not None:
            self.root.say(Attribute.ERROR, code.value)

    def finish(self, status: int | None, spans: Spans | None) -> None:
        """Ends the request's own span and hands all of them over. status: None where nobody was answered."""
        root = self.root
        if root is None or spans is None:
            return
        now = time_ns()
        if status is not None:
            root.say(Attribute.STATUS, status)
            root.failed = status >= 500
        for span in (root, *self._spans):
            span.end_ns = span.end_ns or now
        spans.put((root, *self._spans))


def end(span: Span | None, *, status: int | None = None, error: StrEnum | None = None) -> None:
    """Ends a child span, if there is one."""
    if span is None:
        return
    span.end_ns = time_ns()
    if status is not None:
        span.say(Attribute.STATUS, status)
    if error is not None:
        span.say(Attribute.ERROR, error.value)
    span.failed = error is not None or (status is not None and status >= 500)


def _named(name: str) -> str:
    return name if _NAME.fullmatch(name) else _UNFIT


here: ContextVar[Traced | None] = ContextVar("gatehouse-trace", default=None)
"""The request that this task works for."""


class Tracer:
    """Begins the trace of each request.

    ratio:  which part of the traces that begin here is kept, by their ids (0 to 1).
    spans:  where kept ones go; None keeps nothing, whatever anybody says.
    parent: gives the parent that a peer's header lines say, if the peer is one that is believed.
    """

    def __init__(
        self,
        *,
        ratio: float = 0.0,
        spans: Spans | None = None,
        parent: Callable[[str, Sequence[tuple[bytes, bytes]]], Parent | None] | None = None,
        dice: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._below = round(ratio * (1 << 56))
        self._spans = spans
        self._parent = parent
        self._dice = dice

    def begin(
        self, request: str, method: str, peer: str, headers: Sequence[tuple[bytes, bytes]]
    ) -> tuple[Traced, Token[Traced | None]]:
        """Gives the request's trace, which is `here` from now on until `leave`."""
        raw = self._dice(24)
        trace, span = raw[:16].hex(), raw[16:].hex()
        parent = None if self._parent is None else self._parent(peer, headers)
        if parent is not None:
            trace, kept = parent.trace, parent.sampled
        else:
            # The id's last seven bytes are random (W3C Trace Context level 2, section 3.2.2.3.1).
            kept = self._below > 0 and int.from_bytes(raw[9:16], "big") < self._below
        root = None
        if kept and self._spans is not None:
            above = None if parent is None else parent.span
            root = Span("request", Kind.SERVER, trace, span, above, time_ns())
            root.say(Attribute.METHOD, method_of(method))
            root.say(Attribute.REQUEST, request)
        traced = Traced(trace, span, request, root, self._dice)
        return traced, here.set(traced)

    def leave(self, traced: Traced, token: Token[Traced | None], status: int | None) -> None:
        """Ends what `begin` began."""
        here.reset(token)
        traced.finish(status, self._spans)


def lines_of(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> list[str]:
    """Gives the values of the header lines of that lower-case name, as they came."""
    return [value.decode("latin-1") for key, value in headers if key.lower() == name]

"""Which traces are kept, what their spans may say, and that nobody waits for whoever takes them away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from ipaddress import ip_network

import pytest

from gateway.edge import Peers
from gateway.observe import Metrics, Span, SpanKind, Spans, Tracer, end, here
from gateway.observe.tracing import Attribute
from gateway.wire.traceparent import parse

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAID = [(b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())]
NOT_KEPT = [(b"traceparent", f"00-{TRACE}-{SPAN}-00".encode())]
Lines = Sequence[tuple[bytes, bytes]]


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    made = Metrics()
    yield made
    made.close()


def rolled(number: int) -> bytes:
    """24 bytes of dice whose trace id ends with that number in its last seven bytes."""
    return b"\x01" * 9 + number.to_bytes(7, "big") + b"\x02" * 8


def kept(tracer: Tracer, headers: Lines = (), peer: str = "10.1.2.3") -> tuple[bool, str, str | None]:
    traced, token = tracer.begin("req_1", "GET", peer, headers)
    found = (traced.root is not None, traced.id, traced.root.parent if traced.root else None)
    tracer.leave(traced, token, 200)
    assert here.get() is None
    return found


@pytest.mark.parametrize(
    ("ratio", "number", "expected"),
    [
        (0.0, 0, False),
        (0.01, int(0.01 * 2**56) - 1, True),
        (0.01, int(0.01 * 2**56) + 1, False),
        (1.0, 2**56 - 1, True),
    ],
)
def test_a_trace_that_begins_here_is_kept_by_its_id(
    metrics: Metrics, ratio: float, number: int, expected: bool
) -> None:
    tracer = Tracer(ratio=ratio, spans=Spans(metrics), dice=lambda n: rolled(number)[:n])
    assert kept(tracer) == (expected, rolled(number)[:16].hex(), None)


def test_one_in_a_hundred_is_kept(metrics: Metrics) -> None:
    tracer = Tracer(ratio=0.01, spans=Spans(metrics, room=10**6))
    assert 120 < sum(kept(tracer)[0] for _ in range(20_000)) < 280


@pytest.mark.parametrize("headers", [SAID, NOT_KEPT])
@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_a_listed_peers_trace_goes_on_as_he_decided(metrics: Metrics, headers: Lines, ratio: float) -> None:
    tracer = Tracer(ratio=ratio, spans=Spans(metrics), parent=Peers([ip_network("10.0.0.0/8")]).parent)
    sampled = headers is SAID
    assert kept(tracer, headers) == (sampled, TRACE, SPAN if sampled else None)


@pytest.mark.parametrize("peer", ["11.1.2.3", "unix", "", "10.1.2.3.4", "fe80::1", "localhost"])
@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_nobody_else_is_believed(metrics: Metrics, peer: str, ratio: float) -> None:
    tracer = Tracer(ratio=ratio, spans=Spans(metrics), parent=Peers([ip_network("10.0.0.0/8")]).parent)
    was, trace, parent = kept(tracer, SAID, peer)
    assert (was, parent) == (ratio == 1.0, None)
    assert trace != TRACE


def test_by_default_nobody_is_believed(metrics: Metrics) -> None:
    assert kept(Tracer(spans=Spans(metrics)), SAID, "127.0.0.1")[1] != TRACE


def test_a_peer_is_known_by_either_spelling_of_his_address() -> None:
    peers = Peers([ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")])
    for _ in range(2):  # looked up, and remembered
        assert [peers.listed(p) for p in ("10.9.9.9", "::ffff:10.9.9.9", "2001:db8::7", "2001:db9::7")] == [
            True,
            True,
            True,
            False,
        ]


def test_what_is_remembered_of_peers_is_bounded() -> None:
    peers = Peers([ip_network("10.0.0.0/8")])
    for n in range(5_000):
        assert peers.listed(f"10.0.{n // 250}.{n % 250}")
    assert len(peers._known) <= 1_000


def test_two_lines_or_a_malformed_one_begin_a_trace_of_our_own(metrics: Metrics) -> None:
    tracer = Tracer(spans=Spans(metrics), parent=Peers([ip_network("10.0.0.0/8")]).parent)
    for headers in ([*SAID, *SAID], [(b"traceparent", b"13800138000")], [(b"traceparent", b"\xff")]):
        was, trace, _ = kept(tracer, headers)
        assert (was, trace == TRACE) == (False, False)


def test_without_a_collector_nothing_is_kept_whatever_is_said() -> None:
    tracer = Tracer(ratio=1.0, parent=Peers([ip_network("10.0.0.0/8")]).parent)
    assert kept(tracer, SAID)[0] is False


def test_spans_are_below_their_request_and_what_is_asked_is_below_them(metrics: Metrics) -> None:
    spans = Spans(metrics)
    tracer = Tracer(ratio=1.0, spans=spans)
    traced, token = tracer.begin("req_1", "GET", "10.1.2.3", ())
    assert here.get() is traced
    child = traced.child("GET crm", SpanKind.CLIENT)
    assert child is not None
    assert parse([traced.outgoing(child)]) == parse([f"00-{traced.id}-{child.id}-01"])
    assert parse([traced.outgoing(None)]) == parse([f"00-{traced.id}-{traced.span}-01"])
    end(child, status=503)
    forgotten = traced.child("append served", SpanKind.INTERNAL)
    tracer.leave(traced, token, 502)
    root, first, second = spans.take(10)
    assert second is forgotten
    assert (root.id, root.parent, root.failed) == (traced.span, None, True)
    assert {(s.trace, s.parent) for s in (first, second)} == {(traced.id, traced.span)}
    assert (first.failed, second.failed) == (True, False)
    assert root.attributes == {
        Attribute.METHOD: "GET",
        Attribute.REQUEST: "req_1",
        Attribute.STATUS: 502,
    }
    assert all(0 < s.start_ns <= s.end_ns for s in (root, first, second))


def test_one_that_is_not_kept_is_still_told_to_whom_we_ask() -> None:
    tracer = Tracer()
    traced, token = tracer.begin("req_1", "GET", "10.1.2.3", ())
    parent = parse([traced.outgoing(traced.child("GET crm", SpanKind.CLIENT))])
    tracer.leave(traced, token, 200)
    assert parent is not None
    assert (parent.trace, parent.span, parent.sampled) == (traced.id, traced.span, False)


@pytest.mark.parametrize(
    "name", ["张伟", "", "a/b", "13 800 138", "x" * 90, "customer:read\n", "/crm/customers/7", "a b c"]
)
def test_a_name_or_a_word_that_is_none_of_ours_is_not_written(metrics: Metrics, name: str) -> None:
    spans = Spans(metrics)
    tracer = Tracer(ratio=1.0, spans=spans)
    traced, token = tracer.begin("req_1", "FROB", "x", ())
    traced.about(name, (name, name))
    traced.refused(StrEnum("Odd", {"A": name or "\n"}).A)  # type: ignore[attr-defined]  # made here
    traced.child(name, SpanKind.CLIENT)
    tracer.leave(traced, token, 200)
    root, child = spans.take(10)
    assert (root.name, child.name) == ("unfit", "unfit")
    assert {root.attributes[a] for a in (Attribute.UPSTREAM, Attribute.RESOURCE, Attribute.ERROR)} == {
        "unfit"
    }
    assert root.attributes[Attribute.METHOD] == "_OTHER"


def test_what_finds_no_room_is_counted_and_gone(metrics: Metrics) -> None:
    spans = Spans(metrics, room=3)
    tracer = Tracer(ratio=1.0, spans=spans)
    for _ in range(5):
        kept(tracer)
    assert metrics.totals() == {("gatehouse.telemetry.spans", (("fate", "dropped"),)): 2}
    assert (len(spans.take(2)), len(spans.take(9)), spans.take(9)) == (2, 1, [])


def test_a_trace_of_very_many_steps_tells_of_the_first(metrics: Metrics) -> None:
    spans = Spans(metrics)
    tracer = Tracer(ratio=1.0, spans=spans)
    traced, token = tracer.begin("req_1", "GET", "x", ())
    made = [traced.child("GET crm", SpanKind.CLIENT) for _ in range(500)]
    tracer.leave(traced, token, 200)
    assert sum(isinstance(span, Span) for span in made) == 128
    assert len(spans.take(1_000)) == 129

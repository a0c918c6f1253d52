"""Traces and metrics of a gateway that serves, as a collector on loopback receives them; and what no collector can do to it."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from audit.store import sqlite
from gateway.doctor import examine
from gateway.gate import Gate
from gateway.observe import Count, can_collect
from gateway.observe.instruments import Exported
from gateway.settings import Settings
from gateway.wire.traceparent import parse
from gateway.words.access import Call
from gateway.words.errors import Misconfigured
from tests.campaign.secrecy.client import Client, Said
from tests.campaign.secrecy.folders import everything, folder
from tests.campaign.secrecy.house import Opened, entries, serving, settings
from tests.campaign.secrecy.shelf import Shelf, shelf
from tests.observe.receiver import Receiver, receiving, said
from tests.waiting import until

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
NOT_KEPT = f"00-{TRACE}-{SPAN}-00"
CANARY = "13912345678"


@dataclass
class Place:
    """A gateway with an upstream of its own."""

    opened: Opened
    shelf: Shelf

    async def ask(self, method: str, target: str, body: Any = None, key: str = "all", **headers: str) -> Said:
        async with Client(self.opened.base) as client:
            return await client.ask(
                method, target, self.opened.keys.get(key, key), body, headers, merge=method == "PATCH"
            )

    def parents(self) -> list[str]:
        """The traceparent of each request that the upstream received; empty where there was none, joined where several."""
        found = []
        for request in self.shelf.heard.requests:
            head = request.partition(b"\r\n\r\n")[0].decode("latin-1")
            found.append(",".join(re.findall(r"^traceparent: (.*?)\r?$", head, re.M | re.I)))
        return found


@asynccontextmanager
async def gateway(at: Path, **more: object) -> AsyncIterator[Place]:
    async with shelf(at / "upstream.sqlite") as upstream:
        rules = everything(
            "role:manager", "echo/customer", "service", "public", "internal", "identity", "contact"
        )
        policies = folder(at / "policies", catalogues={"echo": upstream.catalogue("echo")}, rules=rules)
        chosen: Settings = settings(
            at / "home", policies=policies, upstream_hosts=upstream.host, admin_port=0, **more
        )
        async with serving(chosen) as opened:
            yield Place(opened, upstream)


CUSTOMER = {
    "name": "张伟",
    "phone": CANARY,
    "unit": "branch:shanghai",
    "contacts": [{"id": "a", "text": "浦东新区世纪大道"}],
}


async def test_a_kept_request_is_told_by_its_action_and_what_it_asked_of_others(tmp_path: Path) -> None:
    with receiving() as collector:
        async with gateway(tmp_path, otlp_endpoint=collector.base, trace_ratio=1) as place:
            created = await place.ask("POST", "/echo/customers", CUSTOMER)
            read = await place.ask("GET", f"/echo/customers/{created.json['id']}")
            refused = await place.ask("GET", f"/echo/customers/{CANARY}")
            stranger = await place.ask("GET", "/echo/customers/1", key="nobody")
            who = await place.ask("GET", "/v1/whoami", key="security-admin")
            sent = place.parents()
            home = place.opened.house.settings.home
        assert [r.status for r in (created, read, refused, stranger, who)] == [201, 200, 404, 401, 200]
        by_request = {
            said(span)["gatehouse.request"]: span for span in collector.spans if span.kind == 2
        }  # SERVER
        spans = [by_request[r.headers["gatehouse-request"]] for r in (created, read, refused, stranger, who)]
        assert [span.name for span in spans] == [
            "customer:create",
            "customer:read",
            "customer:read",
            "request",
            "whoami:read",
        ]
        assert [said(span).get("error.type") for span in spans] == [
            None,
            None,
            "not-found",
            "unidentified",
            None,
        ]
        assert said(spans[1]) == {
            "http.request.method": "GET",
            "http.response.status_code": 200,
            "gatehouse.request": read.headers["gatehouse-request"],
            "gatehouse.upstream": "echo",
            "gatehouse.resource": "customer",
        }
        below = [
            (span.name, span.kind)
            for span in sorted(collector.spans, key=lambda s: s.start_time_unix_nano)
            if span.parent_span_id == spans[1].span_id
        ]
        assert below == [("GET echo", 3), ("append served", 1)]
        assert [span.name for span in collector.spans if span.parent_span_id == spans[0].span_id] == [
            "append intent",
            "POST echo",
            "append outcome",
        ]
        # Whoever is asked is told of the very span in which he was asked.
        clients = {f"00-{s.trace_id.hex()}-{s.span_id.hex()}-01" for s in collector.spans if s.kind == 3}
        assert {line for line in sent if line} <= clients
        assert all(sent)
        # The log knows the trace of each.
        traces = {e["request"]: e["trace"] for e in entries(home)}
        for said_, span in ((created, spans[0]), (read, spans[1]), (refused, spans[2]), (who, spans[4])):
            assert traces[said_.headers["gatehouse-request"]] == span.trace_id.hex()


async def test_what_failed_is_told_where_it_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError(f"database or disk is full: {CANARY}")

    with receiving() as collector:
        async with gateway(tmp_path, otlp_endpoint=collector.base, trace_ratio=1) as place:
            place.shelf.put("odd", {"id": "another"})
            malformed = await place.ask("GET", "/echo/customers/odd")
            with monkeypatch.context() as broken:
                broken.setattr(sqlite, "_write", full)
                unwritten = await place.ask("GET", "/echo/customers/1")
        assert (malformed.status, malformed.code) == (502, "upstream-malformed")
        assert (unwritten.status, unwritten.code) == (503, "log-unavailable")
        found = {
            (span.name, said(span).get("error.type"), span.status.code)
            for span in collector.spans
            if span.kind == 2 or "error.type" in said(span)
        }
        assert found == {
            ("customer:read", "upstream-malformed", 2),
            ("customer:read", "log-unavailable", 2),
            ("append denied", "unavailable", 2),
        }
        assert CANARY.encode() not in b"".join(body for _, body in collector.raw)


async def test_a_listed_peers_trace_goes_on_and_a_strangers_does_not(tmp_path: Path) -> None:
    with receiving() as collector:
        listed = {"otlp_endpoint": collector.base, "trace_ratio": 0, "trace_peers": "127.0.0.0/8"}
        async with gateway(tmp_path, **listed) as place:
            kept = await place.ask("GET", "/echo/customers/1", traceparent=PARENT)
            await place.ask("GET", "/echo/customers/2", traceparent=NOT_KEPT)
            await place.ask("GET", "/echo/customers/3", traceparent="00-" + CANARY)
            await place.ask(
                "GET", "/echo/customers/4", traceparent=PARENT, tracestate=f"a={CANARY}", b3=CANARY
            )
            parents = [parse([line]) for line in place.parents()]
            log = entries(place.opened.house.settings.home)
            heard = b"".join(place.shelf.heard.requests)
    (root,) = [
        s for s in collector.spans if said(s).get("gatehouse.request") == kept.headers["gatehouse-request"]
    ]
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (TRACE, SPAN)
    assert [(p.trace == TRACE, p.sampled) for p in parents if p] == [
        (True, True),
        (True, False),
        (False, False),
        (True, True),
    ]
    assert {p.span for p in parents if p} & {SPAN} == set()
    traces = [e["trace"] == TRACE for e in log if e["action"] == "customer:read"]
    assert traces == [True, True, False, True]
    assert CANARY.encode() not in heard + b"".join(body for _, body in collector.raw)
    assert b"tracestate" not in heard.lower()


async def test_who_is_not_listed_can_neither_name_a_trace_nor_have_it_kept(tmp_path: Path) -> None:
    with receiving() as collector:
        async with gateway(
            tmp_path, otlp_endpoint=collector.base, trace_ratio=0, trace_peers="10.0.0.0/8"
        ) as place:
            for _ in range(20):
                assert (await place.ask("GET", "/echo/customers/1", traceparent=PARENT)).status == 404
            assert not any(TRACE in line or line.endswith("-01") for line in place.parents())
            assert len(set(place.parents())) == 20
            assert TRACE not in str(entries(place.opened.house.settings.home))
        assert collector.spans == []


async def test_nobody_is_a_listed_peer_by_what_he_says_of_himself(tmp_path: Path) -> None:
    """The other way round too: a listed peer is one by its connection, whomever it says that it speaks for."""
    claims = (
        "X-Forwarded-For",
        "X-Real-IP",
        "True-Client-IP",
        "Client-IP",
        "X-Client-IP",
        "CF-Connecting-IP",
    )
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with receiving() as collector:
        kept = {"otlp_endpoint": collector.base, "trace_ratio": 0}
        async with gateway(tmp_path / "a", **kept, trace_peers="10.0.0.1") as place:
            for claim in claims:
                await place.ask("GET", "/echo/customers/1", traceparent=PARENT, **{claim: "10.0.0.1"})
            await place.ask("GET", "/echo/customers/1", traceparent=PARENT, forwarded="for=10.0.0.1")
            assert len(place.parents()) == len(claims) + 1
            assert not any(TRACE in line or line.endswith("-01") for line in place.parents())
            assert b"10.0.0.1" not in b"".join(place.shelf.heard.requests)
        assert collector.spans == []
        async with gateway(tmp_path / "b", **kept, trace_peers="127.0.0.1") as place:
            await place.ask("GET", "/echo/customers/1", traceparent=PARENT, **{"X-Forwarded-For": "10.0.0.1"})
            assert [TRACE in line for line in place.parents()] == [True]
            assert b"10.0.0.1" not in b"".join(place.shelf.heard.requests)


async def test_a_request_that_is_not_kept_makes_no_call_of_the_library_and_one_that_is_makes_none_where_it_waits(
    tmp_path: Path,
) -> None:
    called: set[str] = set()

    def watch(frame: FrameType, what: str, _: object) -> None:
        if what == "call" and "opentelemetry" in frame.f_code.co_filename:
            called.add(frame.f_code.co_filename)

    with receiving() as collector:
        async with gateway(
            tmp_path, otlp_endpoint=collector.base, trace_ratio=0, trace_peers="127.0.0.1"
        ) as place:
            assert "opentelemetry.sdk.trace" in sys.modules
            sys.setprofile(watch)  # of this thread, on which the gateway's event loop runs
            try:
                watched = len(re.findall("x", "x"))  # the watch is on
                for _ in range(10):
                    await place.ask("GET", "/echo/customers/1")
                    await place.ask("GET", "/echo/customers/1", key="nobody")
                assert called == set()
                await place.ask("GET", "/echo/customers/1", traceparent=PARENT)
                assert (called, watched) == (set(), 1)
            finally:
                sys.setprofile(None)
        assert {s.trace_id.hex() for s in collector.spans} == {TRACE}


async def test_a_gateway_without_a_collector_does_not_even_load_the_library() -> None:
    asked = (
        "import sys, gateway.serving, gateway.cli; "
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('opentelemetry', 'requests', 'google')))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", asked, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    out, _ = await process.communicate()
    assert out.strip() == b"[]"


def test_a_collector_without_the_library_is_refused_before_the_start_and_by_doctor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "gateway.observe.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "requests", None)
    with pytest.raises(Misconfigured, match=r"install gatehouse\[otlp\]"):
        can_collect()
    given = {"GATEHOUSE_HOME": str(tmp_path), "GATEHOUSE_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
    checks = {check.what: check for check in examine(given)}
    assert not checks["telemetry collector"].good
    assert "gatehouse[otlp]" in checks["telemetry collector"].todo
    monkeypatch.undo()
    assert {check.what: check.good for check in examine(given)}["telemetry collector"]


async def test_the_collectors_credential_is_the_librarys_own_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=one")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", f"host.name={CANARY}")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with receiving() as collector:
        async with gateway(tmp_path, otlp_endpoint=collector.base, otlp_seconds=0.2):
            await until(lambda: collector.raw)
    assert all(b"x-tenant: one" in head.lower() for head in collector.heads)
    assert CANARY.encode() not in b"".join(body for _, body in collector.raw)


async def test_metrics_come_as_the_admin_port_shows_them(tmp_path: Path) -> None:
    with receiving() as collector:
        async with gateway(tmp_path, otlp_endpoint=collector.base, otlp_seconds=0.2) as place:
            for _ in range(3):
                await place.ask("GET", "/echo/customers/1")
            await until(lambda: _sum(collector, "gatehouse.answers", "outcome", "refused") == 3)
            async with Client(place.opened.admin) as admin:
                page = (await admin.ask("GET", "/metrics")).body.decode()
            assert 'gatehouse_answers_total{outcome="refused"} 3' in page
            names = {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")}
            assert len(names) == len(collector.metrics)
            took = collector.metrics["gatehouse.answer.duration"]
            assert took.unit == "s"
            (point,) = [
                p for p in took.histogram.data_points if p.attributes[0].value.string_value == "refused"
            ]
            assert (point.count, sum(point.bucket_counts), point.HasField("min")) == (3, 3, False)
            assert took.histogram.aggregation_temporality == 2  # cumulative
            assert collector.metrics["gatehouse.refusals"].sum.is_monotonic
            await until(lambda: _sum(collector, "gatehouse.telemetry.exports", "result", "done") >= 1)


def _sum(collector: Receiver, name: str, label: str, word: str) -> float:
    if name not in collector.metrics:
        return -1
    return sum(
        p.as_int or p.as_double
        for p in collector.metrics[name].sum.data_points
        if any(a.key == label and a.value.string_value == word for a in p.attributes)
    )


async def test_a_collector_that_hangs_slows_nobody_and_what_it_does_not_take_is_counted(
    tmp_path: Path,
) -> None:
    with receiving(hang=True) as collector:
        async with gateway(tmp_path, otlp_endpoint=collector.base, trace_ratio=1, otlp_seconds=0.2) as place:
            await place.ask("GET", "/echo/customers/1")
            await until(lambda: collector.raw)  # it has something, and keeps silent
            place.opened.house.spans._room = 30  # type: ignore[union-attr]  # there is a queue: a collector is set
            started = time.monotonic()
            for _ in range(40):
                assert (await place.ask("GET", "/echo/customers/1")).status == 404
            assert time.monotonic() - started < 5
            totals = place.opened.house.metrics.totals()
            assert totals["gatehouse.telemetry.spans", (("fate", "dropped"),)] > 50
            stopping = time.monotonic()
        assert time.monotonic() - stopping < 8  # two seconds for the collector, the rest is the stop's own


@pytest.mark.parametrize("status", [400, 500, 503])
async def test_a_collector_that_refuses_costs_telemetry_alone(tmp_path: Path, status: int) -> None:
    with receiving(status=status) as collector:
        async with gateway(tmp_path, otlp_endpoint=collector.base, trace_ratio=1, otlp_seconds=0.2) as place:
            assert (await place.ask("GET", "/echo/customers/1")).status == 404
            totals = place.opened.house.metrics.totals
            await until(
                lambda: totals().get(("gatehouse.telemetry.exports", (("result", "failed"),)), 0) >= 1
            )
            assert (await place.ask("GET", "/echo/customers/1")).status == 404
        assert all(path in ("/v1/traces", "/v1/metrics") for path, _ in collector.raw)


async def test_a_collector_that_sends_elsewhere_is_not_followed(tmp_path: Path) -> None:
    with receiving() as elsewhere, receiving(status=307) as collector:
        collector.location = elsewhere.base + "/v1/traces"
        async with gateway(tmp_path, otlp_endpoint=collector.base, trace_ratio=1) as place:
            await place.ask("GET", "/echo/customers/1")
            await until(lambda: collector.raw)
            totals = place.opened.house.metrics.totals
            await until(lambda: totals().get((Count.EXPORTS, (("result", Exported.FAILED),))))
        assert elsewhere.raw == []


async def test_an_answer_without_end_is_not_read(tmp_path: Path) -> None:
    with receiving() as collector:
        collector.body_bytes = 1 << 32
        async with gateway(tmp_path, otlp_endpoint=collector.base, trace_ratio=1) as place:
            await place.ask("GET", "/echo/customers/1")
            totals = place.opened.house.metrics.totals
            await until(lambda: totals().get((Count.EXPORTS, (("result", Exported.DONE),))))
        assert collector.sent < 1 << 26


async def test_a_collector_that_is_not_there_costs_telemetry_alone(tmp_path: Path) -> None:
    async with gateway(
        tmp_path, otlp_endpoint="http://127.0.0.1:9", trace_ratio=1, otlp_seconds=0.2
    ) as place:
        for _ in range(5):
            assert (await place.ask("GET", "/echo/customers/1")).status == 404
        assert not [
            line for line in place.opened.lines if line["event"] in ("defect", "uncaught", "loop-failed")
        ]
    assert not [t for t in threading.enumerate() if t.name == "telemetry" and t.is_alive() and not t.daemon]


async def test_lines_of_a_request_carry_its_trace_and_its_id_and_others_carry_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def defect(self: Gate, call: Call) -> Any:
        raise ZeroDivisionError(CANARY)

    async with gateway(tmp_path, trace_peers="127.0.0.1") as place:
        monkeypatch.setattr(Gate, "answer", defect)
        broken = await place.ask("GET", "/echo/customers/1", traceparent=PARENT)
        assert broken.status == 500
        (line,) = [line for line in place.opened.lines if line["event"] == "defect"]
        assert (line["trace"], line["request"]) == (TRACE, broken.headers["gatehouse-request"])
        assert [
            found for found in place.opened.lines if "trace" in found and found["event"] != "defect"
        ] == []
        assert CANARY not in str(place.opened.lines)


async def test_nothing_that_a_caller_sends_stands_in_what_a_collector_gets(tmp_path: Path) -> None:
    with receiving() as collector:
        async with gateway(
            tmp_path, otlp_endpoint=collector.base, trace_ratio=1, trace_peers="127.0.0.1", otlp_seconds=0.2
        ) as place:
            made = await place.ask("POST", "/echo/customers", CUSTOMER)
            own = f"/echo/customers/{made.json['id']}"
            for method, target, body, headers in (
                ("GET", own, None, {}),
                ("PATCH", own, {"phone": CANARY + "1"}, {}),
                ("PATCH", own, {CANARY: CANARY}, {}),
                ("GET", f"/echo/customers/{CANARY}", None, {}),
                ("GET", f"/{CANARY}/{CANARY}", None, {}),
                ("GET", f"{own}?{CANARY}={CANARY}", None, {}),
                (CANARY, own, None, {}),
                ("PHONE", own, None, {}),
                ("GET", own, None, {"traceparent": CANARY, "tracestate": CANARY, "baggage": f"a={CANARY}"}),
                ("GET", own, None, {"x-request-id": CANARY, "user-agent": CANARY}),
                ("GET", own, None, {"gatehouse-purpose": CANARY, "gatehouse-person": CANARY}),
                ("POST", "/echo/customers", CANARY.encode(), {"content-type": f"text/{CANARY}"}),
                ("GET", f"/v1/{CANARY}", None, {}),
                ("POST", "/v1/keys", {"application": CANARY}, {}),
            ):
                async with Client(place.opened.base) as client:
                    await client.ask(method, target, place.opened.keys["all"], body, headers)
                    await client.ask(method, target, CANARY, body, headers)
            await until(lambda: collector.spans and collector.metrics)
        everything_sent = b"".join(body for _, body in collector.raw) + b"".join(collector.heads)
        assert len(collector.spans) > 30
        ours = made.json["id"].encode()
        assert len(ours) < 4 or ours not in everything_sent
        for needle in (CANARY.encode(), "张伟".encode(), "浦东".encode(), b"/echo/", b"customers"):
            assert needle not in everything_sent

"""From the ASGI request to the call, and from what the corridor says to the answer; and whose request it is."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable

import pytest

from gateway.edge import Dispatcher, Door, Listener, Server, door
from gateway.edge.ticks import next_tick, until_tick
from gateway.observe import Count
from gateway.wire.limits import Limits
from gateway.words.errors import Code, Misconfigured
from tests.edge.conftest import Echo, House, Wire

SAFE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def safe(headers: dict[str, str]) -> dict[str, str]:
    return {name: headers.get(name, "") for name in SAFE}


def test_the_corridor_is_told_what_was_asked(house: House) -> None:
    answer = house.post(b"/crm/x?b=1", b'{"a":1}', b"Accept: a/b", b"Accept: c/d")
    assert answer.json == {
        "method": "POST",
        "path": "/crm/x",
        "segments": ["crm", "x"],
        "raw_query": "b=1",
        "query": [["b", "1"]],
        "headers": [
            ["host", "gate"],
            ["content-length", "7"],
            ["content-type", "application/json"],
            ["accept", "a/b"],
            ["accept", "c/d"],
        ],
        "body": b'{"a":1}'.hex(),
        "peer": "127.0.0.1",
    }
    assert house.corridor.calls[-1].id == answer.headers["gatehouse-request"]
    assert house.corridor.calls[-1].received.utcoffset() is not None


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"/crm/x", 200),
        (b"/crm/empty", 204),
        (b"/crm/unknown", 401),
        (b"/crm/defect", 500),
        (b"/crm/own-cache", 200),
        (b"/nobody", 404),
        (b"/healthz", 200),
        (b"/v1/nothing", 404),
        (b"/crm/..", 400),
    ],
)
def test_every_answer_is_kept_by_no_cache_and_guessed_by_no_browser(
    house: House, target: bytes, status: int
) -> None:
    answer = house.get(target)
    assert (answer.status, safe(answer.headers)) == (status, SAFE)
    assert "server" not in answer.headers


def test_a_head_request_is_answered_like_a_get_without_content(house: House) -> None:
    got, head = house.get(b"/crm/own-cache"), house.get(b"/crm/own-cache", method=b"HEAD")
    volatile = {"date", "gatehouse-request"}
    assert {k: v for k, v in head.headers.items() if k not in volatile} == {
        k: v for k, v in got.headers.items() if k not in volatile
    }
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "2")
    assert house.corridor.calls[-1].method == "HEAD"


def test_an_answer_without_content_has_no_length(house: House) -> None:
    with house.wire() as wire:
        for _ in range(2):
            wire.send(b"GET /crm/empty HTTP/1.1\r\nHost: gate\r\n\r\n")
            answer = wire.answer()
            assert (answer.status, "content-length" in answer.headers) == (204, False)
            assert answer.headers["audit-ref"] == "1:ab"


def test_who_is_not_known_is_challenged(house: House) -> None:
    answer = house.get(b"/crm/unknown")
    assert (answer.code, answer.headers["www-authenticate"]) == ("unidentified", 'Bearer realm="gatehouse"')


def test_a_method_that_is_not_listed_is_told_which_are(house: House) -> None:
    answer = house.get(b"/crm/methods", method=b"DELETE")
    assert (answer.code, answer.headers["allow"]) == ("method-not-listed", "GET, HEAD")


def test_a_defect_is_500_and_its_log_line_holds_no_value(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = house.get(b"/crm/defect")
    assert answer.code == "internal"
    assert b"ZeroDivision" not in answer.body
    (record,) = [record for record in caplog.records if record.name == "gatehouse"]
    told = record.__dict__["gatehouse_fields"]
    assert (record.msg, told["error"], told["request"]) == (
        "defect",
        "ZeroDivisionError",
        answer.json["request"],
    )
    assert told["at"].startswith("edge/conftest.py:")
    assert record.exc_info is None
    assert "张伟" not in repr(record.__dict__)


def test_a_defect_behind_an_outcome_that_nobody_recorded_is_logged_too(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        assert house.get(b"/crm/half-done").code == "outcome-unrecorded"
    (record,) = [record for record in caplog.records if record.name == "gatehouse"]
    assert (record.msg, record.__dict__["gatehouse_fields"]["error"]) == ("defect", "ZeroDivisionError")


def defects(house: House) -> int:
    return house.metrics.totals().get((Count.DEFECTS, ()), 0)


def test_a_status_without_a_phrase_is_said_all_the_same(house: House) -> None:
    assert house.get(b"/crm/status/299").status == 299


def test_an_answer_that_cannot_be_written_ends_its_connection_and_is_a_defect_in_the_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """Else its caller would wait for ever, and nobody would hear of it."""
    before = defects(house)
    with caplog.at_level(logging.ERROR), house.wire() as wire:
        wire.send(b"GET /crm/status/1000 HTTP/1.1\r\nHost: gate\r\n\r\n")
        assert wire.closed()
        wait_for(lambda: bool(caplog.records))
    (record,) = caplog.records
    assert (record.msg, record.__dict__["gatehouse_fields"]["error"]) == ("defect", "KeyError")
    assert defects(house) == before + 1


def test_what_a_record_is_not_there_for_leaves_on_a_tick_and_nothing_else_waits(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def noted(_start: float, tick: float) -> None:
        waited.append(tick)

    monkeypatch.setattr(door, "until_tick", noted)
    for target, waits in (
        (b"/crm/hidden", 1),
        (b"/crm/said", 1),
        (b"/crm/unknown", 1),
        (b"/nowhere", 1),
        (b"/crm/some-of-many", 2),
        (b"/crm/x", 2),
    ):
        house.get(target)
        assert len(waited) == waits
    assert waited == [0.025, 0.05]


@pytest.mark.parametrize(
    ("now", "tick"), [(7.0, 7.025), (7.001, 7.025), (7.0249, 7.025), (7.03, 7.05), (8.51, 8.525)]
)
def test_a_tick_is_counted_from_the_requests_beginning(now: float, tick: float) -> None:
    assert next_tick(7.0, now, 0.025) == pytest.approx(tick)


async def test_a_tick_comes_at_its_time_whatever_was_done_before() -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    await until_tick(start, 0.025)
    assert loop.time() - start >= 0.024
    assert loop.time() >= start


def test_a_header_that_could_not_be_sent_as_it_is_is_a_defect(house: House) -> None:
    answer = house.get(b"/crm/odd-header")
    assert answer.code == "internal"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("coding", [b"gzip", b"identity", b"br"])
def test_a_content_coding_is_415(house: House, coding: bytes) -> None:
    assert house.post(b"/crm/x", b"{}", b"Content-Encoding: " + coding).code == "media-type"


BODIES = [
    b"[" * 50_000,
    b"[" * 50_000 + b"]" * 50_000,
    b'{"a":1,"a":2}',
    b"NaN",
    b'"\\ud800"',
    b"1e999",
    b"\xef\xbb\xbf{}",
]


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_a_body_that_is_not_plain_json_is_400_and_never_500(house: House, number: int) -> None:
    answer = house.post(b"/crm/json", BODIES[number])
    assert (answer.code, answer.status) == ("body-malformed", 400)


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_the_control_planes_framework_is_handed_no_body_and_its_handlers_the_bytes_as_they_came(
    house: House, number: int
) -> None:
    assert house.post(b"/v1/echo", BODIES[number]).json == {"framework": "", "call": BODIES[number].hex()}


def test_nobody_reads_a_strangers_body(make_house: Callable[..., House]) -> None:
    """A megabyte of `0.0 ,` takes a thousand times what a refusal does; two of them a second would have been enough for everybody."""
    opened = make_house(Limits(stop_seconds=2))
    body = b"[" + b"0.0 ," * 200_000 + b"0]"
    opened.post(b"/v1/echo", body)
    used = time.process_time()
    assert opened.post(b"/v1/echo", body).status == 201
    assert time.process_time() - used < 0.1


@pytest.mark.parametrize(
    "media_type", [b"text/plain", b"application/x-www-form-urlencoded", b"", b"application/yaml"]
)
def test_the_control_plane_takes_json_under_its_own_name_only(house: House, media_type: bytes) -> None:
    body = b'{"a":1}'
    lines = [
        b"POST /v1/echo HTTP/1.1",
        b"Host: gate",
        b"Content-Length: 7",
        b"Content-Type: " + media_type,
        b"",
        body,
    ]
    assert house.ask(b"\r\n".join(lines)).code == "media-type"


def test_a_form_reaches_the_token_exchange_only(house: House) -> None:
    lines = [
        b"Host: gate",
        b"Content-Length: 3",
        b"Content-Type: application/x-www-form-urlencoded",
        b"",
        b"a=b",
    ]
    answer = house.ask(b"\r\n".join([b"POST /oauth/token HTTP/1.1", *lines]))
    assert answer.json == {"framework": "", "call": b"a=b".hex()}
    assert house.ask(b"\r\n".join([b"POST /v1/echo HTTP/1.1", *lines])).code == "media-type"


def test_refusals_that_no_entry_records_are_told_to_the_counter_of_strangers(house: House) -> None:
    before = len(house.strangers)
    house.get(b"/crm/unknown")
    house.get(b"/nobody")
    assert house.strangers[before:] == [Code.UNIDENTIFIED, Code.NOT_FOUND]


def test_answers_are_counted_by_outcome(make_house: Callable[..., House]) -> None:
    opened = make_house()
    for target in (b"/crm/x", b"/crm/unknown", b"/crm/defect"):
        opened.get(target)
    totals = opened.metrics.totals()
    assert {
        labels[0][1]: count for (name, labels), count in totals.items() if name == "gatehouse.answers"
    } == {
        "served": 1,
        "refused": 1,
        "failed": 1,
    }
    assert totals["gatehouse.defects", ()] == 1


# ── the control plane ────────────────────────────────────────────────────────────────────────────────────────────


def test_reserved_prefixes_are_the_control_planes(house: House) -> None:
    assert house.get(b"/healthz").json == {"health": "ok"}
    assert house.get(b"/v1/early").json == {"who": "control"}
    assert house.post(b"/v1/echo", b'{"a":1}').json == {"framework": "", "call": b'{"a":1}'.hex()}


@pytest.mark.parametrize("name", [b"v1", b"oauth", b"schema", b"console", b"healthz", b"metrics", b"readyz"])
def test_a_reserved_address_never_reaches_the_corridor(house: House, name: bytes) -> None:
    before = len(house.corridor.calls)
    house.get(b"/" + name)
    house.get(b"/" + name + b"/crm/a")
    assert len(house.corridor.calls) == before


def test_a_catalogue_cannot_take_a_reserved_prefix(make_house: Callable[..., House]) -> None:
    opened = make_house(with_control=False, prefixes=(("v1",), ("healthz",), ()))
    for target in (b"/v1/keys", b"/healthz", b"/", b"/x"):
        assert opened.get(target).code == "not-found"
    assert opened.corridor.calls == []


def test_a_failing_control_plane_says_nothing_of_its_cause(house: House) -> None:
    answer = house.get(b"/v1/defect")
    assert answer.status == 500
    assert b"ZeroDivision" not in answer.body
    assert b"Traceback" not in answer.body


def test_the_control_plane_gets_the_same_strictness_of_headers(house: House) -> None:
    assert house.get(b"/v1/early", b"X_Forwarded_For: 1.2.3.4").code == "header-malformed"
    assert house.get(b"/v1/early", b"Authorization: a", b"Authorization: b").code == "header-malformed"


# ── leaving and stopping ─────────────────────────────────────────────────────────────────────────────────────────


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_client_that_leaves_does_not_stop_the_work(make_house: Callable[..., House]) -> None:
    opened = make_house()
    with opened.wire() as wire:
        wire.send(b"PUT /crm/slow HTTP/1.1\r\nHost: gate\r\nContent-Length: 2\r\n\r\n{}")
        wait_for(lambda: bool(opened.corridor.calls))
    time.sleep(0.1)
    assert opened.corridor.finished == []
    opened.corridor.gate.set()
    wait_for(lambda: bool(opened.corridor.finished))


def test_a_client_that_leaves_in_the_middle_of_a_body_asked_nothing(make_house: Callable[..., House]) -> None:
    opened = make_house()
    with opened.wire() as wire:
        wire.send(b"POST /crm/x HTTP/1.1\r\nHost: gate\r\nContent-Length: 20\r\n\r\nhalf")
        time.sleep(0.1)
    time.sleep(0.1)
    assert opened.corridor.calls == []
    assert opened.get(b"/crm/x").status == 200


def test_a_stop_answers_what_is_under_way(make_house: Callable[..., House]) -> None:
    opened = make_house(Limits(stop_seconds=10))
    with opened.wire() as wire:
        wire.send(b"GET /crm/slow HTTP/1.1\r\nHost: gate\r\n\r\n")
        wait_for(lambda: bool(opened.corridor.calls))
        opened.server.stop()
        time.sleep(0.3)
        opened.corridor.gate.set()
        assert wire.answer().json["path"] == "/crm/slow"
    opened.stop()


def test_two_listeners_run_in_one_process_and_offer_different_things(
    make_house: Callable[..., House],
) -> None:
    opened = make_house(admin=True)
    data, admin = opened.address, opened.server.addresses[1]
    assert data != admin

    def status(address: tuple[str, int], target: bytes) -> int:
        with Wire(address) as wire:
            wire.send(b"GET " + target + b" HTTP/1.1\r\nHost: gate\r\n\r\n")
            return wire.answer().status

    assert (status(data, b"/crm/x"), status(data, b"/v1/early")) == (200, 404)
    assert (status(admin, b"/crm/x"), status(admin, b"/v1/early")) == (404, 200)


def test_an_address_in_use_is_a_sentence_not_a_traceback(house: House) -> None:
    with pytest.raises(Misconfigured, match="set GATEHOUSE_PORT to another"):
        Server([Listener(*house.address, Dispatcher(Door(Echo(), house.metrics), None, list))])


def test_problems_are_whole_json_documents(house: House) -> None:
    told = json.loads(house.get(b"/nobody").body)
    assert sorted(told) == ["next", "request", "status", "title", "type"]

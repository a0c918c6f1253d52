"""Raw bytes against the running server: what can be framed in two ways is answered once, as a problem, and the connection ends."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from gateway.wire.limits import Limits
from tests.edge.conftest import House

HOST = b"Host: gate\r\n"
HIDDEN = b"GET /crm/hidden HTTP/1.1\r\nHost: gate\r\n\r\n"

# name → (request bytes, code). Each is sent with a whole second request behind it, which must never be answered.
REFUSED: dict[str, tuple[bytes, str]] = {
    "transfer-encoding with content-length": (
        b"POST /crm/x HTTP/1.1\r\n"
        + HOST
        + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "header-malformed",
    ),
    "content-length with transfer-encoding": (
        b"POST /crm/x HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        "header-malformed",
    ),
    "two content-lengths that differ": (
        b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
        "header-malformed",
    ),
    "two content-lengths that are equal": (
        b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        "header-malformed",
    ),
    "a list of content-lengths": (
        b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Content-Length: 5, 5\r\n\r\nhello",
        "header-malformed",
    ),
    "a signed content-length": (
        b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Content-Length: +5\r\n\r\nhello",
        "header-malformed",
    ),
    "a hexadecimal content-length": (
        b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Content-Length: 0x5\r\n\r\nhello",
        "header-malformed",
    ),
    "a coding list that ends in chunked": (
        b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "header-malformed",
    ),
    "chunked twice in two lines": (
        b"POST /crm/x HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "header-malformed",
    ),
    "chunked in HTTP/1.0": (
        b"POST /crm/x HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "header-malformed",
    ),
    "an unknown coding": (
        b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "header-malformed",
    ),
    "a tab before chunked's colon": (
        b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
        "header-malformed",
    ),
    "two hosts": (b"GET /crm/x HTTP/1.1\r\nHost: gate\r\nHost: other\r\n\r\n", "header-malformed"),
    "the same host twice": (b"GET /crm/x HTTP/1.1\r\nHost: gate\r\nHost: gate\r\n\r\n", "header-malformed"),
    "no host": (b"GET /crm/x HTTP/1.1\r\n\r\n", "header-malformed"),
    "no host in HTTP/1.0": (b"GET /crm/x HTTP/1.0\r\n\r\n", "header-malformed"),
    "an empty host": (b"GET /crm/x HTTP/1.1\r\nHost:\r\n\r\n", "header-malformed"),
    "a host with userinfo": (b"GET /crm/x HTTP/1.1\r\nHost: a@b\r\n\r\n", "header-malformed"),
    "a list of hosts": (b"GET /crm/x HTTP/1.1\r\nHost: a, b\r\n\r\n", "header-malformed"),
    "a host with a path": (b"GET /crm/x HTTP/1.1\r\nHost: a/b\r\n\r\n", "header-malformed"),
    "absolute form": (b"GET http://gate/crm/x HTTP/1.1\r\n" + HOST + b"\r\n", "target-ambiguous"),
    "absolute form of another host": (
        b"GET http://evil/crm/x HTTP/1.1\r\n" + HOST + b"\r\n",
        "target-ambiguous",
    ),
    "authority form": (b"CONNECT gate:443 HTTP/1.1\r\n" + HOST + b"\r\n", "target-ambiguous"),
    "asterisk form": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", "target-ambiguous"),
    "a fragment": (b"GET /crm/x#y HTTP/1.1\r\n" + HOST + b"\r\n", "target-ambiguous"),
    "an empty fragment": (b"GET /crm/x# HTTP/1.1\r\n" + HOST + b"\r\n", "target-ambiguous"),
    "raw UTF-8 in the target": ("GET /crm/龙 HTTP/1.1\r\n".encode() + HOST + b"\r\n", "target-ambiguous"),
    "a blank in the target": (b"GET /crm/x y HTTP/1.1\r\n" + HOST + b"\r\n", "header-malformed"),
    "a folded line": (b"GET /crm/x HTTP/1.1\r\n" + HOST + b"X-A: b\r\n c\r\n\r\n", "header-malformed"),
    "a first line that is folded": (
        b"GET /crm/x HTTP/1.1\r\n X-A: b\r\n" + HOST + b"\r\n",
        "header-malformed",
    ),
    "bare line feeds": (b"GET /crm/x HTTP/1.1\nHost: gate\n\n", "header-malformed"),
    "one bare line feed": (b"GET /crm/x HTTP/1.1\r\nHost: gate\nX-A: b\r\n\r\n", "header-malformed"),
    "a bare carriage return": (b"GET /crm/x HTTP/1.1\r\nHost: gate\r\nX-A: b\rc\r\n\r\n", "header-malformed"),
    "a NUL in a value": (b"GET /crm/x HTTP/1.1\r\n" + HOST + b"X-A: b\0c\r\n\r\n", "header-malformed"),
    "a blank before a colon": (b"GET /crm/x HTTP/1.1\r\nHost : gate\r\n\r\n", "header-malformed"),
    "a line without a colon": (b"GET /crm/x HTTP/1.1\r\n" + HOST + b"X-A\r\n\r\n", "header-malformed"),
    "an empty name": (b"GET /crm/x HTTP/1.1\r\n" + HOST + b": b\r\n\r\n", "header-malformed"),
    "a lower-case method": (b"get /crm/x HTTP/1.1\r\n" + HOST + b"\r\n", "header-malformed"),
    "an invented method": (b"BREW /crm/x HTTP/1.1\r\n" + HOST + b"\r\n", "header-malformed"),
    "HTTP/2 in one line": (b"GET /crm/x HTTP/2.0\r\n" + HOST + b"\r\n", "header-malformed"),
    "HTTP/0.9": (b"GET /crm/x\r\n", "header-malformed"),
    "HTTP/1.2": (b"GET /crm/x HTTP/1.2\r\n" + HOST + b"\r\n", "header-malformed"),
    "the HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "header-malformed"),
    "an upgrade to h2c": (
        b"POST /crm/x HTTP/1.1\r\n"
        + HOST
        + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi",
        "header-malformed",
    ),
    "an upgrade to websocket": (
        b"GET /crm/x HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "header-malformed",
    ),
    "bytes of TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "header-malformed"),
    "a chunk size that is no number": (
        b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
        "body-malformed",
    ),
    "a chunk size with a sign": (
        b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
        "body-malformed",
    ),
    "a chunk longer than it says": (
        b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
        "body-malformed",
    ),
    "a chunk size beyond 64 bits": (
        b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 17 + b"\r\nhello",
        "body-malformed",
    ),
    "a bare line feed after a chunk size": (
        b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
        "body-malformed",
    ),
    "a bare line feed in a chunk extension": (
        b"POST /crm/x HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n0\r\n\r\n",
        "body-malformed",
    ),
    "a bare line feed after a chunk": (
        b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n",
        "body-malformed",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_can_be_framed_in_two_ways_is_one_problem_and_the_end(house: House, name: str) -> None:
    request, code = REFUSED[name]
    before = len(house.corridor.calls)
    with house.wire() as wire:
        wire.send(request + HIDDEN)
        answer = wire.answer()
        assert (answer.code, answer.status) == (code, 400)
        assert answer.headers["connection"] == "close"
        assert wire.closed()
    assert [call.path for call in house.corridor.calls[before:]] == []


# Forms that are refused further in, by the door, on a connection that may live on.
@pytest.mark.parametrize(
    "line",
    [
        b"FOO /crm/x HTTP/1.1",
        b"get /crm/x HTTP/1.1",
        b"CONNECT /crm/x HTTP/1.1",
        b"GET /crm/x HTTP/9.9",
        b"GET /crm/x HTTP/2.0",
        b"GET /crm/x y HTTP/1.1",
        b"GET /crm/x",
        b"PRI * HTTP/2.0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=repr,
)
def test_a_first_line_that_cannot_be_read_is_told_as_that(house: House, line: bytes) -> None:
    answer = house.ask(line + b"\r\n" + HOST + b"\r\n")
    assert (answer.code, answer.status) == ("header-malformed", 400)
    assert answer.json["params"] == {"header": "request-line"}
    assert "Host" not in answer.json["next"]
    assert "HTTP/1.1" in answer.json["next"]


def test_a_header_that_cannot_be_read_is_not_told_as_the_first_line(house: House) -> None:
    for lines in (b"Host : gate\r\n", b" X-A: b\r\n", HOST + b"X-A\r\n", HOST + HOST, b""):
        answer = house.ask(b"GET /crm/x HTTP/1.1\r\n" + lines + b"\r\n")
        assert answer.code == "header-malformed"
        assert "Host" in answer.json["next"] or "line of the headers" in answer.json["next"]


FIELDS_REFUSED: dict[str, bytes] = {
    "an underscore twin": b"X_Forwarded_For: 1.2.3.4\r\n",
    "an underscore twin of a credential": b"Gatehouse_Person: x\r\n",
    "two authorizations": b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
    "two persons": b"Gatehouse-Person: a\r\nGatehouse-Person: a\r\n",
    "two purposes": b"Gatehouse-Purpose: a\r\nGatehouse-Purpose: b\r\n",
    "two content types": b"Content-Type: application/json\r\nContent-Type: text/plain\r\n",
    "two conditions": b'If-Match: "a"\r\nIf-Match: "b"\r\n',
    "bytes beyond ASCII in a value": b"X-A: \xe9\r\n",
}


@pytest.mark.parametrize("name", FIELDS_REFUSED)
def test_header_fields_that_two_readers_read_differently_are_refused(house: House, name: str) -> None:
    before = len(house.corridor.calls)
    answer = house.ask(b"GET /crm/x HTTP/1.1\r\n" + HOST + FIELDS_REFUSED[name] + b"\r\n")
    assert (answer.code, answer.status) == ("header-malformed", 400)
    assert len(house.corridor.calls) == before


def test_a_trailer_is_no_header(house: House) -> None:
    answer = house.ask(
        b"POST /crm/x HTTP/1.1\r\n"
        + HOST
        + b"Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n5\r\nhello\r\n0\r\n"
        b"Authorization: Bearer stolen\r\nX-Forwarded-For: 10.0.0.1\r\nGatehouse-Person: x\r\n\r\n"
    )
    assert answer.status == 200
    assert bytes.fromhex(answer.json["body"]) == b"hello"
    names = [name for name, _ in answer.json["headers"]]
    assert names == ["host", "transfer-encoding", "trailer"]


@pytest.mark.parametrize("cut", range(1, 22))
def test_a_first_line_is_read_whole_wherever_it_is_cut(house: House, cut: int) -> None:
    for first, status in ((b"GET /crm/x HTTP/1.1\r\n", 200), (b"GET /crm/x RTSP/1.0\r\n", 400)):
        with house.wire() as wire:
            wire.send(first[:cut])
            time.sleep(0.01)
            wire.send(first[cut:] + HOST + b"\r\n")
            assert wire.answer().status == status


def test_a_first_line_of_another_protocol_is_told_as_that(house: House) -> None:
    for line in (b"GET /crm/x RTSP/1.0", b"POST /crm/x RTSP/1.0", b"OPTIONS /crm/x RTSP/1.1"):
        answer = house.ask(line + b"\r\n" + HOST + b"\r\n")
        assert (answer.code, answer.json["params"]) == ("header-malformed", {"header": "request-line"})


def test_trailers_are_bounded(house: House) -> None:
    with house.wire() as wire:
        wire.send(b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
        wire.send(b"X-A: " + b"b" * 40_000 + b"\r\n\r\n")
        assert wire.answer().code == "headers-too-large"
        assert wire.closed()


def test_a_chunk_extension_changes_nothing(house: House) -> None:
    answer = house.ask(
        b"POST /crm/x HTTP/1.1\r\n"
        + HOST
        + b'Transfer-Encoding: chunked\r\n\r\n5;name=value;other="x"\r\nhello\r\n0\r\n\r\n'
    )
    assert bytes.fromhex(answer.json["body"]) == b"hello"


def test_connections_are_kept_and_requests_follow_each_other(house: House) -> None:
    with house.wire() as wire:
        for number in range(3):
            wire.send(b"GET /crm/%d HTTP/1.1\r\n" % number + HOST + b"\r\n")
            assert wire.answer().json["path"] == f"/crm/{number}"


def test_a_request_sent_before_the_answer_to_the_last_is_not_read(house: House) -> None:
    before = len(house.corridor.calls)
    with house.wire() as wire:
        wire.send(b"GET /crm/first HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN)
        assert wire.answer().json["path"] == "/crm/first"
        assert wire.closed()
    assert [call.path for call in house.corridor.calls[before:]] == ["/crm/first"]


def test_blank_lines_sent_while_an_answer_is_under_way_do_not_disturb_it(hasty: House) -> None:
    with hasty.wire() as wire:
        wire.send(b"GET /crm/slow HTTP/1.1\r\n" + HOST + b"\r\n")
        time.sleep(0.1)
        wire.send(b"\r\n")
        time.sleep(0.8)
        hasty.corridor.gate.set()
        assert wire.answer().json["path"] == "/crm/slow"
        assert wire.closed()


def test_100_kb_of_headers_are_431(house: House) -> None:
    with house.wire() as wire:
        wire.send(b"GET /crm/x HTTP/1.1\r\n" + HOST + b"X-A: " + b"b" * 100_000)
        answer = wire.answer()
        assert (answer.code, answer.status) == ("headers-too-large", 431)
        assert wire.closed()


def test_many_small_headers_are_431(house: House) -> None:
    lines = b"".join(b"X-%d: b\r\n" % number for number in range(64))
    assert house.ask(b"GET /crm/x HTTP/1.1\r\n" + HOST + lines + b"\r\n").status == 431
    fewer = b"".join(b"X-%d: b\r\n" % number for number in range(63))
    assert house.ask(b"GET /crm/x HTTP/1.1\r\n" + HOST + fewer + b"\r\n").status == 200


def test_a_header_without_end_is_431_as_it_grows(house: House) -> None:
    with house.wire() as wire:
        wire.send(b"GET /crm/x HTTP/1.1\r\n" + HOST + b"X-A: ")
        for _ in range(40):
            wire.send(b"b" * 1000)
            time.sleep(0.001)
        assert wire.answer().status == 431


def test_a_long_target_is_414(house: House) -> None:
    with house.wire() as wire:
        wire.send(b"GET /crm/" + b"x" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        answer = wire.answer()
        assert (answer.code, answer.status) == ("target-too-long", 414)


def test_a_target_without_end_is_414_as_it_grows(house: House) -> None:
    with house.wire() as wire:
        wire.send(b"GET /crm/" + b"x" * 9000)
        assert wire.answer().code == "target-too-long"
        assert wire.closed()


def test_a_body_that_says_it_is_too_large_is_413_before_it_is_sent(house: House) -> None:
    with house.wire() as wire:
        wire.send(
            b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2000000\r\n\r\n"
        )
        answer = wire.answer()
        assert (answer.code, answer.status) == ("body-too-large", 413)
        assert wire.closed()


def test_a_chunked_body_that_grows_too_large_is_413(house: House) -> None:
    before = len(house.corridor.calls)
    with house.wire() as wire:
        wire.send(b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(20):
            wire.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        assert wire.answer().code == "body-too-large"
        assert wire.closed()
    assert len(house.corridor.calls) == before


def test_the_largest_body_is_taken_whole(house: House) -> None:
    answer = house.post(b"/crm/x", b"x" * 1_048_576)
    assert answer.status == 200
    assert len(answer.json["body"]) == 2 * 1_048_576


def test_100_continue_is_given_to_who_waits_for_it(house: House) -> None:
    with house.wire() as wire:
        wire.send(b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert wire.socket.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(b"hi")
        assert bytes.fromhex(wire.answer().json["body"]) == b"hi"


def test_slow_headers_are_408(hasty: House) -> None:
    with hasty.wire() as wire:
        for part in (b"GET /crm/x HTTP/1.1\r\n", b"Host: gate\r\n", b"X-A: b\r\n"):
            wire.send(part)
            time.sleep(0.05)
        answer = wire.answer()
        assert (answer.code, answer.status) == ("too-slow", 408)
        assert wire.closed()


def test_blank_lines_for_ever_are_too_slow(hasty: House) -> None:
    with hasty.wire() as wire:
        for _ in range(5):
            wire.send(b"\r\n")
            time.sleep(0.05)
        assert wire.answer().code == "too-slow"


def test_a_slow_second_request_on_a_kept_connection_is_408(hasty: House) -> None:
    with hasty.wire() as wire:
        wire.send(b"GET /crm/x HTTP/1.1\r\n" + HOST + b"\r\n")
        assert wire.answer().status == 200
        wire.send(b"GET /crm/y HTTP/1.1\r\n")
        assert wire.answer().code == "too-slow"


def test_a_connection_that_asks_nothing_is_closed_without_a_word(hasty: House) -> None:
    with hasty.wire() as wire:
        assert wire.closed()


def test_a_slow_body_is_408_and_never_reaches_the_corridor(hasty: House) -> None:
    with hasty.wire() as wire:
        wire.send(b"POST /crm/x HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhe")
        assert wire.answer().code == "too-slow"
        assert wire.closed()
    assert hasty.corridor.calls == []


def test_nobody_goes_on_waiting_for_a_body_that_was_refused(make_house: Callable[..., House]) -> None:
    opened = make_house(Limits(body_seconds=0.3, stop_seconds=20))
    with opened.wire() as wire:
        wire.send(b"POST /crm/x HTTP/1.1\r\nHost: gate\r\nContent-Length: 5\r\n\r\nhe")
        assert wire.answer().code == "too-slow"
    opened.server.stop()
    opened.thread.join(5)
    assert not opened.thread.is_alive()


def test_too_many_connections_are_503_where_each_is_at_a_request(hasty: House) -> None:
    with hasty.wire() as one, hasty.wire() as two, hasty.wire() as three:
        for wire in (one, two, three):
            wire.send(b"GET /crm/slow HTTP/1.1\r\n" + HOST + b"\r\n")
        while len(hasty.corridor.calls) < 3:
            time.sleep(0.01)
        with hasty.wire() as four:
            assert four.answer().code == "not-ready"
        hasty.corridor.gate.set()
        for wire in (one, two, three):
            assert wire.answer().status == 200


def test_a_refusal_to_a_head_request_has_no_content(house: House) -> None:
    with house.wire() as wire:
        wire.send(b"HEAD /crm/../x HTTP/1.1\r\n" + HOST + b"\r\n")
        answer = wire.answer(head=True)
        assert answer.status == 400
        assert int(answer.headers["content-length"]) > 0
        assert wire.closed()


def test_refusals_of_the_protocol_are_counted_as_strangers(house: House) -> None:
    before = len(house.strangers)
    house.ask(b"GET /crm/.. HTTP/1.1\r\n" + HOST + b"\r\n")
    assert [code.value for code in house.strangers[before:]] == ["target-ambiguous"]


def test_a_refusal_speaks_the_callers_language(house: House) -> None:
    answer = house.ask(b"GET /crm/.. HTTP/1.1\r\n" + HOST + b"Accept-Language: zh-CN, en;q=0.5\r\n\r\n")
    assert answer.headers["content-language"] == "zh-Hans"
    assert "地址" in answer.json["title"]

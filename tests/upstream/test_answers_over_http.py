"""What an upstream may answer, and what the client makes of it: each answer is one reading, or an error that says which."""

from __future__ import annotations

import asyncio

import pytest

from gateway.words.errors import BadAnswer, NoAnswer
from tests.upstream.servers import OK, Seen, answering, exchange, read_request, serving

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"


async def ask(
    answer: bytes, *, close: bool = False, method: str = "GET", limit: int = 10_000, seconds: float = 5
):
    async with serving(answering(answer, close=close)) as server:
        transport = server.transport()
        try:
            return await transport.send(exchange(method=method, limit=limit, answer=seconds))
        finally:
            await transport.close()


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (OK, 200, b"ok"),
        (CHUNKED + b"\r\n2\r\nok\r\n0\r\n\r\n", 200, b"ok"),
        (CHUNKED + b"\r\n1;a=b\r\no\r\n1\r\nk\r\n0\r\n\r\n", 200, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: <x>\r\n\r\n" + OK, 200, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, b""),
        (b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", 302, b""),
        (b"HTTP/1.1 500\r\nContent-Length: 1\r\n\r\nx", 500, b"x"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
    ],
)
async def test_an_answer_is_read_as_it_is_framed(answer, status, body):
    raw = await ask(answer)

    assert (raw.status, raw.body) == (status, body)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_an_answer_without_a_length_ends_with_the_connection(version):
    raw = await ask(b"HTTP/" + version + b" 200 OK\r\nX: y\r\n\r\nto the end", close=True)

    assert raw.body == b"to the end"


async def test_an_answer_to_head_has_no_body_whatever_its_length_says():
    raw = await ask(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", method="HEAD")

    assert (raw.status, raw.body, raw.header("content-length")) == (200, b"", "500")


async def test_trailers_and_interim_headers_are_no_headers():
    raw = await ask(
        b"HTTP/1.1 103 Hints\r\nEtag: interim\r\n\r\n"
        + CHUNKED
        + b"X: y\r\n\r\n2\r\nok\r\n0\r\nETag: late\r\n\r\n"
    )

    assert raw.headers == (("transfer-encoding", "chunked"), ("x", "y"))


async def test_an_answer_may_come_byte_by_byte():
    async def dribble(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for byte in CHUNKED + b"ETag: long\r\n\r\n2\r\nok\r\n0\r\n\r\n":
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)

    async with serving(dribble) as server:
        transport = server.transport()
        raw = await transport.send(exchange())
        await transport.close()

    assert (raw.body, raw.header("etag")) == (b"ok", "long")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            None,
        ),
        (CHUNKED + b"Content-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n folded\r\n\r\nok", None),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", None),
        (b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok", None),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\nok", 200),
        (CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 200),
        (CHUNKED + b"\r\nzz\r\nok\r\n0\r\n\r\n", 200),
        (CHUNKED + b"\r\n2\r\nokXX0\r\n\r\n", 200),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 101),
        (b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", None),
        (b"HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok", None),
        (b"RTSP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", None),
        (b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nok", 999),
        (b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", None),
        (b"ok", None),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok", 200),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 9 + OK, 100),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70_000, None),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, None),
    ],
)
async def test_an_answer_that_can_be_read_in_two_ways_is_refused(answer, status):
    with pytest.raises(BadAnswer) as refused:
        await ask(answer)

    assert refused.value.status == status


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n",
        CHUNKED + b"\r\n65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 101,
        CHUNKED + b"\r\n1;" + b"e" * 200_000,
        CHUNKED + b"\r\n0\r\nTrailer: " + b"e" * 200_000,
    ],
)
async def test_an_answer_beyond_the_limit_is_refused(answer):
    with pytest.raises(BadAnswer) as refused:
        await ask(answer, limit=100)

    assert refused.value.status == 200


async def test_an_answer_of_just_the_limit_passes():
    raw = await ask(CHUNKED + b"\r\n64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n", limit=100)

    assert len(raw.body) == 100


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
        CHUNKED + b"\r\n2\r\nok\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_an_answer_that_is_cut_short_is_no_answer(answer):
    with pytest.raises(NoAnswer):
        await ask(answer, close=True)


async def test_a_reset_ends_no_answer_that_only_the_close_delimits():
    async def reset(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhalf of i")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.get_extra_info("socket").setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER 0: RST
        writer.transport.abort()

    async with serving(reset) as server:
        transport = server.transport()
        with pytest.raises(NoAnswer):
            await transport.send(exchange())
        await transport.close()


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", b"HTTP/1.1 200 OK\r\n\r\nok"]
)
async def test_an_answer_that_is_late_is_no_answer(answer):
    with pytest.raises(NoAnswer):
        await ask(answer, seconds=0.1)


async def test_the_deadline_is_for_the_whole_answer_and_a_trickle_does_not_move_it():
    async def trickle(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.02)

    async with serving(trickle) as server:
        transport = server.transport()
        started = asyncio.get_running_loop().time()
        with pytest.raises(NoAnswer):
            await transport.send(exchange(answer=0.2))
        await transport.close()

    assert asyncio.get_running_loop().time() - started < 2

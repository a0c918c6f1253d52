"""The embedded store's transport: what an application sees, and what becomes of it when it fails or its caller leaves."""

from __future__ import annotations

import asyncio

import pytest

from gateway.upstream.asgi import AsgiTransport
from gateway.words.errors import BadAnswer, NoAnswer, NotSent
from tests.upstream.servers import exchange

START = {"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", b"text/plain")]}


def body(data: bytes = b"", more: bool = False):
    return {"type": "http.response.body", "body": data, "more_body": more}


def saying(*messages):
    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    return app


async def test_the_application_sees_the_target_exactly_as_it_was_decided_on():
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope, body=(await receive())["body"])
        await send(START)
        await send(body(b"o", more=True))
        await send(body(b"k"))

    target = b"/a/%E9%BE%99/../b//c?x=%2F&y=+"
    raw = await AsgiTransport(app).send(exchange(target, "PUT", headers=(("x-a", "b"),), body=b"12"))

    assert (raw.status, raw.body, raw.headers) == (200, b"ok", (("content-type", "text/plain"),))
    assert (seen["method"], seen["raw_path"], seen["query_string"]) == (
        "PUT",
        b"/a/%E9%BE%99/../b//c",
        b"x=%2F&y=+",
    )
    assert (seen["path"], seen["body"]) == ("/a/龙/../b//c", b"12")
    assert seen["headers"] == [(b"host", b"embedded"), (b"x-a", b"b"), (b"content-length", b"2")]


@pytest.mark.parametrize(
    "app",
    [
        saying(),
        saying(START),
        saying(START, body(b"half", more=True)),
    ],
)
async def test_an_application_that_returns_too_early_is_no_answer(app):
    with pytest.raises(NoAnswer):
        await AsgiTransport(app).send(exchange())


@pytest.mark.parametrize("before", [(), (START,), (START, body(b"half", more=True))])
async def test_an_application_that_raises_is_no_answer_since_it_had_the_request(before):
    async def app(scope, receive, send):
        await saying(*before)(scope, receive, send)
        raise LookupError("a value")

    with pytest.raises(NoAnswer) as failed:
        await AsgiTransport(app).send(exchange())

    assert "a value" not in str(failed.value)


@pytest.mark.parametrize(
    "app",
    [
        saying(body(b"x")),
        saying(START, START),
        saying(START, {"type": "http.response.push"}),
        saying(START, body(b"x" * 10_001)),
        saying(START, body(b"x" * 6_000, more=True), body(b"x" * 6_000)),
        saying({**START, "headers": [(b"content-length", b"3")]}, body(b"ok")),
        saying({**START, "headers": [(b"content-encoding", b"gzip")]}, body(b"ok")),
    ],
)
async def test_an_answer_out_of_order_too_large_encoded_or_of_a_false_length_is_bad(app):
    with pytest.raises(BadAnswer):
        await AsgiTransport(app).send(exchange())


async def test_an_answer_that_is_late_is_no_answer_and_the_read_is_stopped():
    stopped = asyncio.Event()

    async def app(scope, receive, send):
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()

    with pytest.raises(NoAnswer):
        await AsgiTransport(app).send(exchange(answer=0.05))
    await asyncio.wait_for(stopped.wait(), 1)


@pytest.mark.parametrize(("method", "finishes"), [("POST", True), ("DELETE", True), ("GET", False)])
async def test_a_change_runs_to_its_end_when_its_caller_leaves_and_a_read_does_not(method, finishes):
    begun, done = asyncio.Event(), []

    async def app(scope, receive, send):
        begun.set()
        await asyncio.sleep(0.05)
        done.append(scope["method"])

    transport = AsgiTransport(app)
    asked = asyncio.ensure_future(transport.send(exchange(method=method)))
    await begun.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await transport.close()

    assert done == ([method] if finishes else [])


async def test_what_the_application_does_after_its_answer_is_waited_for_at_the_close():
    done = []

    async def app(scope, receive, send):
        await saying(START, body(b"ok"))(scope, receive, send)
        await asyncio.sleep(0.05)
        done.append(await receive())

    transport = AsgiTransport(app)
    await transport.send(exchange())
    assert done == []
    await transport.close()

    assert done == [{"type": "http.request", "body": b"", "more_body": False}]
    with pytest.raises(NotSent):
        await transport.send(exchange())


async def test_an_application_that_listens_hears_when_nobody_waits_any_more():
    heard = asyncio.Event()

    async def app(scope, receive, send):
        await receive()
        if (await receive())["type"] == "http.disconnect":
            heard.set()

    transport = AsgiTransport(app)
    with pytest.raises(NoAnswer):
        await transport.send(exchange(method="POST", answer=0.05))
    await asyncio.wait_for(heard.wait(), 1)
    await transport.close()


@pytest.mark.parametrize("target", [b"a", "/龙".encode(), b"/%ff"])
async def test_a_target_that_is_none_is_not_sent(target):
    with pytest.raises(NotSent):
        await AsgiTransport(saying(START, body())).send(exchange(target))

"""The corpus of framings through the whole gateway: an upstream receives one request, framed by ourselves, or none; never a second."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.campaign.secrecy.test_paths_through_the_gateway import BASE, OURS, Echo, echo
from tests.wire.framings import Around, Form, Law, forms

pytestmark = pytest.mark.campaign

BODY = b'{"unit":"branch:beijing"}'
STORED = {"id": "abc", "unit": "branch:beijing"}
"""What the upstream is sent for it: a replace sends the whole record."""


async def said(at: Echo, data: bytes) -> bytes:
    """Sends bytes on a connection of their own and gives everything that comes back until its end."""
    parts = urlsplit(at.opened.base)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(data)
        async with asyncio.timeout(15):
            return await reader.read(-1)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def held(form: Form, requests: list[bytes]) -> None:
    """Holds what the upstream received to the law."""
    for request in requests:
        head, _, sent = request.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        method, target, version = first.split(b" ")
        assert (target, version) == (BASE + b"/abc", b"HTTP/1.1"), form.name
        assert method in ((b"GET", b"PUT") if form.body else (b"GET",)), form.name
        names = [line.partition(b":")[0].lower() for line in lines]
        assert len(set(names)) == len(names), form.name
        assert set(names) <= OURS, (form.name, names)
        assert (json.loads(sent) == STORED) if method == b"PUT" else sent == b"", form.name
    changes = [request for request in requests if request.startswith(b"PUT ")]
    assert len(changes) <= 1, form.name
    if form.law is Law.TAKEN:
        assert requests, form.name
        assert bool(changes) == bool(form.body), form.name
    elif form.law is Law.REFUSED:
        assert requests == [], form.name


async def test_no_framing_brings_a_second_request_or_another_body(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: Counter[str] = Counter()
    async with echo(tmp_path, monkeypatch, request_seconds=1) as at:
        auth = b"Authorization: Bearer " + at.key + b"\r\n"
        hidden = b"DELETE /echo/hidden HTTP/1.1\r\nHost: gate\r\n" + auth + b"\r\n"
        lines = auth + b"Content-Type: application/json\r\n"
        for form in forms(Around(b"/echo/abc", lines, BODY)):
            answer = await said(at, form.data + hidden)
            held(form, at.heard.requests)
            assert answer.count(b"\r\ngatehouse-request: ") <= 1, form.name
            told["taken" if at.heard.requests else "refused"] += 1
            at.heard.requests.clear()
            at.decided.clear()
    assert told["taken"] >= 40
    assert told["refused"] >= 300
    print(f"proof: {sum(told.values())} framings through the whole gateway: {dict(told)}")


async def test_a_connection_field_takes_away_nothing_that_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with echo(tmp_path, monkeypatch) as at:
        # Who asks, what for, on which condition, and once: a request without what it came with is not sent on, and never decided on.
        for name, value in (
            ("authorization", None),
            ("gatehouse-purpose", "service"),
            ("gatehouse-person", "x"),
            ("if-match", '"a"'),
            ("idempotency-key", "k"),
            ("host", None),
        ):
            for spelled in (name, name.title(), f"close, {name}", f"x-a,{name} ,y"):
                lines = [f"Connection: {spelled}".encode()]
                if value is not None:
                    lines.append(f"{name}: {value}".encode())
                answer = await at.send(b"/echo/abc", *lines)
                assert answer is not None
                assert (answer.status, answer.json["params"]) == (400, {"header": "connection"}), spelled
                assert at.received() == []
        assert at.decided == []
        # What the gateway says itself stays, whatever a caller's connection names.
        for name in sorted(OURS - {b"host", b"content-length", b"content-type"}):
            # Of some there may be one only, and a connection that takes it away is refused; it says nothing of what is not there.
            lines = [] if name == b"user-agent" else [name + b": mine"]
            answer = await at.send(b"/echo/abc", b"Connection: " + name, *lines)
            assert answer is not None
            assert answer.status == 200
            (request,) = at.heard.requests
            at.heard.requests.clear()
            sent = [line.partition(b": ") for line in request.split(b"\r\n")[1:]]
            assert [value for key, _, value in sent if key.lower() == name and value != b"mine"], name

"""What was decided on is what the upstream receives, byte for byte, and nothing comes with it that nobody decided on."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from urllib.parse import quote, unquote, unquote_to_bytes

import pytest

from gateway.catalogue import Catalogue
from gateway.wire.traceparent import parse
from gateway.words.work import Addressed
from tests.campaign.counts import count, dice
from tests.campaign.secrecy.client import Client, Said
from tests.campaign.secrecy.folders import everything, folder
from tests.campaign.secrecy.house import Opened, serving, settings
from tests.campaign.secrecy.raw import Heard, raw_server, say
from tests.wire.corpus import ACCEPTED, REFUSED

pytestmark = pytest.mark.campaign

# Mounted at /echo with a base path of its own, so that a path that climbs out of either would be seen.
CATALOGUE = """
upstream: echo
prefix: /echo
base: http://127.0.0.1:{port}/inner/base
request_headers: [x-wanted, accept-language]
response_headers: []
resources:
  box:
    subject: none
    id_form: any
    ids_public: true
    versioning: none
    idempotency: none
    read: /{{id}}
    list_answer: {{items: /items, next: /next}}
    fields:
      /id: {{class: public, server_set: true}}
      /unit: {{class: internal, fact: unit}}
  item:
    parent: box
    subject: none
    id_form: any
    versioning: none
    idempotency: none
    read: /{{parent}}/{{id}}
    fields:
      /id: {{class: public, server_set: true}}
      /unit: {{class: internal, fact: unit}}
routes:
  read:
    request: "GET /{{id}}"
    resource: box
    does: read
    parameters: {{b: {{use: pass, values: {values}}}, d: {{use: pass, values: [e, "1"]}}}}
  list:
    request: GET /list/of/all
    resource: box
    does: list
    page: {{limit: size, position: from, size: 100, bound: 1000}}
    parameters: {{b: {{use: filter, field: /unit}}}}
  read-item: {{request: "GET /{{parent}}/{{id}}", resource: item, does: read}}
  replace: {{request: "PUT /{{id}}", resource: box, does: update}}
  remove: {{request: "DELETE /{{id}}", resource: box, does: delete}}
"""
BASE = b"/inner/base"
# What the corpus says in its parameter `b`; a parameter that passes has its values listed.
VALUES = sorted({value for _, _, query in ACCEPTED for name, value in query if name == "b"} - {""})
OURS = {
    b"host",
    b"accept",
    b"accept-encoding",
    b"user-agent",
    b"content-type",
    b"content-length",
    b"traceparent",
}
FOREIGN_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@dataclass
class Echo:
    """The gateway with the echo behind it. decided: path and query of each address in the catalogue since the last look."""

    opened: Opened
    heard: Heard
    decided: list[bytes]

    @property
    def key(self) -> bytes:
        return self.opened.keys["all"].encode()

    async def send(
        self, target: bytes, *lines: bytes, method: bytes = b"GET", body: bytes = b""
    ) -> Said | None:
        """Sends one request on a fresh connection; None when it is closed without an answer."""
        head = [
            method + b" " + target + b" HTTP/1.1",
            b"Host: gate",
            b"Authorization: Bearer " + self.key,
            *lines,
        ]
        if body:
            head += [b"Content-Type: application/json", b"Content-Length: %d" % len(body)]
        async with Client(self.opened.base, 20) as client:
            try:
                return await client.raw(b"\r\n".join([*head, b"", b""]) + body, head_only=method == b"HEAD")
            except (asyncio.IncompleteReadError, ConnectionError):
                return None

    def received(self) -> list[bytes]:
        """Gives the request lines that arrived since the last look."""
        lines = [request.split(b"\r\n", 1)[0] for request in self.heard.requests]
        self.heard.requests.clear()
        return lines


def answer(head: bytes, body: bytes) -> bytes:
    target = head.split(b" ", 2)[1].partition(b"?")[0]
    if target.endswith(b"/list/of/all"):
        return say(200, b'{"items": []}')
    told = {"id": unquote(target.rpartition(b"/")[2].decode()), "unit": "branch:shanghai"}
    return say(200, json.dumps(told).encode())


@asynccontextmanager
async def echo(at: Path, monkeypatch: pytest.MonkeyPatch, **more: object) -> AsyncIterator[Echo]:
    decided: list[bytes] = []
    address = Catalogue.address

    def noted(self: Catalogue, call: object, principal: object) -> Addressed:
        found = address(self, call, principal)  # type: ignore[arg-type]  # passed on as they came
        to = found.work.to
        decided.append((to.path + (f"?{to.raw_query}" if to.raw_query else "")).encode())
        return found

    monkeypatch.setattr(Catalogue, "address", noted)
    async with raw_server(answer) as heard:
        rules = [
            rule for name in ("box", "item") for rule in everything("role:manager", f"echo/{name}", "service", "public", "internal")
        ]  # fmt: skip
        rules.append("p, role:manager, *, echo/box, box:list, -, service, True, allow")
        unlisted = re.compile(r"echo/item, item:(create|update|delete)|echo/item, set|box:create")
        policies = folder(
            at / "policies",
            catalogues={"echo": CATALOGUE.format(port=heard.port, values=json.dumps(VALUES))},
            rules=[rule for rule in rules if not unlisted.search(rule)],
        )
        chosen = settings(at / "home", policies=policies, upstream_hosts=heard.host, **more)
        async with serving(chosen) as opened:
            yield Echo(opened, heard, decided)


async def judged(at: Echo, target: bytes) -> str:
    """Sends a target and holds what happened to the law. Gives in a word what became of it."""
    at.decided.clear()
    said = await at.send(target)
    lines = at.received()
    if not lines:
        assert said is None or said.status >= 400 or not target.startswith(b"/echo/"), (target, said)
        return "refused" if said is None or said.status < 404 else "not found"
    assert said is not None, target
    assert said.status == 200, (target, said.body)
    sent = target.removeprefix(b"/echo")
    assert sent != target, target
    assert at.decided == [sent], target
    paging = b"&size=100" if b"/list/of/all?" in sent else b""
    *above, last = lines
    assert last == b"GET " + BASE + sent + paging + b" HTTP/1.1", target
    assert above in ([], [b"GET " + BASE + above_of(sent) + b" HTTP/1.1"]), target
    return "forwarded"


def above_of(sent: bytes) -> bytes:
    """The gateway's own read of the record that an item is below, before it asks for the item."""
    first = sent.partition(b"?")[0].split(b"/")[1]
    return b"/" + quote(unquote_to_bytes(first), safe="").encode()


async def test_bytes_decided_are_bytes_received(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: Counter[str] = Counter()
    async with echo(tmp_path, monkeypatch) as at:
        for target in (mounted(raw) for family in REFUSED.values() for raw in family):
            told[f"ambiguous {await judged(at, target)}"] += 1
        for raw, _, _ in ACCEPTED:
            told[f"plain {await judged(at, mounted(raw))}"] += 1
        rolls = dice("targets")
        for _ in range(count(150, 20_000)):
            told[f"random {await judged(at, mutated(rolls))}"] += 1
    assert "ambiguous forwarded" not in told
    assert "ambiguous not found" not in told
    assert told["plain forwarded"] >= 40
    assert told["random forwarded"] >= count(150, 20_000) // 20
    print(f"proof: {sum(told.values())} targets through the whole gateway: {dict(sorted(told.items()))}")


def mounted(raw: bytes) -> bytes:
    """Gives a form of the corpus below this catalogue's mount."""
    return raw.replace(b"/crm", b"/echo", 1) if raw.startswith(b"/crm") else raw


_PIECES = (
    *(bytes([n]) for n in range(0x21, 0x7F)),
    *(b"%%%02X" % n for n in range(0x20, 0x100, 7)),
    *(b"%%%02x" % n for n in (0x2E, 0x2F, 0x5C, 0xC3)),
    *("%E5%BC%A0 %E9%BE%99 %C3%A9 %F0%9F%90%89 %25 %2F %2E %5C %00 %0A .. ./ // ; # ?b= &d= = \\ é".encode("latin-1").split()),
)  # fmt: skip


def mutated(rolls: Random) -> bytes:
    """Gives a plain target into which up to three odd pieces were put."""
    target = rolls.choice(
        (
            b"/echo/abc",
            b"/echo/box/item",
            b"/echo/abc?b=c",
            b"/echo/%E5%BC%A0%E4%BC%9F?d=1",
            b"/echo/list/of/all?b=c",
        )
    )
    for _ in range(rolls.randrange(1, 4)):
        at = rolls.randrange(6, len(target) + 1)
        target = target[:at] + rolls.choice(_PIECES) + target[at:]
    return target


# ── headers and methods ──────────────────────────────────────────────────────────────────────────────────────────────

NEVER = """
X-HTTP-Method-Override: DELETE|X-HTTP-Method: DELETE|X-Method-Override: DELETE
traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01|tracestate: a=b|baggage: a=b|b3: 1|X-B3-Sampled: 1
X-Forwarded-For: 10.0.0.1|X-Forwarded-Host: evil|X-Forwarded-Proto: https|X-Forwarded-Prefix: /admin|Forwarded: for=10.0.0.1
X-Real-IP: 10.0.0.1|True-Client-IP: 10.0.0.1|CF-Connecting-IP: 10.0.0.1|X-Client-IP: 10.0.0.1|Via: 1.1 me|Client-IP: 1.1.1.1
X-Original-URL: /admin|X-Rewrite-URL: /admin|X-Original-Host: evil|X-Host: evil|X-Envoy-Original-Path: /admin
Cookie: session=1|Cookie2: a|X-User: root|X-Remote-User: root|Remote-User: root|X-Auth-Request-User: root|X-Api-Key: k
X-Access-Token: t|X-Amzn-Oidc-Data: d|X-Goog-Authenticated-User-Email: a@b|X-SSL-Client-Cert: c|From: a@b|X-Consumer-Username: u
Gatehouse-Nothing: x|Proxy-Authorization: Basic eA==|Proxy-Connection: keep-alive|Keep-Alive: timeout=5|TE: trailers
Range: bytes=0-3|If-None-Match: *|If-Modified-Since: Sat, 21 Nov 2026 00:00:00 GMT|Accept-Encoding: gzip|Origin: http://evil
Referer: http://evil|User-Agent: evil|Accept: text/html|X-Unlisted: 1|Idempotency-Key: mine|Content-Language: zh
""".replace("|", "\n").split("\n")
TWINS = [
    "X_Forwarded_For: 10.0.0.1",
    "Content_Length: 5",
    "x_wanted: 1",
    "Transfer_Encoding: chunked",
    "X_HTTP_Method_Override: DELETE",
]


async def test_nothing_arrives_that_nobody_decided_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: Counter[str] = Counter()
    async with echo(tmp_path, monkeypatch) as at:
        for line in filter(None, NEVER):
            heads = await arrived(at, line.encode(), b"X-Wanted: yes")
            for head in heads:
                assert head[b"x-wanted"] == b"yes", line
                held_to_ours(head, line)
            told["dropped" if heads else "refused"] += 1
        for line in TWINS:
            assert await arrived(at, line.encode()) == [], line
            told["underscore twins refused"] += 1
        for line in (
            b"Connection: x-wanted",
            b"Connection: close, X-Wanted",
            b"Connection: keep-alive , x-wanted",
        ):
            for head in await arrived(at, line, b"X-Wanted: yes"):
                assert b"x-wanted" not in head, line
                held_to_ours(head, line.decode())
            told["named by Connection"] += 1
        told += await methods(at)
        told += await framing(at)
    assert told["dropped"] > 40
    print(f"proof: headers, methods and framing through the whole gateway: {dict(sorted(told.items()))}")


async def arrived(at: Echo, *lines: bytes) -> list[dict[bytes, bytes]]:
    """Sends a read with these header lines and gives the headers of what the upstream received: one request or none."""
    said = await at.send(b"/echo/abc", *lines)
    got = [request.partition(b"\r\n\r\n")[0].split(b"\r\n") for request in at.heard.requests]
    at.heard.requests.clear()
    if not got:
        assert said is None or said.status >= 400, lines
        return []
    assert len(got) == 1
    assert got[0][0] == b"GET " + BASE + b"/abc HTTP/1.1"
    pairs = [line.partition(b":") for line in got[0][1:]]
    heads = {name.lower(): value.strip() for name, _, value in pairs}
    assert len(heads) == len(pairs), "no header twice"
    return [heads]


def held_to_ours(head: dict[bytes, bytes], line: str) -> None:
    """Nothing but the gateway's own headers and the listed ones; its own say what the gateway says."""
    assert head.keys() <= OURS | {b"x-wanted", b"accept-language"}, (line, head)
    assert head[b"host"].startswith(b"127.0.0.1:")
    assert head[b"user-agent"] == b"gatehouse"
    assert head[b"accept"] == b"application/json"
    assert head[b"accept-encoding"] == b"identity"
    told = parse([head[b"traceparent"].decode()])  # ours, whatever a stranger said
    assert told is not None
    assert (told.trace == FOREIGN_TRACE, told.sampled) == (False, False)


async def methods(at: Echo) -> Counter[str]:
    """A method arrives only where the catalogue lists it, and as itself."""
    told: Counter[str] = Counter()
    for method in (
        b"HEAD",
        b"OPTIONS",
        b"TRACE",
        b"CONNECT",
        b"PATCH",
        b"PROPFIND",
        b"get",
        b"GETX",
        b"X-GET",
        b"M-SEARCH",
    ):
        await at.send(b"/echo/abc", method=method)
        lines = at.received()
        # A HEAD is decided as a read, and asked as one.
        assert lines == ([b"GET " + BASE + b"/abc HTTP/1.1"] if method == b"HEAD" else []), method
        told["methods"] += 1
    for query in (
        b"_method=DELETE",
        b"method=DELETE",
        b"b=c&_method=DELETE",
        b"X-HTTP-Method-Override=DELETE",
        b"b=c&b=d",
    ):
        said = await at.send(b"/echo/abc?" + query)
        assert said is not None
        assert said.status == 400, query
        assert at.received() == []
        told["method parameters refused"] += 1
    said = await at.send(
        b"/echo/abc", b"X-HTTP-Method-Override: DELETE", method=b"PUT", body=b'{"unit":"branch:shanghai"}'
    )
    assert said is not None
    assert said.status == 200
    assert {line.split(b" ")[0] for line in at.received()} <= {b"GET", b"PUT"}
    told["overridden changes"] += 1
    return told


async def framing(at: Echo) -> Counter[str]:
    """Chunks, trailers and second requests: an upstream sees one request with a length, or none."""
    told: Counter[str] = Counter()
    auth = b"Authorization: Bearer " + at.key
    body = b'{"unit":"branch:beijing"}'
    chunked = b"%x\r\n%s\r\n0\r\n" % (len(body), body)
    head = b"PUT /echo/abc HTTP/1.1\r\nHost: gate\r\n" + auth + b"\r\nContent-Type: application/json\r\n"
    hidden = b"DELETE /echo/hidden HTTP/1.1\r\nHost: gate\r\n" + auth + b"\r\n\r\n"
    forms = {
        "trailer": head
        + b"Transfer-Encoding: chunked\r\n\r\n"
        + chunked
        + b"X-Wanted: trailer\r\nX-Forwarded-For: 1\r\n\r\n",
        "both lengths": head
        + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n"
        + chunked
        + b"\r\n"
        + hidden,
        "two lengths": head + b"Content-Length: 25\r\nContent-Length: 4\r\n\r\n" + body + hidden,
        "chunked twice": head + b"Transfer-Encoding: chunked, chunked\r\n\r\n" + chunked + b"\r\n" + hidden,
        "chunked by another name": head + b"Transfer-Encoding: xchunked\r\n\r\n" + chunked + b"\r\n" + hidden,
        "a length that is signed": head + b"Content-Length: +25\r\n\r\n" + body + hidden,
        "a folded header": head + b"X-Wanted: a\r\n b\r\nContent-Length: 25\r\n\r\n" + body,
        "bare line feeds": (head + b"Content-Length: 25\r\n\r\n").replace(b"\r\n", b"\n") + body + hidden,
    }
    for name, data in forms.items():
        async with Client(at.opened.base, 20) as client:
            try:
                await client.raw(data)
            except (asyncio.IncompleteReadError, ConnectionError):
                told["cut off"] += 1
        await asyncio.sleep(0.05)
        for request in at.heard.requests:
            got, _, sent = request.partition(b"\r\n\r\n")
            assert b"/hidden" not in got, name
            assert b"chunked" not in got.lower(), name
            assert b"trailer" not in got, name
            assert b"x-forwarded-for" not in got.lower(), name
            assert (
                sent == b""
                or json.loads(sent) == {"id": "abc", "unit": "branch:beijing"}
                or json.loads(sent) == json.loads(body)
            ), name
        at.heard.requests.clear()
        told["framings"] += 1
    return told

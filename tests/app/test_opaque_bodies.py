"""Bytes that nobody here reads, from an upstream that lies about them: by an action of their own, as a file, bounded, recorded."""

from __future__ import annotations

import gzip
import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from audit.store import sqlite
from gateway.loading import catalogue_of
from gateway.observe import render
from gateway.policy import check
from gateway.words.errors import Misconfigured
from gateway.words.resource import MAX_OPAQUE_BYTES
from tests.campaign.counts import in_proof_alone
from tests.campaign.secrecy.client import Client, Said
from tests.campaign.secrecy.folders import folder
from tests.campaign.secrecy.house import Opened, entries, serving, settings
from tests.campaign.secrecy.needles import Search
from tests.campaign.secrecy.raw import Heard, raw_server, say

CATALOGUE = """
upstream: archive
prefix: /archive
base: http://127.0.0.1:{port}/base
response_headers: [etag, x-file, link]
resources:
  scan:
    subject: none
    id_form: token
    read: /scans/{{id}}
    fields:
      /id: {{class: public, server_set: true}}
      /unit: {{class: internal, fact: unit}}
routes:
  read: {{request: "GET /scans/{{id}}", resource: scan, does: read}}
  download:
    request: GET /scans/{{id}}/content
    resource: scan
    does: download
    action: scan:download
    opaque: {{media_types: [application/pdf, image/png], max_bytes: 65536}}
"""
RULES = (
    "p, role:clerk, *, archive/scan, scan:read, -, service, True, allow",
    "p, role:clerk, *, archive/scan, show:clear, public, service, True, allow",
    "p, role:clerk, *, archive/scan, show:clear, internal, service, True, allow",
    "p, role:manager, *, archive/scan, scan:download, -, service, True, allow",
)
CASES = """
now: "2026-11-02T10:00:00+08:00"
principals:
  manager: {application: {id: "app:a", roles: ["role:manager@branch:shanghai"]}, purposes: [service]}
  agent: {application: {id: "app:b", roles: ["role:agent@branch:shanghai"]}, purposes: [service]}
records:
  scan of Shanghai: {resource: archive/scan, facts: {unit: branch:shanghai}}
  scan of Beijing: {resource: archive/scan, facts: {unit: branch:beijing}}
cases:
  - principal: manager
    record: scan of Shanghai
    allow:
      - {actions: [scan:read, scan:download], purposes: [service], clear: [all]}
  - principal: agent
    record: scan of Shanghai
    allow:
      - {actions: [scan:read], purposes: [service], clear: [all]}
  - {principal: manager, record: scan of Beijing, allow: []}
"""
MOST = 65_536
TEXT = "%PDF-1.7 合同扫描件 张伟 13800138000 canary-5b1f0c9e7d"
BODY = TEXT.encode()
NAME = "zhang-wei-13800138000.pdf"
BESIDE = (
    f'Content-Disposition: inline; filename="{NAME}"',
    'ETag: "13800138000"',
    f"X-File: {NAME}",
    "Set-Cookie: session=13800138000",
    "Link: </elsewhere>; rel=next",
    "Content-Security-Policy: default-src *",
    "Cache-Control: public, max-age=9999",
    "Accept-Ranges: bytes",
    "Refresh: 0; url=http://evil.example/",
)
SCRIPT = b"<script>fetch('/v1/keys')</script>" + BODY


def chunked(body: bytes, kind: str = "application/pdf", trailer: bytes = b"") -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailer)


def untyped(*lines: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 200 OK", *lines, f"Content-Length: {len(BODY)}", "", ""]).encode() + BODY


# name → (what the upstream says, what its bytes are said to be, the bytes)
PASSES: dict[str, tuple[bytes, str, bytes]] = {
    "plain": (say(200, BODY, *BESIDE, kind="application/pdf"), "application/pdf", BODY),
    "with-parameters": (
        say(200, BODY, kind='application/pdf; name="x"; charset=utf-7'),
        "application/pdf",
        BODY,
    ),
    "in-capitals": (say(200, BODY, kind="Image/PNG"), "image/png", BODY),
    "page": (say(200, SCRIPT, kind="text/html; charset=utf-8"), "application/octet-stream", SCRIPT),
    "picture-with-script": (say(200, SCRIPT, kind="image/svg+xml"), "application/octet-stream", SCRIPT),
    "unlisted": (say(200, BODY, kind="image/jpeg"), "application/octet-stream", BODY),
    "no-type": (untyped(), "application/octet-stream", BODY),
    "two-types": (
        untyped("Content-Type: application/pdf", "Content-Type: text/html"),
        "application/octet-stream",
        BODY,
    ),
    "a-list-of-types": (
        untyped("Content-Type: application/pdf, text/html"),
        "application/octet-stream",
        BODY,
    ),
    "chunked": (chunked(BODY), "application/pdf", BODY),
    "trailers": (
        chunked(BODY, trailer=b"Content-Type: text/html\r\nSet-Cookie: a=b\r\n"),
        "application/pdf",
        BODY,
    ),
    "empty": (say(200, b"", kind="application/pdf"), "application/pdf", b""),
    "largest": (say(200, b"x" * MOST, kind="application/pdf"), "application/pdf", b"x" * MOST),
    "identity": (
        say(200, BODY, "Content-Encoding: identity", kind="application/pdf"),
        "application/pdf",
        BODY,
    ),
    "said-twice": (
        say(200, BODY, kind="application/pdf") + say(200, SCRIPT, kind="text/html"),
        "application/pdf",
        BODY,
    ),
}
DOCUMENT = json.dumps({"id": "json", "name": TEXT}, ensure_ascii=False).encode()
# name → (what the upstream says, status and code of the answer)
FAILS: dict[str, tuple[bytes | None, int, str]] = {
    "json": (say(200, DOCUMENT), 502, "upstream-malformed"),
    "json-of-another-charset": (
        say(200, DOCUMENT, kind="application/json; charset=utf-16"),
        502,
        "upstream-malformed",
    ),
    "json-of-a-kind": (say(200, DOCUMENT, kind="application/vnd.archive+json"), 502, "upstream-malformed"),
    "json-in-text": (say(200, DOCUMENT, kind="text/json"), 502, "upstream-malformed"),
    "json-beside": (
        untyped("Content-Type: application/pdf", "Content-Type: application/json"),
        502,
        "upstream-malformed",
    ),
    "too-large": (say(200, b"x" * (MOST + 1), kind="application/pdf"), 502, "upstream-malformed"),
    "too-large-in-chunks": (chunked(b"x" * (MOST + 1)), 502, "upstream-malformed"),
    "short": (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: 9999\r\n\r\n" + BODY,
        504,
        "upstream-silent",
    ),
    "two-lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\n" + BODY,
        502,
        "upstream-malformed",
    ),
    "packed": (
        say(200, gzip.compress(BODY), "Content-Encoding: gzip", kind="application/pdf"),
        502,
        "upstream-malformed",
    ),
    "part": (
        say(206, BODY, "Content-Range: bytes 0-9/99", kind="application/pdf"),
        502,
        "upstream-malformed",
    ),
    "elsewhere": (
        say(302, BODY, "Location: http://evil.example/x", kind="application/pdf"),
        502,
        "upstream-malformed",
    ),
    "not-changed": (b"HTTP/1.1 304 Not Modified\r\n\r\n", 502, "upstream-malformed"),
    "created": (say(201, BODY, kind="application/pdf"), 502, "upstream-malformed"),
    "nothing": (say(204), 502, "upstream-malformed"),
    "gone": (say(404, BODY, kind="application/pdf"), 404, "not-found"),
    "gone-for-good": (say(410, BODY, kind="application/pdf"), 404, "not-found"),
    "closed": (say(403, BODY, kind="application/pdf"), 502, "upstream-refused"),
    "broken": (say(500, BODY, kind="application/pdf"), 502, "upstream-refused"),
    "silent": (None, 504, "upstream-silent"),
}


def handle(head: bytes, _: bytes) -> bytes | None:
    """Answers for a record as it is, and for its bytes as its id says. Of Beijing are those that begin with `b-`."""
    target = head.split(b" ", 2)[1].decode()
    _, _, _, name, *content = target.split("/")
    if content:
        known = PASSES.get(name.removeprefix("b-")) or FAILS.get(name)
        return say(404) if known is None else known[0]
    if name == "unknown":
        return say(404)
    if name == "page-for-a-record":
        return say(200, SCRIPT, kind="text/html")
    unit = "branch:beijing" if name.startswith("b-") else "branch:shanghai"
    record = json.dumps({"id": name, "unit": unit}).encode()
    return (
        chunked(record, "application/json", b'ETag: "late"\r\n') if name == "trailers" else say(200, record)
    )


@dataclass
class Archive:
    """A gateway in front of it."""

    opened: Opened
    heard: Heard
    policies: Path

    async def get(self, name: str, key: str = "manager", method: str = "GET", **headers: str) -> Said:
        async with Client(self.opened.base, 20) as client:
            target = f"/archive/scans/{name}/content"
            return await client.ask(method, target, self.opened.keys[key], headers=headers)

    def asked(self) -> list[str]:
        """The paths that the upstream was asked for since the last look."""
        paths = [request.split(b" ", 2)[1].decode() for request in self.heard.requests]
        self.heard.requests.clear()
        return paths

    @property
    def home(self) -> Path:
        return self.opened.house.settings.home

    def sinks(self) -> Iterator[tuple[str, bytes]]:
        """Everything that it wrote or tells, but for its answers."""
        yield from ((path.name, path.read_bytes()) for path in self.home.rglob("*") if path.is_file())
        yield "log", self.opened.stream.getvalue().encode()
        yield "metrics", render(self.opened.house.metrics.collect())


@asynccontextmanager
async def archive(at: Path) -> AsyncIterator[Archive]:
    async with raw_server(handle) as heard:
        policies = folder(
            at / "policies", catalogues={"archive": CATALOGUE.format(port=heard.port)}, rules=RULES
        )
        (policies / "cases" / "archive.yaml").write_text(CASES, encoding="utf-8")
        async with serving(settings(at / "home", policies=policies, upstream_hosts=heard.host)) as opened:
            yield Archive(opened, heard, policies)


OURS = {
    "content-disposition": "attachment",
    "content-security-policy": "sandbox; default-src 'none'",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    "accept-ranges": "none",
}
VOLATILE = {"audit-ref", "gatehouse-policy", "gatehouse-request", "date"}


async def test_bytes_leave_as_a_file_that_is_called_what_the_catalogue_lists(tmp_path: Path) -> None:
    async with archive(tmp_path) as at:
        for name, (_, kind, body) in PASSES.items():
            said = await at.get(name)
            assert (said.status, said.body) == (200, body), name
            shown = {header: value for header, value in said.headers.items() if header not in VOLATILE}
            assert shown == OURS | {"content-type": kind, "content-length": str(len(body))}, name
            assert at.asked() == [f"/base/scans/{name}", f"/base/scans/{name}/content"], name


async def test_what_cannot_be_read_in_one_way_is_no_file_and_shows_nothing(tmp_path: Path) -> None:
    async with archive(tmp_path) as at:
        for name, (_, status, code) in FAILS.items():
            said = await at.get(name)
            assert (said.status, said.code) == (status, code), name
            assert "13800138000" not in (said.head + said.body).decode(), name
            assert "content-disposition" not in said.headers
        served = [e for e in entries(at.home) if e["action"] == "scan:download" and e["kind"] == "served"]
        assert served == []


async def test_the_upstream_is_asked_for_all_of_it_as_it_is(tmp_path: Path) -> None:
    async with archive(tmp_path) as at:
        await at.get("plain", **{"accept": "text/html", "accept-encoding": "gzip", "if-none-match": '"a"'})
        record, content = (request.decode().lower() for request in at.heard.requests)
        assert "\r\naccept: application/json\r\n" in record
        assert "\r\naccept: */*\r\n" in content
        assert "\r\naccept-encoding: identity\r\n" in content
        assert content.count("\r\naccept") == 2
        assert not {"if-none-match", "range", "authorization", "cookie"} & {
            line.partition(":")[0] for line in content.split("\r\n")
        }


async def test_each_is_recorded_with_its_size_and_a_digest_before_it_leaves(tmp_path: Path) -> None:
    async with archive(tmp_path) as at:
        for name in ("plain", "empty", "largest"):
            body = PASSES[name][2]
            said = await at.get(name, **{"x-request-id": "mine"})
            seq = int(said.headers["audit-ref"].partition(":")[0])
            (entry,) = [e for e in entries(at.home) if e["seq"] == seq]
            assert (entry["kind"], entry["action"]) == ("served", "scan:download")
            assert entry["decision"]["allowed"] is True
            assert entry["resource"] == {"upstream": "archive", "type": "scan"}
            part, caller = entry["parts"]
            evidence = at.opened.house.gate.evidence
            assert part["content"] == {"bytes": len(body), "digest": evidence.bytes_digest("content", body)}
            assert part["facts"] == {"unit": "branch:shanghai"}
            assert part["reference"].startswith("ref_")
            assert list(caller) == ["caller"]
            assert hashlib.sha256(body).hexdigest() not in str(entry)


async def test_without_an_entry_not_a_byte_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    async with archive(tmp_path) as at:
        with monkeypatch.context() as broken:
            broken.setattr(sqlite, "_write", full)
            said = await at.get("plain")
        assert (said.status, said.code) == (503, "log-unavailable")
        assert BODY not in said.body
        assert (await at.get("plain")).body == BODY


async def test_who_may_read_a_record_may_not_have_its_bytes_for_that(tmp_path: Path) -> None:
    async with archive(tmp_path) as at:
        async with Client(at.opened.base) as client:
            read = await client.ask("GET", "/archive/scans/plain", at.opened.keys["agent"])
        assert read.json == {"id": "plain", "unit": "branch:shanghai"}
        said = await at.get("plain", "agent")
        assert (said.status, said.code) == (403, "denied")
        assert not any(path.endswith("/content") for path in at.asked())
        assert (await at.get("b-plain", "all")).body == BODY  # of both branches
        (denied,) = [e for e in entries(at.home) if e["kind"] == "denied"]
        assert (denied["action"], denied["decision"]["reason"]) == ("scan:download", "no-rule")


async def test_bytes_of_another_branch_are_as_if_they_were_not_there_and_are_never_asked_for(
    tmp_path: Path,
) -> None:
    async with archive(tmp_path) as at:
        answers = []
        for name in ("b-plain", "unknown"):
            said = await at.get(name)
            assert said.status == 404
            request = said.headers["gatehouse-request"]
            shown = {header: value for header, value in said.headers.items() if header not in VOLATILE}
            answers.append((said.body.replace(request.encode(), b"-"), shown))
        assert answers[0] == answers[1]
        assert at.asked() == ["/base/scans/b-plain", "/base/scans/unknown"]


async def test_a_head_tells_how_much_there_is_and_is_recorded_as_the_bytes_are(tmp_path: Path) -> None:
    async with archive(tmp_path) as at:
        said = await at.get("plain", method="HEAD")
        assert (said.status, said.body, said.headers["content-length"]) == (200, b"", str(len(BODY)))
        served = [e for e in entries(at.home) if e["action"] == "scan:download"]
        assert [e["parts"][0]["content"]["bytes"] for e in served] == [len(BODY)]
        assert at.heard.requests[-1].startswith(b"GET ")


@pytest.mark.parametrize("header", ["range", "if-range"])
async def test_a_part_of_the_bytes_is_refused_and_nothing_is_asked(tmp_path: Path, header: str) -> None:
    async with archive(tmp_path) as at:
        said = await at.get("plain", **{header: "bytes=0-9"})
        assert (said.status, said.code, said.json["params"]) == (400, "header-malformed", {"header": header})
        assert at.asked() == []


async def test_on_every_other_route_a_body_is_json_or_nothing(tmp_path: Path) -> None:
    async with archive(tmp_path) as at, at.opened.client() as client:
        key = at.opened.keys["manager"]
        page = await client.ask("GET", "/archive/scans/page-for-a-record", key)
        assert (page.status, page.code) == (502, "upstream-malformed")
        assert b"script" not in page.body
        by_bytes = await at.get("page-for-a-record")  # whose record cannot be read has no bytes either
        assert (by_bytes.status, by_bytes.code) == (502, "upstream-malformed")
        for method in ("PUT", "POST", "PATCH", "DELETE"):
            said = await client.ask(method, "/archive/scans/plain/content", key, BODY)
            assert (said.status, said.headers["allow"]) == (405, "GET, HEAD")
        late = await client.ask("GET", "/archive/scans/trailers", key)
        assert (late.status, "etag" in late.headers) == (200, False)  # of an answer's trailers nothing passes


@in_proof_alone()
async def test_the_bytes_stand_nowhere_but_in_the_answer(tmp_path: Path) -> None:
    search = Search({"bytes": TEXT, "file": NAME, "number": "13800138000"})
    assert len(list(search.find("planted", BODY + hashlib.sha256(BODY).digest()))) > 1
    async with archive(tmp_path) as at:
        for name in (*PASSES, *FAILS):
            for key in ("manager", "agent"):
                await at.get(name, key)
                await at.get(name, key, "HEAD")
        found = [one for sink, data in at.sinks() for one in search.find(sink, data)]
        names = {sink for sink, _ in at.sinks()}
    assert found == []
    assert {"audit.sqlite", "state.sqlite", "log", "metrics"} <= names


async def test_an_action_of_bytes_is_one_that_cases_and_the_check_know(tmp_path: Path) -> None:
    async with archive(tmp_path) as at:
        found = catalogue_of(at.policies, frozenset({at.heard.host}), MOST)
        assert check(at.policies, found) == []
        cases = at.policies / "cases" / "archive.yaml"
        cases.write_text(CASES.replace("[scan:read, scan:download]", "[scan:read]"), encoding="utf-8")
        (unlisted,) = check(at.policies, found)
        assert "scan:download for service: it is allowed by policy.csv" in str(unlisted)
        cases.write_text(
            CASES.replace("actions: [scan:read]", "actions: [scan:read, scan:download]"), encoding="utf-8"
        )
        (denied,) = check(at.policies, found)
        assert "scan:download for service: it is denied (no-rule" in str(denied)


async def test_a_catalogue_that_allows_more_than_the_setting_does_not_start(tmp_path: Path) -> None:
    async with raw_server(handle) as heard:
        policies = folder(
            tmp_path / "policies", catalogues={"archive": CATALOGUE.format(port=heard.port)}, rules=RULES
        )
        given = {"policies": policies, "upstream_hosts": heard.host, "max_opaque_bytes": MOST - 1}
        with pytest.raises(Misconfigured, match=r"archive\.yaml:\d+: .*max_bytes is more than the setting"):
            async with serving(settings(tmp_path / "home", **given)):
                pass


async def test_a_worker_that_follows_another_goes_by_the_setting_too(tmp_path: Path) -> None:
    """Both read one folder: what one of them takes, the other must not refuse."""
    large = 2 * MAX_OPAQUE_BYTES
    async with raw_server(handle) as heard:
        text = CATALOGUE.format(port=heard.port).replace("max_bytes: 65536", f"max_bytes: {large}")
        policies = folder(tmp_path / "policies", catalogues={"archive": text}, rules=RULES)
        given = {"policies": policies, "upstream_hosts": heard.host, "max_opaque_bytes": large}
        async with serving(settings(tmp_path / "home", **given)) as opened:
            bundles = opened.house.bundles
            files = await bundles._kept.find(bundles.digest)
            again = bundles._making.reread(bundles.digest, files)
            assert again.digest == bundles.digest

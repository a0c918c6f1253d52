"""What a catalogue may say of bytes that nobody reads, what it may not, and what step 3 makes of a request for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.catalogue import Catalogue, load
from gateway.wire.yaml import canonical, read
from gateway.words.errors import Misconfigured
from gateway.words.resource import OpaqueRule
from gateway.words.work import Download, Forward, Read
from tests.catalogue.builders import HOSTS, call, changed, principal, problems, refusal, shop, write
from tests.catalogue.test_shipped_catalogues import SCHEMA, faults

SCANS = changed(
    "routes:\n  list-buyers:",
    """\
  scan:
    subject: {resource: buyer, at: /buyer}
    id_form: token
    read: /scans/{id}
    fields:
      /id: {class: public, server_set: true}
      /buyer: {class: internal}
      /place: {class: internal, fact: unit}
routes:
  read-scan: {request: "GET /scans/{id}", resource: scan, does: read}
  download-scan:
    request: GET /scans/{id}/content
    resource: scan
    does: download
    action: scan:download
    opaque: {media_types: [application/pdf, image/png], max_bytes: 4096}
    parameters: {page: {use: pass, values: ["1"]}}
  list-buyers:""",
)

# name: (text to replace, its replacement, text whose line is named, what the problem says)
WRONG: dict[str, tuple[str, str, str, str]] = {
    "no mark": (
        "    opaque: {media_types: [application/pdf, image/png], max_bytes: 4096}\n",
        "",
        "does: download",
        "is 'download' without 'opaque'",
    ),
    "a mark on another route": (
        "resource: scan, does: read}",
        "resource: scan, does: read, opaque: {media_types: [a/b], max_bytes: 1}}",
        "read-scan:",
        "does not go with 'does: read'",
    ),
    "a mark on a change": (
        "does: delete}",
        "does: delete, opaque: {media_types: [a/b], max_bytes: 1}}",
        "delete-buyer:",
        "does not go with 'does: delete'",
    ),
    "sealed fields": (
        "      /buyer: {class: internal}\n      /place",
        "      /buyer: {class: internal}\n      /text: {class: free_text, sealed: orders}\n      /place",
        "    opaque:",
        "on 'scan', which has sealed fields",
    ),
    "no action": ("    action: scan:download\n", "", "    opaque:", "without an action of its own"),
    "the action of reading": (
        "scan:download",
        "scan:read",
        "    action:",
        "'scan:read' is another route's too",
    ),
    "the usual name of another thing": (
        "scan:download",
        "scan:list",
        "    action:",
        "'scan:list' is another route's too",
    ),
    "an action about another resource": (
        "scan:download",
        "buyer:download",
        "    action:",
        "is about another resource",
    ),
    "no types": ("[application/pdf, image/png]", "[]", "    opaque:", "media_types is empty"),
    "no list of types": (
        "media_types: [application/pdf, image/png], ",
        "",
        "    opaque:",
        "has no 'media_types'",
    ),
    "no bound": (", max_bytes: 4096", "", "    opaque:", "has no 'max_bytes'"),
    "a bound of nothing": ("max_bytes: 4096", "max_bytes: 0", "    opaque:", "is not a whole number from 1"),
    "a bound above the setting": (
        "max_bytes: 4096",
        "max_bytes: 8388609",
        "    opaque:",
        "is more than the setting for opaque bytes allows (8388608)",
    ),
    "a bound above everything": (
        "max_bytes: 4096",
        "max_bytes: 268435457",
        "    opaque:",
        "is not a whole number",
    ),
    "a type in capitals": ("image/png", "Image/png", "    opaque:", "'Image/png' is no media type"),
    "a type with parameters": ("image/png", "'text/plain; charset=utf-8'", "    opaque:", "is no media type"),
    "every type": ("image/png", "'image/*'", "    opaque:", "is no media type"),
    "any type": ("image/png", "'*/*'", "    opaque:", "is no media type"),
    "half a type": ("image/png", "image", "    opaque:", "is no media type"),
    "a type twice": ("image/png", "application/pdf", "    opaque:", "holds 'application/pdf' twice"),
    "JSON": ("image/png", "application/json", "    opaque:", "is JSON, which passes field by field"),
    "another JSON": (
        "image/png",
        "application/geo+json",
        "    opaque:",
        "is JSON, which passes field by field",
    ),
    "a page": ("image/png", "text/html", "    opaque:", "a browser or a desktop runs, shows or takes apart"),
    "a page of another name": (
        "image/png",
        "application/xhtml+xml",
        "    opaque:",
        "a browser or a desktop runs, shows or takes apart",
    ),
    "a picture that runs scripts": (
        "image/png",
        "image/svg+xml",
        "    opaque:",
        "a browser or a desktop runs, shows or takes apart",
    ),
    "XML": ("image/png", "text/xml", "    opaque:", "a browser or a desktop runs, shows or takes apart"),
    "a script": (
        "image/png",
        "application/javascript",
        "    opaque:",
        "a browser or a desktop runs, shows or takes apart",
    ),
    "an old script": (
        "image/png",
        "text/x-javascript",
        "    opaque:",
        "a browser or a desktop runs, shows or takes apart",
    ),
    **{
        f"bytes called {name}": (
            "image/png",
            name,
            "    opaque:",
            "a browser or a desktop runs, shows or takes apart",
        )
        for name in (
            "text/vbscript",
            "text/jscript",
            "text/livescript",
            "text/javascript1.5",
            "text/scriptlet",
            "text/x-component",
            "application/hta",
            "application/x-mimearchive",
            "application/x-webarchive",
            "application/vnd.ms-htmlhelp",
            "text/x-server-parsed-html",
            "image/svg",
            "application/xml-external-parsed-entity",
            "application/x-ns-proxy-autoconfig",
            "application/wasm",
            "application/java-archive",
            "application/x-java-jnlp-file",
            "application/x-shockwave-flash",
            "application/x-ms-application",
            "application/x-msdownload",
            "application/vnd.microsoft.portable-executable",
            "application/x-bat",
            "application/x-sh",
            "application/x-mswinurl",
        )
    },
    "parts": (
        "image/png",
        "multipart/x-mixed-replace",
        "    opaque:",
        "a browser or a desktop runs, shows or takes apart",
    ),
    "an unknown key": (
        "max_bytes: 4096",
        "max_bytes: 4096, filename: /id",
        "    opaque:",
        "has the unknown key 'filename'",
    ),
    "a word for a mark": (
        "opaque: {media_types: [application/pdf, image/png], max_bytes: 4096}",
        "opaque: true",
        "    opaque:",
        "is not a mapping",
    ),
    "another method": (
        "request: GET /scans/{id}/content",
        "request: PUT /scans/{id}/content",
        "    request: PUT",
        "that is GET",
    ),
    "no record": (
        "request: GET /scans/{id}/content",
        "request: GET /scans/all/content",
        "    request: GET /scans/all",
        "names no record by '{id}'",
    ),
    "headers of the upstream's": (
        "    action: scan:download\n",
        "    action: scan:download\n    response_headers: [x-file]\n",
        "    response_headers:",
        "says nothing of bytes",
    ),
    "a shape": (
        "    action: scan:download\n",
        "    action: scan:download\n    answer: {record: /data}\n",
        "    answer:",
        "says nothing of bytes",
    ),
    "a body": (
        "    action: scan:download\n",
        "    action: scan:download\n    max_body_bytes: 5\n",
        "    max_body_bytes:",
        "takes no body",
    ),
    "a page of bytes": (
        "    action: scan:download\n",
        "    action: scan:download\n    page: {limit: n, position: p, first: 1}\n",
        "    page:",
        "only for 'does: list'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_about_bytes_is_named_with_file_line_and_advice(tmp_path: Path, name: str) -> None:
    old, new, at, says = WRONG[name]
    text = changed(old, new, SCANS)
    found = problems(tmp_path, text)
    line = text[: text.index(at)].count("\n") + 1
    hits = [problem for problem in found if says in problem]
    assert hits, found
    assert any(problem.startswith(f"shop.yaml:{line}: ") for problem in hits), (line, found)
    assert all(";" in problem for problem in found)


@pytest.mark.parametrize(
    "name",
    [
        "text/plain",
        "text/csv",
        "image/tiff",
        "audio/mpeg",
        "application/zip",
        "application/postscript",
        "application/octet-stream",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ],
)
def test_what_is_only_looked_at_passes(tmp_path: Path, name: str) -> None:
    assert shop(tmp_path, changed("image/png", name, SCANS))


def test_something_behind_a_record_is_for_bytes_only(tmp_path: Path) -> None:
    text = changed('"GET /scans/{id}"', '"GET /scans/{id}/card"', SCANS)
    assert any("goes on after '{id}'" in problem for problem in problems(tmp_path, text))


def test_bytes_and_records_do_not_share_an_address(tmp_path: Path) -> None:
    text = changed("GET /scans/{id}/content", "GET /scans/{id}", SCANS)
    assert any("fit the same path" in problem for problem in problems(tmp_path, text))


def test_the_setting_bounds_every_route(tmp_path: Path) -> None:
    folder = write(tmp_path, SCANS)
    assert load(folder, allowed_hosts=HOSTS, max_opaque_bytes=4096)
    with pytest.raises(Misconfigured, match=r"max_bytes is more than .* allows \(4095\)"):
        load(folder, allowed_hosts=HOSTS, max_opaque_bytes=4095)


def test_a_file_with_bytes_fits_the_schema_for_editors_and_a_wrong_one_does_not() -> None:
    def said(text: str) -> Any:
        return faults(canonical(read(text)), SCHEMA, "")

    assert said(SCANS) == []
    for name in (
        "no list of types",
        "no bound",
        "a bound of nothing",
        "a type in capitals",
        "every type",
        "an unknown key",
        "a word for a mark",
    ):
        old, new, _, _ = WRONG[name]
        assert said(changed(old, new, SCANS)) != [], name


# ── step 3 ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return shop(tmp_path_factory.mktemp("catalogue"), SCANS)


@pytest.mark.parametrize(("method", "head"), [("GET", False), ("HEAD", True)])
def test_bytes_are_asked_for_by_their_own_action_about_their_record(
    scans: Catalogue, method: str, head: bool
) -> None:
    what = scans.address(
        call(method, "/shop/scans/s1/content?page=1", if_none_match='"a"'), principal("service")
    )
    assert what.work == Download(Forward("/scans/s1/content", "page=1"), head)
    assert (what.access.action, what.ref.resource, what.ref.record) == ("scan:download", "scan", "s1")
    assert what.route.opaque == OpaqueRule(("application/pdf", "image/png"), 4096)
    assert what.route.request_headers == {"accept-language"}


def test_the_record_itself_is_read_as_ever(scans: Catalogue) -> None:
    what = scans.address(call("GET", "/shop/scans/s1", range="bytes=0-3"), principal("service"))
    assert isinstance(what.work, Read)
    assert what.route.opaque is None


@pytest.mark.parametrize(
    ("what", "code", "params"),
    [
        (call("GET", "/shop/scans/s1/content", range="bytes=0-3"), "header-malformed", {"header": "range"}),
        (call("GET", "/shop/scans/s1/content", if_range='"a"'), "header-malformed", {"header": "if-range"}),
        (call("GET", "/shop/scans/s1/content", b"x"), "body-malformed", {"expected": "no body"}),
        (call("GET", "/shop/scans/s1/content?page=2"), "parameter-malformed", {"parameter": "page", "expected": "1"}),
        (call("GET", "/shop/scans/s1/content?name=x"), "parameter-unknown", {"parameter": "name"}),
        (call("PUT", "/shop/scans/s1/content", b"x"), "method-not-listed", {"allow": "GET, HEAD"}),
        (call("POST", "/shop/scans/s1/content", b"x"), "method-not-listed", {"allow": "GET, HEAD"}),
        (call("GET", "/shop/scans/s1/content/"), "not-found", {}),
        (call("GET", "/shop/scans/s1/Content"), "not-found", {}),
        (call("GET", "/shop/scans/s.1/content"), "not-found", {}),
    ],
)  # fmt: skip
def test_everything_else_about_bytes_is_refused(
    scans: Catalogue, what: Any, code: str, params: dict[str, str]
) -> None:
    assert refusal(scans, what) == (code, params)

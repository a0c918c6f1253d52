"""Upstreams made ready from the catalogue: credentials by reference, fixed headers, loads that are whole or nothing; and links."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace

import pytest

from gateway.upstream import AllowedHosts, AsgiTransport, Places
from gateway.upstream.address import Origin
from gateway.upstream.credential import credential_header
from gateway.upstream.links import Mount
from gateway.words.access import ResourceRef
from gateway.words.errors import Misconfigured, NotSent
from gateway.words.resource import Credential
from tests.upstream.crm import CRM
from tests.upstream.servers import OK, answering, serving


async def idle(scope, receive, send):
    raise AssertionError("nobody asks")


def places(**options) -> Places:
    given = {
        "environment": {"CRM": "s3cret"},
        "allowed": AllowedHosts(["crm.test:80"]),
        "embedded": AsgiTransport(idle),
    }
    return Places(**{**given, **options})


ANY = ResourceRef("crm", "customer")
EMBEDDED = replace(CRM, base="embedded:")


@pytest.mark.parametrize(
    ("scheme", "said"),
    [
        ("Bearer", "Bearer u:p"),
        ("", "u:p"),
        ("Basic", "Basic " + base64.b64encode(b"u:p").decode()),
        ("Token", "Token u:p"),
    ],
)
def test_a_credential_is_its_scheme_and_what_the_reference_holds(tmp_path, scheme, said):
    (tmp_path / "secret").write_text("u:p\n")
    for reference in ("env:CRM", f"file:{tmp_path}/secret"):
        made = credential_header(Credential(reference, "X-Key", scheme), {"CRM": "u:p"}, "crm")
        assert made == ("x-key", said)


@pytest.mark.parametrize(
    ("reference", "scheme"),
    [
        ("env:NONE", "Bearer"),
        ("env:EMPTY", "Bearer"),
        ("env:LINES", "Bearer"),
        ("env:CHINESE", ""),
        ("env:PLAIN", "Basic"),
        ("env:", "Bearer"),
        ("file:nowhere/at/all", "Bearer"),
        ("sw0rdfish", "Bearer"),
    ],
)
def test_a_credential_that_is_none_stops_the_start_and_is_not_repeated(reference, scheme):
    environment = {"EMPTY": "", "LINES": "sw0rdfish\r\nx: y", "CHINESE": "sw0rdfish龙", "PLAIN": "sw0rdfish"}
    with pytest.raises(Misconfigured) as refused:
        credential_header(Credential(reference, "authorization", scheme), environment, "crm")

    assert "upstream crm" in str(refused.value)
    assert reference == "sw0rdfish" or "sw0rdfish" not in str(refused.value)


@pytest.mark.parametrize(
    "headers",
    [
        (("Host", "x"),),
        (("Connection", "close"),),
        (("Content-Length", "1"),),
        (("x y", "1"),),
        (("x", "a\r\nb: c"),),
        (("Authorization", "x"),),
        (("accept-encoding", "gzip"),),
    ],
)
async def test_a_fixed_header_that_cannot_be_one_stops_the_start(headers):
    with pytest.raises(Misconfigured):
        places().load([replace(EMBEDDED, headers=headers)])


async def test_a_load_is_whole_or_nothing_and_says_everything_that_is_wrong():
    ready = places()
    ready.load([EMBEDDED])
    wrong = [
        replace(CRM, name="one", base="http://other.test/"),
        replace(CRM, name="two", credential=Credential("env:NONE")),
        replace(CRM, name="three", base="ftp://crm.test"),
        replace(EMBEDDED, name="four"),
    ]
    with pytest.raises(Misconfigured) as refused:
        ready.load(wrong)

    assert len(refused.value.problems) == 3
    assert ready.of("crm").spec is EMBEDDED
    with pytest.raises(NotSent):
        ready.of("four")
    await ready.close()


async def test_without_a_store_in_this_process_there_is_no_embedded_upstream():
    with pytest.raises(Misconfigured):
        places(embedded=None).load([EMBEDDED])


async def test_a_load_reads_the_credential_anew_and_keeps_the_connections():
    environment = {"CRM": "old"}
    async with serving(answering(OK)) as server:
        ready = places(environment=environment, allowed=AllowedHosts([f"127.0.0.1:{server.port}"]))
        spec = replace(CRM, base=f"http://127.0.0.1:{server.port}")
        ready.load([spec])
        await ready.of("crm").send("GET", "/a", by=ANY)
        environment["CRM"] = "new"
        ready.load([spec])
        await ready.of("crm").send("GET", "/a", by=ANY)
        ready.load([])
        await asyncio.wait_for(server.ended.wait(), 2)
        with pytest.raises(NotSent):
            ready.of("crm")
        await ready.close()

    assert server.connections == 1
    assert [b"Bearer old" in r for r in server.requests] == [True, False]
    assert b"Bearer new" in server.requests[1]


async def test_an_upstream_that_a_load_takes_away_still_gives_its_answer():
    async with serving(answering(OK, pause=0.1)) as server:
        ready = places(allowed=AllowedHosts([f"127.0.0.1:{server.port}"]))
        ready.load([replace(CRM, base=f"http://127.0.0.1:{server.port}")])
        asked = asyncio.ensure_future(ready.of("crm").send("GET", "/a", by=ANY))
        await server.asked.wait()
        ready.load([])

        assert (await asked).status == 200
        await ready.close()


def test_nothing_of_a_credential_is_in_a_repr():
    ready = places()
    ready.load([EMBEDDED])
    assert "s3cret" not in repr(ready.of("crm"))


DESK = Mount(Origin("http", "desk.test", 8080), "/rest/data", "/desk")
STORE = Mount(None, "", "/crm")


@pytest.mark.parametrize(
    ("mount", "link", "seen"),
    [
        (DESK, "http://desk.test:8080/rest/data/issue/5", "/desk/issue/5"),
        (DESK, "HTTP://DESK.test:8080/rest/data/issue/5", "/desk/issue/5"),
        (DESK, "/rest/data/issue/li%40x", "/desk/issue/li%40x"),
        (STORE, "/customers/c1", "/crm/customers/c1"),
        (DESK, "/rest/data", None),
        (DESK, "/rest/database/issue/5", None),
        (DESK, "/rest/data/../admin", None),
        (DESK, "/rest/data/%2e%2e/admin", None),
        (DESK, "/rest/data/a%2Fb", None),
        (DESK, "/rest/data//x", None),
        (DESK, "/rest/data/a\\b", None),
        (DESK, "/rest/data/a;b", None),
        (DESK, "/rest/data/issue?phone=138", None),
        (DESK, "/rest/data/issue#5", None),
        (DESK, "http://desk.test/rest/data/issue/5", None),
        (DESK, "https://desk.test:8080/rest/data/issue/5", None),
        (DESK, "http://desk.test:8080@evil.test/rest/data/issue/5", None),
        (DESK, "http://u:p@desk.test:8080/rest/data/issue/5", None),
        (DESK, "http://evil.test:8080/rest/data/issue/5", None),
        (DESK, "//desk.test:8080/rest/data/issue/5", None),
        (DESK, "http://desk.test:x/rest/data/issue/5", None),
        (DESK, "http://[::1/rest/data/issue/5", None),
        (DESK, "http://desk.test:8080", None),
        (DESK, "javascript:alert(1)", None),
        (DESK, "issue/5", None),
        (DESK, "mailto:li@x.cn", None),
        (DESK, "", None),
        (DESK, "/rest/data/龙", None),
        (DESK, "/rest/data/" + "x" * 5000, None),
        (STORE, "http://embedded/customers/c1", None),
        (STORE, "/", "/crm/"),
    ],
)
def test_a_link_leads_below_the_mount_or_nowhere(mount, link, seen):
    assert mount.inward(link) == seen


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ('</rest/data/a>; rel="next"', ('</desk/a>; rel="next"', False)),
        ('</rest/data/a>;rel=next; title="x", </rest/data/b>', ('</desk/a>; rel="next", </desk/b>', False)),
        ('</rest/data/a>; title="Li"; rel="next"', ('</desk/a>; rel="next"', False)),
        ('</rest/data/a>; anchor="http://evil.test/"', ("</desk/a>", False)),
        ('</rest/data/a>; rel="http://evil.test/"', ("</desk/a>", False)),
        ("<http://evil.test/>; rel=next", (None, True)),
        ("nonsense", (None, True)),
        ('</rest/data/a>; title="x, </rest/data/b>"', (None, True)),
    ],
)
def test_a_link_header_keeps_what_leads_here(value, left):
    assert DESK.link_header(value) == left

"""Which connection a request goes out on, and what becomes of it: reuse, desynchronisation, pinning, cancellation."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.upstream.address import AllowedHosts, Origin, parse_base
from gateway.upstream.http import HttpTransport, tls_context
from gateway.wire.destination import permitted, spelled
from gateway.words.errors import Barred, Misconfigured, NoAnswer, NotSent
from tests.upstream.servers import OK, Seen, answering, exchange, read_request, serving

PATHS = [
    b"/", b"/a", b"/a/", b"/a//b", b"/a/../b", b"/a/./b", b"/a/%2e%2e/b", b"/u/li%40x", b"/u/%E9%BE%99", b"/u/%e9%be%99",
    b"/a%2Fb", b"/a%5cb", b"/a\\b", b"/a;b=c", b"/%00", b"/a%20b", b"/a+b", b"/a'b", b'/a"b', b"/<a>", b"/{a}", b"/a|b", b"/a^b`c",
    b"/a?", b"/a?b", b"/a?b=c&b=d", b"/a?b=%E9%BE%99", b"/a?b='c'", b"/a??b=/../c", b"/a?@fields=phone&@page_size=20", b"/~a/%7Ea",
    b"//a/b", b"/http://other/", b"/a:80@b", b"/*", b"/a?b=c+d%2B",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_the_target_goes_out_byte_for_byte(path):
    async with serving(answering(OK)) as server:
        transport = server.transport()
        await transport.send(exchange(path))
        await transport.close()

    assert server.requests[0].split(b"\r\n")[0] == b"GET " + path + b" HTTP/1.1"


async def test_a_request_is_its_headers_once_and_its_body():
    async with serving(answering(OK)) as server:
        transport = server.transport()
        await transport.send(exchange(method="POST", headers=(("x-a", "b c"),), body=b'{"a":1}'))
        await transport.close()

    host = b"Host: 127.0.0.1:%d" % server.port
    assert server.requests == [
        b"POST /a HTTP/1.1\r\n" + host + b'\r\nx-a: b c\r\nContent-Length: 7\r\n\r\n{"a":1}'
    ]


@pytest.mark.parametrize(
    "bad",
    [
        exchange(b"/a b"),
        exchange(b"/a\r\nX: y"),
        exchange(b"/a#b"),
        exchange("/龙".encode()),
        exchange(b"a"),
        exchange(b""),
        exchange(b"http://other/a"),
        exchange(method="GET /b HTTP/1.1\r\nX:"),
        exchange(method="get"),
        exchange(headers=(("x", "y\r\nz: 1"),)),
        exchange(headers=(("x", "y\nz"),)),
        exchange(headers=(("x\r\ny", "z"),)),
        exchange(headers=(("x", "\0"),)),
        exchange(headers=(("x", "龙"),)),
    ],
)
async def test_what_cannot_be_said_in_one_way_is_not_sent(bad):
    async with serving(answering(OK)) as server:
        transport = server.transport()
        with pytest.raises(NotSent):
            await transport.send(bad)
        await transport.close()

    assert server.connections == 0


async def test_one_connection_serves_one_after_another():
    async with serving(answering(OK)) as server:
        transport = server.transport()
        for _ in range(20):
            await transport.send(exchange())
        await transport.close()

    assert (server.connections, len(server.requests)) == (1, 20)


async def test_no_more_connections_than_the_bound_and_who_waits_too_long_is_not_sent():
    async with serving(answering(OK, pause=0.3)) as server:
        transport = server.transport(max_connections=2)
        asked = [transport.send(exchange(connect=0.1)) for _ in range(3)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        await transport.close()

    assert server.connections == 2
    assert sorted(type(a).__name__ for a in answers) == ["NotSent", "RawAnswer", "RawAnswer"]


async def test_a_connection_that_the_peer_closed_while_idle_is_replaced_and_nothing_is_asked_twice():
    async with serving(answering(OK, close=True)) as server:
        transport = server.transport()
        for _ in range(5):
            await transport.send(exchange(method="POST", body=b"x"))
            await asyncio.sleep(0.01)
        await transport.close()

    assert (server.connections, len(server.requests)) == (5, 5)


async def test_a_close_that_the_event_loop_has_not_heard_of_yet_is_seen():
    async with serving(answering(OK)) as server:
        transport = server.transport()
        await transport.send(exchange())
        # The peer's end closes now; until this test awaits something, our event loop cannot have noticed.
        server.writers[0].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        answer = await transport.send(exchange(method="POST", body=b"x"))
        await transport.close()

    assert (answer.status, server.connections, len(server.requests)) == (200, 2, 2)


async def test_a_connection_closed_under_a_request_is_no_answer_and_the_request_is_not_repeated():
    async def once(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.requests.append(await read_request(reader))
        writer.write(OK)
        seen.requests.append(await read_request(reader))

    async with serving(once) as server:
        transport = server.transport()
        await transport.send(exchange())
        with pytest.raises(NoAnswer):
            await transport.send(exchange(method="POST", body=b"x"))
        await transport.close()

    assert (server.connections, len(server.requests)) == (1, 2)


SMUGGLED = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled"


@pytest.mark.parametrize(
    ("first", "method"),
    [
        (OK + SMUGGLED, "GET"),
        (OK + b"x", "GET"),
        (OK + b"HTTP/1.1 200 OK\r\nContent-Le", "GET"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled", "HEAD"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nsmuggled\r\n0\r\n\r\n", "HEAD"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8", "HEAD"),
        (b"HTTP/1.1 204 No\r\nContent-Length: 39\r\n\r\n" + SMUGGLED, "GET"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "GET"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "GET"),
    ],
)
async def test_a_connection_with_more_on_it_than_the_answer_is_never_used_again(first, method):
    async with serving(answering(first, OK)) as server:
        transport = server.transport()
        await transport.send(exchange(method=method))
        await asyncio.wait_for(server.ended.wait(), 2)  # and it is ended, not left open
        second = await transport.send(exchange())
        await transport.close()

    assert (second.body, server.connections) == (b"ok", 2)


@pytest.mark.parametrize("pause", [0, 0.05])
async def test_an_answer_that_comes_before_its_question_answers_nothing(pause):
    async with serving(answering(OK)) as server:
        transport = server.transport()
        await transport.send(exchange())
        server.writers[0].write(SMUGGLED)
        await server.writers[0].drain()
        await asyncio.sleep(pause)
        second = await transport.send(exchange())
        await transport.close()

    assert (second.body, server.connections) == (b"ok", 2)


async def test_an_answer_to_half_a_request_leaves_the_connection_unused():
    async def early(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()
        seen.requests.append(b"")
        writer.write(OK)
        await asyncio.sleep(5)

    async with serving(early) as server:
        transport = server.transport()
        answer = await transport.send(exchange(method="POST", body=b"x" * 30_000_000))
        idle = len(transport._idle)
        await transport.close()

    assert (answer.status, idle) == (200, 0)


async def test_idle_connections_end_after_their_time():
    async with serving(answering(OK)) as server:
        transport = server.transport(idle_seconds=0.1)
        await transport.send(exchange())
        await asyncio.wait_for(server.ended.wait(), 2)
        idle = len(transport._idle)
        await transport.close()

    assert idle == 0


async def test_a_cancelled_caller_takes_the_connection_with_him():
    async def silent(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        seen.asked.set()
        await read_request(reader)  # ends when the connection does

    async with serving(silent) as server:
        transport = server.transport()
        asked = asyncio.ensure_future(transport.send(exchange()))
        await server.asked.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        await asyncio.wait_for(server.ended.wait(), 2)
        assert transport._idle == []
        await transport.close()


async def test_close_waits_for_the_answer_under_way_and_nothing_is_sent_afterwards():
    async with serving(answering(OK, pause=0.1)) as server:
        transport = server.transport()
        asked = asyncio.ensure_future(transport.send(exchange()))
        await server.asked.wait()
        await transport.close()
        assert asked.done()
        assert (await asked).body == b"ok"
        with pytest.raises(NotSent):
            await transport.send(exchange())


async def test_redirects_cookies_and_proxies_are_nothing_to_it(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    found = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    async with serving(answering(found)) as server:
        transport = server.transport()
        answers = [await transport.send(exchange()) for _ in range(2)]
        await transport.close()

    assert [a.status for a in answers] == [302, 302]
    assert all(b"/b" not in r and b"cookie" not in r.lower() for r in server.requests)


# ── where a connection may go ────────────────────────────────────────────────────────────────────────────────────


async def test_nobody_listening_is_not_sent():
    async with serving(answering(OK)) as server:
        port = server.port
    transport = HttpTransport(Origin("http", "127.0.0.1", port), allowed=AllowedHosts([f"127.0.0.1:{port}"]))
    with pytest.raises(NotSent):
        await transport.send(exchange())
    await transport.close()


@pytest.mark.parametrize("error", [OSError("no such name"), UnicodeError("label too long")])
async def test_a_name_that_does_not_resolve_is_not_sent(error):
    async def fails(host: str, port: int):
        raise error

    transport = HttpTransport(
        Origin("http", "crm.test", 80), allowed=AllowedHosts(["crm.test:80"]), resolver=fails
    )
    with pytest.raises(NotSent):
        await transport.send(exchange())
    await transport.close()


async def test_a_connect_that_takes_too_long_is_not_sent():
    async def never(host: str, port: int):
        await asyncio.sleep(60)

    transport = HttpTransport(
        Origin("http", "crm.test", 80), allowed=AllowedHosts(["crm.test:80"]), resolver=never
    )
    with pytest.raises(NotSent):
        await transport.send(exchange(connect=0.1))
    await transport.close()


async def test_a_name_is_resolved_once_a_connect_and_each_answer_is_checked():
    said = [["127.0.0.1"], ["169.254.169.254"], ["127.0.0.1", "fe80::1"], []]
    asked: list[str] = []

    async def changing(host: str, port: int):
        asked.append(host)
        return said[len(asked) - 1]

    close = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    async with serving(answering(close)) as server:
        origin = Origin("http", "crm.test", server.port)
        transport = HttpTransport(
            origin, allowed=AllowedHosts([f"crm.test:{server.port}"]), resolver=changing
        )
        assert (await transport.send(exchange())).status == 200
        for _ in range(3):
            with pytest.raises(NotSent):
                await transport.send(exchange())
        await transport.close()

    assert asked == ["crm.test"] * 4
    assert f"Host: crm.test:{server.port}".encode() in server.requests[0]


async def test_a_name_that_only_a_star_lists_may_not_lead_to_this_machine():
    async def home(host: str, port: int):
        return ["127.0.0.1"]

    async with serving(answering(OK)) as server:
        origin = Origin("http", "crm.test", server.port)
        transport = HttpTransport(origin, allowed=AllowedHosts([f"*.test:{server.port}"]), resolver=home)
        with pytest.raises(NotSent):
            await transport.send(exchange())
        await transport.close()

    assert server.connections == 0


async def test_a_second_address_is_tried_when_the_first_refuses():
    async def two(host: str, port: int):
        return ["127.0.0.2", "127.0.0.1"]

    async with serving(answering(OK)) as server:
        origin = Origin("http", "crm.test", server.port)
        transport = HttpTransport(origin, allowed=AllowedHosts([f"crm.test:{server.port}"]), resolver=two)
        assert (await transport.send(exchange())).status == 200
        await transport.close()


@pytest.mark.parametrize(
    "origin", [Origin("http", "other.test", 80), Origin("http", "crm.test", 81), Origin("http", "test", 80)]
)
def test_a_host_that_is_not_listed_is_no_upstream(origin):
    with pytest.raises(Misconfigured):
        HttpTransport(origin, allowed=AllowedHosts(["crm.test:80", "*.test:443"]))


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "169.254.0.1", "0.0.0.0", "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1", "255.255.255.255",
        "240.0.0.1", "::", "fe80::1", "fe80::1%eth0", "ff02::1", "fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::a9fe:a9fe", "127.1", "2130706433", "0x7f.1", "localhost", "",
    ],
)  # fmt: skip
def test_metadata_link_local_and_odd_addresses_are_never_permitted(address):
    assert not permitted(address, literal=True)


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "2852039166", "0xA9FEA9FE", "0xa9.0xfe.0xa9.0xfe", "0251.0376.0251.0376", "169.254.43518", "169.16689662",
     "0xa9.254.0xa9fe"],
)  # fmt: skip
def test_every_spelling_that_a_connect_takes_for_an_address_is_that_address(host):
    assert spelled(host) == "169.254.169.254"
    # What the system's own resolver makes of it, without asking anybody.
    found = socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    assert {entry[4][0] for entry in found} == {"169.254.169.254"}


@pytest.mark.parametrize("host", ["crm.test", "1.2.3.4.5", "0x.test", "256.1.1.1", "a9fe", "4294967296"])
def test_a_name_is_no_address(host):
    assert spelled(host) is None
    with pytest.raises(OSError, match="Name or service not known"):
        socket.getaddrinfo(host, 80, flags=socket.AI_NUMERICHOST)


async def test_a_name_that_leads_where_nothing_may_go_is_said_once_each_time_that_it_begins(caplog):
    said = ["169.254.169.254", "::ffff:169.254.169.254", "127.0.0.1", "fe80::1"]

    async def changing(host: str, port: int):
        return [said.pop(0)]

    transport = HttpTransport(
        Origin("http", "crm.test", 1), allowed=AllowedHosts(["crm.test:1"]), resolver=changing
    )
    with caplog.at_level("ERROR", logger="gatehouse"):
        for error in (Barred, Barred, NotSent, Barred):
            with pytest.raises(NotSent) as caught:
                await transport.send(exchange())
            assert type(caught.value) is error
    await transport.close()
    lines = [(r.message, r.gatehouse_fields) for r in caplog.records if r.name == "gatehouse"]
    assert lines == [("upstream-barred", {"upstream": "crm.test:1"})] * 2


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.5", "192.168.1.1", "172.16.0.1", "100.64.0.1", "::1", "fd12::1", "::ffff:10.0.0.1"],
)
def test_private_addresses_need_a_literal_entry(address):
    assert permitted(address, literal=True)
    assert not permitted(address, literal=False)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f::1"])
def test_public_addresses_are_permitted(address):
    assert permitted(address, literal=False)


@pytest.mark.parametrize(
    "base",
    [
        "ftp://a/", "http://", "http://a@b/", "http://u:p@b/", "http://a/?x=1", "http://a/#x", "http://a/b/../c", "http://a/%2e%2E/b",
        "http://a//b", "http://a:0/", "http://a:70000/", "http://a b/", "http://龙/", "a.test", "http://a\n/", "http://a/b\\c",
    ],
)  # fmt: skip
def test_a_base_that_is_no_plain_address_is_refused(base):
    with pytest.raises(Misconfigured):
        parse_base(base)


@pytest.mark.parametrize(
    "entry", ["crm.test", "crm.test:", ":80", "*:80", "http://crm.test:80", "*.[::1]:80", "a b:80"]
)
def test_an_allowed_host_is_host_and_port(entry):
    with pytest.raises(Misconfigured):
        AllowedHosts([entry])


def test_a_base_is_an_origin_and_a_path():
    assert parse_base("https://CRM.test/rest/data/") == (Origin("https", "crm.test", 443), "/rest/data")
    assert parse_base("http://[::1]:8080") == (Origin("http", "::1", 8080), "")
    assert Origin("http", "::1", 8080).authority == "[::1]:8080"
    assert Origin("https", "crm.test", 443).authority == "crm.test"


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.9"))]
            ),
            False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    cert, private = folder / f"{name}.pem", folder / f"{name}.key"
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return cert, private


@pytest.mark.parametrize(
    ("host", "known", "works"),
    [("crm.test", True, True), ("other.test", True, False), ("crm.test", False, False)],
)
async def test_tls_needs_a_known_authority_and_the_hosts_own_name(tmp_path, host, known, works):
    async def home(name: str, port: int):
        return ["127.0.0.1"]

    cert, key = certificate(tmp_path, "crm.test")
    serving_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving_side.load_cert_chain(cert, key)
    async with serving(answering(OK), ssl=serving_side) as server:
        transport = HttpTransport(
            Origin("https", host, server.port),
            allowed=AllowedHosts([f"{host}:{server.port}"]),
            tls=tls_context(cert if known else None),
            resolver=home,
        )
        if works:
            for _ in range(3):
                assert (await transport.send(exchange())).body == b"ok"
            assert server.connections == 1
        else:
            with pytest.raises(NotSent):
                await transport.send(exchange())
            assert server.requests == []
        await transport.close()


def test_a_file_of_authorities_that_is_not_there_stops_the_start(tmp_path):
    with pytest.raises(Misconfigured):
        tls_context(tmp_path / "none.pem")

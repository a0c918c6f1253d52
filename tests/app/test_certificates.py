"""What a running process says of its certificates, and that it takes a renewed one: the watch, and a whole gateway over TLS."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway import demo
from gateway.app import open_house, serve, utc_now
from gateway.certificates import Certificates
from gateway.corridor.desk import Asker
from gateway.credentials import Wish
from gateway.edge import ListenerTls, Server
from gateway.exposure import listener_tls
from gateway.keys import create_key_file
from gateway.observe import Alarms, Metrics
from gateway.settings import read
from gateway.upstream import Look
from gateway.words.errors import Misconfigured
from gateway.words.ids import new_id
from gateway.words.record import AlarmKind
from tests.certificates import DAY, Authority, now

WARN = timedelta(days=21)


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.time = now()

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def alarms() -> Iterator[Alarms]:
    metrics = Metrics()
    yield Alarms(metrics)
    metrics.close()


async def none() -> tuple[Look, ...]:
    return ()


def raised(alarms: Alarms) -> list[tuple[AlarmKind, str, str]]:
    return [(one.kind, one.upstream, one.resource) for one in alarms.recent()]


async def test_a_certificate_that_ends_soon_is_told_once_a_day(tmp_path: Path, alarms: Alarms) -> None:
    clock = Clock()
    pair = Authority(tmp_path).issue("gate.test", ends=clock.time + 22 * DAY)
    watched = Certificates(
        alarms, WARN, clock, listener=ListenerTls(pair.certificate, pair.key, clock), upstreams=none
    )
    await watched.watch()
    assert raised(alarms) == []
    for _ in range(2):
        clock.time += 1.5 * DAY
        for _ in range(3):
            await watched.watch()
    assert raised(alarms) == [(AlarmKind.CERTIFICATE_ENDING, "gatehouse", "listener")] * 2


async def test_a_renewed_one_ends_the_alarm_and_a_broken_one_is_one(
    tmp_path: Path, alarms: Alarms, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("gate.test", ends=now() + 5 * DAY)
    watched = Certificates(
        alarms, WARN, now, listener=ListenerTls(pair.certificate, pair.key, now), upstreams=none
    )
    await watched.watch()
    pair.put(authority.issue("gate.test", label="renewed"))
    with caplog.at_level(logging.INFO):
        await watched.watch()
    assert "certificate-taken" in caplog.messages
    pair.key.write_bytes(b"")
    for _ in range(4):
        await watched.watch()
    assert raised(alarms) == [
        (AlarmKind.CERTIFICATE_ENDING, "gatehouse", "listener"),
        (AlarmKind.CERTIFICATE_REFUSED, "gatehouse", "listener"),
    ]


async def test_the_whole_gateway_speaks_tls_and_takes_a_renewed_certificate_by_itself(tmp_path: Path) -> None:
    create_key_file(tmp_path / "keys.json")
    authority = Authority(tmp_path)
    pair = authority.issue("gate.test")
    chosen = read(
        {
            "GATEHOUSE_HOME": str(tmp_path),
            "GATEHOUSE_PORT": "0",
            "GATEHOUSE_SOCKET": "off",
            "GATEHOUSE_WATCH_SECONDS": "0.05",
            "GATEHOUSE_TLS_CERTIFICATE_FILE": str(pair.certificate),
            "GATEHOUSE_TLS_KEY_FILE": str(pair.key),
        }
    )
    trusting = ssl.create_default_context(cafile=str(authority.file))
    running: asyncio.Future[Server] = asyncio.get_running_loop().create_future()

    async def connect(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
        (host, port) = server.addresses[0]
        reader, writer = await asyncio.open_connection(host, port, ssl=trusting, server_hostname="gate.test")
        return reader, writer, str(writer.get_extra_info("peercert")["serialNumber"])

    async def ready(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: gate.test\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return bool(json.loads(await reader.readexactly(int(length.split(b":")[1])))["ready"])

    async with open_house(chosen) as house:
        serving = asyncio.ensure_future(
            serve(house, started=running.set_result, tls=listener_tls(chosen, utc_now))
        )
        server = await running
        kept_reader, kept_writer, first = await connect(server)
        assert await ready(kept_reader, kept_writer)
        pair.put(authority.issue("gate.test", label="renewed"))
        async with asyncio.timeout(10):
            while True:
                reader, writer, shown = await connect(server)
                assert await ready(reader, writer)
                writer.close()
                if shown != first:
                    break
                await asyncio.sleep(0.05)
        assert await ready(kept_reader, kept_writer)
        kept_writer.close()
        server.stop()
        await serving


async def test_a_certificate_opens_the_gateway_until_its_key_is_revoked_also_on_an_open_connection(
    tmp_path: Path,
) -> None:
    name = "spiffe://bank.test/desk"
    authority, clients = Authority(tmp_path), Authority(tmp_path, "Clients")
    pair, shown = authority.issue("gate.test"), clients.issue(name, label="client", client=True)
    holders = tmp_path / "holders.json"
    holders.write_text("[]")
    environment = {
        "GATEHOUSE_HOME": str(tmp_path),
        "GATEHOUSE_PORT": "0",
        "GATEHOUSE_SOCKET": "off",
        "GATEHOUSE_TLS_CERTIFICATE_FILE": str(pair.certificate),
        "GATEHOUSE_TLS_KEY_FILE": str(pair.key),
        "GATEHOUSE_TLS_CLIENT_CA_FILE": str(clients.file),
        "GATEHOUSE_CLIENT_CERTIFICATES_FILE": str(holders),
    }
    chosen = read(environment)
    demo.prepare(chosen)
    context = ssl.create_default_context(cafile=str(authority.file))
    context.load_cert_chain(shown.certificate, shown.key)
    running: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
    operator = demo.AsSystem("operator", {demo.PURPOSE})

    def asker() -> Asker:
        return Asker(new_id("req"), operator.give, demo.PURPOSE)

    async with open_house(chosen) as house:
        wish = Wish("app:desk", frozenset(), frozenset({"service"}), utc_now() + DAY)
        issued = await house.keys.issue(asker(), lambda: wish)
        holders.write_text(json.dumps([{"certificate": f"URI:{name}", "key": issued.key.id}]))
        await house.identity.load()
        serving = asyncio.ensure_future(
            serve(house, started=running.set_result, tls=listener_tls(chosen, utc_now))
        )
        host, port = (await running).addresses[0]
        reader, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname="gate.test")

        async def asked(*lines: str) -> tuple[int, bytes]:
            writer.write("\r\n".join(["GET /v1/whoami HTTP/1.1", "Host: gate.test", *lines, "", ""]).encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(each for each in head.lower().split(b"\r\n") if each.startswith(b"content-length:"))
            return int(head.split()[1]), await reader.readexactly(int(length.split(b":")[1]))

        status, said = await asked()
        assert (status, json.loads(said)["proven"]) == (200, [f"certificate:{issued.key.id}"])
        assert json.loads(said)["application"]["id"] == "app:desk"
        assert (await asked(f"Authorization: Bearer {issued.text}"))[0] == 200
        await house.keys.revoke(asker(), issued.key.id)
        assert (await asked())[0] == 401
        writer.close()
        (await running).stop()
        await serving


def test_client_certificates_need_tls_of_our_own_and_both_files(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("gate.test")
    ours = {
        "GATEHOUSE_TLS_CERTIFICATE_FILE": str(pair.certificate),
        "GATEHOUSE_TLS_KEY_FILE": str(pair.key),
    }
    clients = {"GATEHOUSE_TLS_CLIENT_CA_FILE": "ca.pem", "GATEHOUSE_CLIENT_CERTIFICATES_FILE": "holders.json"}
    first, second = ({name: value} for name, value in clients.items())
    for given in (ours | first, ours | second, clients):
        with pytest.raises(Misconfigured, match="client certificates need all of"):
            listener_tls(read(given), utc_now)

"""Client certificates at the gateway's own port: which names a call carries, and when it carries none."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.edge import ListenerTls
from gateway.wire.limits import Limits
from gateway.words.errors import Code
from tests.certificates import DAY, Authority, Files, now
from tests.edge.conftest import House, open_house
from tests.edge.test_tls import ASK, TlsWire, eventually

DESK = "spiffe://bank.test/desk"


class Gate:
    """A running server that asks for certificates of one authority."""

    def __init__(self, folder: Path) -> None:
        self.servers = Authority(folder)
        self.clients = Authority(folder, "Clients")
        self.strangers = Authority(folder, "Strangers")
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self.clients.file.read_bytes())
        files = self.servers.issue("gate.test", label="gate")
        self.tls = ListenerTls(files.certificate, files.key, now, self.ca)
        self.house: House = open_house(Limits(stop_seconds=2), tls=self.tls)

    def wire(self, pair: Files | None) -> TlsWire:
        context = ssl.create_default_context(cafile=str(self.servers.file))
        if pair is not None:
            context.load_cert_chain(pair.certificate, pair.key)
        return TlsWire(self.house.address, context)

    def names(self, wire: TlsWire) -> tuple[str, ...]:
        """Asks over a connection and gives the names that the call carried."""
        wire.send(ASK)
        assert wire.answer().status == 200
        return self.house.corridor.calls[-1].certificate


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path)
    yield made
    made.house.stop()
    made.house.metrics.close()


def test_a_call_carries_the_names_of_a_certificate_that_was_proven(gate: Gate) -> None:
    pair = gate.clients.issue(DESK, "desk.internal", "10.0.0.7", client=True)
    with gate.wire(pair) as wire:
        assert [gate.names(wire) for _ in range(2)] == [(f"URI:{DESK}", "DNS:desk.internal")] * 2


def test_who_shows_none_is_let_in_and_carries_none(gate: Gate) -> None:
    with gate.wire(None) as wire:
        assert gate.names(wire) == ()


def test_without_authorities_nobody_is_asked(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("gate.test")
    house = open_house(Limits(stop_seconds=2), tls=ListenerTls(files.certificate, files.key, now))
    context = ssl.create_default_context(cafile=str(authority.file))
    pair = authority.issue(DESK, label="client", client=True)
    context.load_cert_chain(pair.certificate, pair.key)
    with TlsWire(house.address, context) as wire:
        wire.send(ASK)
        assert wire.answer().status == 200
    assert house.corridor.calls[-1].certificate == ()
    house.stop()
    house.metrics.close()


def of_strangers(gate: Gate) -> Files:
    return gate.strangers.issue(DESK, client=True)


def of_the_servers_own(gate: Gate) -> Files:
    return gate.servers.issue(DESK, client=True)


def ended(gate: Gate) -> Files:
    return gate.clients.issue(DESK, client=True, begins=now() - 9 * DAY, ends=now() - DAY)


def not_yet(gate: Gate) -> Files:
    return gate.clients.issue(DESK, client=True, begins=now() + DAY)


def for_servers(gate: Gate) -> Files:
    return gate.clients.issue(DESK)


@pytest.mark.parametrize("shown", [of_strangers, of_the_servers_own, ended, not_yet, for_servers])
def test_a_certificate_that_proves_nothing_ends_the_handshake(
    gate: Gate, shown: Callable[[Gate], Files]
) -> None:
    pair = shown(gate)
    # With TLS 1.3 the client hears of it only when it reads.
    with contextlib.suppress(OSError, AssertionError), gate.wire(pair) as wire:
        wire.send(ASK)
        wire.answer()
    assert gate.house.corridor.calls == []
    assert eventually(lambda: gate.house.strangers == [Code.HEADER_MALFORMED])


def test_the_names_go_when_the_certificate_ends_on_an_open_connection(gate: Gate) -> None:
    pair = gate.clients.issue(DESK, client=True, ends=now() + timedelta(seconds=2.5))
    with gate.wire(pair) as wire:
        assert gate.names(wire) == (f"URI:{DESK}",)
        time.sleep(3)
        assert gate.names(wire) == ()


def test_the_names_go_when_the_authority_is_taken_away_and_stay_when_only_our_own_certificate_is_renewed(
    gate: Gate, tmp_path: Path
) -> None:
    pair = gate.clients.issue(DESK, client=True)
    with gate.wire(pair) as wire:
        assert gate.names(wire) == (f"URI:{DESK}",)
        gate_files = Files(tmp_path / "gate.pem", tmp_path / "gate.key")
        gate_files.put(gate.servers.issue("gate.test", label="renewed"))
        assert gate.tls.look() is not None
        assert gate.names(wire) == (f"URI:{DESK}",)
        gate.ca.write_bytes(gate.strangers.file.read_bytes())
        assert gate.tls.look() is not None
        assert gate.names(wire) == ()
    gate.house.corridor.calls.clear()
    with contextlib.suppress(OSError, AssertionError), gate.wire(pair) as wire:
        gate.names(wire)
    assert gate.house.corridor.calls == []


def test_no_session_is_resumed_in_the_place_of_a_certificate(gate: Gate) -> None:
    pair = gate.clients.issue(DESK, client=True)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = ssl.create_default_context(cafile=str(gate.servers.file))
        context.load_cert_chain(pair.certificate, pair.key)
        context.maximum_version = version
        with TlsWire(gate.house.address, context) as wire:
            gate.names(wire)
            session = wire.tls.session
        assert session is None or not session.has_ticket


@pytest.mark.parametrize(
    "line", [b"X-SSL-Client-Cert: x", b"X-Client-Cert: URI:" + DESK.encode(), b"Gatehouse-Certificate: x"]
)
def test_a_header_is_never_a_certificate(gate: Gate, line: bytes) -> None:
    with gate.wire(None) as wire:
        wire.send(ASK[:-2] + line + b"\r\n\r\n")
        assert wire.answer().status == 200
    assert gate.house.corridor.calls[-1].certificate == ()

"""TLS at the gateway's own port, on real sockets: what shakes hands, what does not, and what a renewal changes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.edge import ListenerTls
from gateway.edge.protocol import Rules
from gateway.edge.tls import Acceptor
from gateway.keys import Refusal
from gateway.wire.limits import Limits
from gateway.words.errors import Code
from tests.certificates import DAY, SM2_CERTIFICATE, SM2_KEY, Authority, Files, now
from tests.edge.conftest import Answered, House, Wire, open_house

ASK = b"GET /crm/x HTTP/1.1\r\nHost: gate.test\r\n\r\n"


class TlsWire(Wire):
    """One connection of raw bytes through TLS."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext, name: str = "gate.test") -> None:
        super().__init__(address)
        self.tls: ssl.SSLSocket = context.wrap_socket(self.socket, server_hostname=name)
        self.socket = self.tls

    @property
    def serial(self) -> str:
        shown = self.tls.getpeercert()
        assert shown is not None
        return str(shown["serialNumber"])


class Gate:
    """A running server with its certificate, and clients that trust its authority."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.authority = Authority(folder)
        self.files = self.authority.issue("gate.test", "127.0.0.1")
        self.tls = ListenerTls(self.files.certificate, self.files.key, now)
        self.house: House = open_house(limits, tls=self.tls)

    def client(self, authority: Authority | None = None) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str((authority or self.authority).file))

    def wire(self, name: str = "gate.test") -> TlsWire:
        return TlsWire(self.house.address, self.client(), name)

    def ask(self) -> Answered:
        with self.wire() as wire:
            wire.send(ASK)
            return wire.answer()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Gate]]:
    made: list[Gate] = []

    def make(**limits: float) -> Gate:
        made.append(Gate(tmp_path, Limits(**{"stop_seconds": 2, **limits})))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for gate in made:
        gate.house.stop()
        gate.house.metrics.close()


@pytest.fixture
def gate(opened: Callable[..., Gate]) -> Gate:
    return opened()


def eventually(holds: Callable[[], bool], seconds: float = 5) -> bool:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.02)
    return holds()


def test_a_request_goes_through_and_the_call_knows_its_peer(gate: Gate) -> None:
    with gate.wire() as wire:
        for _ in range(3):
            wire.send(ASK)
            answer = wire.answer()
            assert (answer.status, answer.json["peer"]) == (200, "127.0.0.1")
        assert wire.tls.version() == "TLSv1.3"


def test_a_request_in_the_same_packets_as_the_end_of_the_handshake_is_not_lost(gate: Gate) -> None:
    # The client's last handshake message and its request leave in one write: they arrive before HTTP has taken over.
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = gate.client().wrap_bio(incoming, outgoing, server_hostname="gate.test")
    with socket.create_connection(gate.house.address, timeout=10) as raw:
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                incoming.write(raw.recv(65536))
        client.write(ASK)
        raw.sendall(outgoing.read())
        said = b""
        while b"gate.test" not in said:
            part = raw.recv(65536)
            assert part
            incoming.write(part)
            with contextlib.suppress(ssl.SSLWantReadError):
                while True:
                    said += client.read(65536)
        assert said.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("name", ["other.test", "sub.gate.test"])
def test_a_client_that_asks_for_another_name_is_shown_the_one_certificate_and_leaves(
    gate: Gate, name: str
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        gate.wire(name)


def test_a_client_of_another_authority_does_not_trust_it(gate: Gate, tmp_path: Path) -> None:
    other = Authority(tmp_path, "Another authority")
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsWire(gate.house.address, gate.client(other))


def old(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def without_forward_secrecy(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-GCM-SHA256:AES256-SHA:@SECLEVEL=0")


def unauthenticated_cipher(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("weaken", [old, without_forward_secrecy, unauthenticated_cipher])
def test_there_is_no_way_down(gate: Gate, weaken: Callable[[ssl.SSLContext], None]) -> None:
    context = gate.client()
    weaken(context)
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        TlsWire(gate.house.address, context)
    assert eventually(lambda: gate.house.strangers == [Code.HEADER_MALFORMED])


def test_tls_1_2_is_spoken_with_forward_secrecy(gate: Gate) -> None:
    context = gate.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with TlsWire(gate.house.address, context) as wire:
        wire.send(ASK)
        assert wire.answer().status == 200
        cipher = wire.tls.cipher()
        assert cipher is not None
        assert cipher[0].startswith("ECDHE-")


def test_a_client_that_only_speaks_http_2_gets_no_connection(gate: Gate) -> None:
    context = gate.client()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with TlsWire(gate.house.address, context) as wire:
        assert wire.tls.selected_alpn_protocol() == "http/1.1"


def test_plain_http_gets_no_answer(gate: Gate) -> None:
    with gate.house.wire() as wire:
        wire.send(ASK)
        assert wire.closed() or b"HTTP/1.1" not in wire.buffer
    assert gate.house.corridor.calls == []
    assert eventually(lambda: gate.house.strangers == [Code.HEADER_MALFORMED])


# ── slow and many ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
def test_a_client_that_never_finishes_its_handshake_is_shed(opened: Callable[..., Gate], said: bytes) -> None:
    gate = opened(header_seconds=0.4)
    with gate.house.wire() as slow:
        slow.send(said) if said else None
        began = time.monotonic()
        assert slow.closed()
        assert time.monotonic() - began < 3
    assert eventually(lambda: gate.house.strangers == [Code.TOO_SLOW])
    assert gate.ask().status == 200


def test_one_that_drips_its_handshake_is_shed_all_the_same(opened: Callable[..., Gate]) -> None:
    gate = opened(header_seconds=0.4)
    with gate.house.wire() as slow:
        began = time.monotonic()
        with pytest.raises(OSError):  # noqa: PT012 - it ends somewhere in here
            for _ in range(100):
                slow.send(b"\x16")
                time.sleep(0.05)
        assert time.monotonic() - began < 3


def test_after_the_handshake_the_deadline_for_headers_holds(opened: Callable[..., Gate]) -> None:
    gate = opened(header_seconds=0.4)
    with gate.wire() as slow:
        slow.send(ASK[:-4])
        assert slow.answer().code == "too-slow"
        assert slow.closed()


def test_handshakes_count_among_the_connections_and_the_longest_makes_room(
    opened: Callable[..., Gate],
) -> None:
    gate = opened(max_connections=3, header_seconds=60)
    slow = []
    for _ in range(3):
        slow.append(gate.house.wire())
        time.sleep(0.1)
    assert _serves(gate)
    assert slow[0].closed()
    assert gate.house.strangers == [Code.TOO_SLOW]
    slow[2].socket.settimeout(0.3)
    with pytest.raises(TimeoutError):  # the youngest goes on
        slow[2].socket.recv(1)
    for each in slow:
        each.socket.close()


def test_where_each_connection_is_at_a_request_one_more_is_turned_away(opened: Callable[..., Gate]) -> None:
    gate = opened(max_connections=2, header_seconds=60)
    with gate.wire() as one, gate.wire() as two:
        for wire in (one, two):
            wire.send(ASK.replace(b"/crm/x", b"/crm/slow"))
        assert eventually(lambda: len(gate.house.corridor.calls) == 2)
        with gate.house.wire() as one_more:
            assert one_more.closed()
        assert eventually(lambda: gate.house.strangers == [Code.NOT_READY])
        gate.house.corridor.gate.set()
        for wire in (one, two):
            assert wire.answer().status == 200


def _serves(gate: Gate) -> bool:
    try:
        return gate.ask().status == 200
    except OSError:
        return False


def test_an_answer_that_nobody_takes_ends_by_its_time_behind_tls_too(opened: Callable[..., Gate]) -> None:
    gate = opened(max_body_bytes=4_194_304, answer_seconds=1, answer_bytes_a_second=100_000_000)
    body = b"x" * 3_000_000
    with gate.wire() as slow:
        slow.send(b"POST /crm/x HTTP/1.1\r\nHost: gate.test\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert eventually(lambda: gate.house.strangers == [Code.TOO_SLOW])
    assert _serves(gate)


def test_a_stop_does_not_wait_for_handshakes(opened: Callable[..., Gate]) -> None:
    gate = opened(header_seconds=30)
    with gate.house.wire():
        time.sleep(0.2)
        began = time.monotonic()
        gate.house.stop()
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("by", ["a stop", "one more than there is room for"])
async def test_one_whose_handshake_has_not_begun_is_closed_all_the_same(tmp_path: Path, by: str) -> None:
    files = Authority(tmp_path).issue("gate.test", "127.0.0.1")
    rules = Rules(Limits(max_connections=1 if by != "a stop" else 10), lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        bound.setblocking(False)
        clients = [socket.create_connection(bound.getsockname()) for _ in range(2)]
        acceptor = Acceptor(
            bound, ListenerTls(files.certificate, files.key, now), asyncio.Protocol, rules, ()
        )
        acceptor._accept()  # and before a task of theirs has had its first step:
        acceptor.close()
        await acceptor.wait_closed()
        for client in clients:
            client.settimeout(2)
            assert client.recv(1) == b""
            client.close()


# ── renewal ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_renewed_pair_is_shown_to_the_next_and_open_connections_go_on(gate: Gate) -> None:
    kept = gate.wire()
    kept.send(ASK)
    assert kept.answer().status == 200
    renewed = gate.authority.issue("gate.test", label="renewed", ends=now() + 200 * DAY)
    gate.files.put(renewed)
    ends = gate.tls.look()
    assert ends == gate.tls.ends
    assert gate.tls.ends > now() + 199 * DAY
    with gate.wire() as after:
        assert after.serial != kept.serial
        after.send(ASK)
        assert after.answer().status == 200
    kept.send(ASK)
    assert kept.answer().status == 200
    kept.socket.close()


def test_a_session_of_the_old_certificate_is_resumed_by_none(gate: Gate) -> None:
    context = gate.client()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with TlsWire(gate.house.address, context) as first:
        first.send(ASK)
        first.answer()
        session, shown = first.tls.session, first.serial
    gate.files.put(gate.authority.issue("gate.test", label="renewed"))
    gate.tls.look()
    raw = socket.create_connection(gate.house.address, timeout=10)
    with context.wrap_socket(raw, server_hostname="gate.test", session=session) as again:
        assert not again.session_reused
        assert str((again.getpeercert() or {})["serialNumber"]) != shown


def mismatched(gate: Gate) -> None:
    other = gate.authority.issue("gate.test", label="other")
    gate.files.certificate.write_bytes(other.certificate.read_bytes())


def ended(gate: Gate) -> None:
    gate.files.put(gate.authority.issue("gate.test", label="ended", begins=now() - 9 * DAY, ends=now() - DAY))


def opened_to_all(gate: Gate) -> None:
    gate.files.put(gate.authority.issue("gate.test", label="open"))
    gate.files.key.chmod(0o644)


def gone(gate: Gate) -> None:
    gate.files.key.unlink()


def of_an_unknown_kind(gate: Gate) -> None:
    gate.files.certificate.write_text(SM2_CERTIFICATE)
    gate.files.key.write_text(SM2_KEY)


@pytest.mark.parametrize("spoil", [mismatched, ended, opened_to_all, gone, of_an_unknown_kind])
def test_a_broken_new_pair_is_refused_and_the_old_one_stays(
    gate: Gate, spoil: Callable[[Gate], None]
) -> None:
    with gate.wire() as wire:
        before = wire.serial
    spoil(gate)
    assert gate.tls.look() is None
    assert isinstance(gate.tls.look(), Refusal)
    with gate.wire() as wire:
        assert wire.serial == before
        wire.send(ASK)
        assert wire.answer().status == 200


def test_renewals_under_load_fail_nobody(gate: Gate) -> None:
    pairs = [gate.authority.issue("gate.test", label=f"pair{n}") for n in range(6)]
    failures: list[BaseException] = []
    serials: set[str] = set()
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                with gate.wire() as wire:
                    serials.add(wire.serial)
                    wire.send(ASK)
                    assert wire.answer().status == 200
            except BaseException as error:  # noqa: BLE001 - told below
                failures.append(error)
                return

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for pair in pairs:
        gate.files.put(Files(pair.certificate, pair.key))
        gate.tls.look()
        time.sleep(0.15)
    over.set()
    for asker in askers:
        asker.join(20)
    assert failures == []
    assert len(serials) > 2

"""Upstreams over https on real sockets: who is believed to be one, what we show it, and what a change of the files changes."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.keys import Refusal
from gateway.upstream import AllowedHosts, Places, RawAnswer, Renewed
from gateway.words.access import ResourceRef
from gateway.words.errors import Misconfigured, NoAnswer, NotSent
from gateway.words.resource import UpstreamSpec, UpstreamTls
from tests.certificates import DAY, Authority, Files, now
from tests.upstream.crm import CRM
from tests.upstream.servers import OK, Seen, answering, serving

ANY = ResourceRef("crm", "customer")


@dataclass
class World:
    """Two authorities, a folder, and what servers and the gateway have of them."""

    folder: Path

    def __post_init__(self) -> None:
        self.authority = Authority(self.folder)
        self.other = Authority(self.folder, "Another authority")

    def server(self, pair: Files, *, wants: Authority | None = None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        if wants is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(wants.file)
        return context

    def terms(self, authority: Authority | None = None, pair: Files | None = None) -> UpstreamTls:
        return UpstreamTls(
            ca=None if authority is None else f"file:{authority.file}",
            certificate=None if pair is None else f"file:{pair.certificate}",
            key=None if pair is None else f"file:{pair.key}",
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def home(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


def spec(port: int, tls: UpstreamTls | None, host: str = "crm.test") -> UpstreamSpec:
    return replace(CRM, base=f"https://{host}:{port}", credential=None, tls=tls)


@asynccontextmanager
async def reached(server: Seen, tls: UpstreamTls | None, host: str = "crm.test") -> AsyncIterator[Places]:
    """The upstream as a load of the catalogue makes it ready."""
    places = Places(environment={}, allowed=AllowedHosts([f"{host}:{server.port}"]), resolver=home, now=now)
    places.load([spec(server.port, tls, host)])
    try:
        yield places
    finally:
        await places.close()


async def ask(places: Places) -> RawAnswer:
    return await places.of("crm").send("GET", "/a", by=ANY)


async def test_the_catalogues_authority_and_name_are_what_counts_and_sni_says_the_name(world: World) -> None:
    asked: list[str | None] = []
    context = world.server(world.authority.issue("crm.test"))
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with (
        serving(answering(OK), ssl=context) as server,
        reached(server, world.terms(world.authority)) as places,
    ):
        assert [(await ask(places)).body for _ in range(3)] == [b"ok"] * 3
    assert (asked, server.connections) == (["crm.test"], 1)


def another_name(world: World) -> Files:
    return world.authority.issue("other.test")


def its_address_and_not_its_name(world: World) -> Files:
    return world.authority.issue("127.0.0.1")


def only_a_common_name(world: World) -> Files:
    return world.authority.issue("other.test", label="crm.test")


def another_authority(world: World) -> Files:
    return world.other.issue("crm.test")


def ended(world: World) -> Files:
    return world.authority.issue("crm.test", begins=now() - 9 * DAY, ends=now() - DAY)


def not_yet(world: World) -> Files:
    return world.authority.issue("crm.test", begins=now() + DAY)


def for_clients(world: World) -> Files:
    return world.authority.issue("crm.test", client=True)


@pytest.mark.parametrize(
    "shown",
    [another_name, its_address_and_not_its_name, only_a_common_name, another_authority, ended, not_yet, for_clients],
)  # fmt: skip
async def test_whoever_is_not_certainly_the_upstream_is_asked_nothing(
    world: World, shown: Callable[[World], Files]
) -> None:
    async with (
        serving(answering(OK), ssl=world.server(shown(world))) as server,
        reached(server, world.terms(world.authority)) as places,
    ):
        with pytest.raises(NotSent):
            await ask(places)
    assert server.requests == []


async def test_an_authority_of_the_catalogue_takes_the_place_of_the_systems_and_without_one_those_count(
    world: World,
) -> None:
    async with serving(answering(OK), ssl=world.server(world.authority.issue("crm.test"))) as server:
        for tls in (None, world.terms(world.other)):
            async with reached(server, tls) as places:
                with pytest.raises(NotSent):
                    await ask(places)
    assert server.requests == []


async def test_an_upstream_that_speaks_only_old_versions_is_not_spoken_to(world: World) -> None:
    context = world.server(world.authority.issue("crm.test"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with (
        serving(answering(OK), ssl=context) as server,
        reached(server, world.terms(world.authority)) as places,
    ):
        with pytest.raises(NotSent):
            await ask(places)
    assert server.requests == []


async def test_an_upstream_in_clear_is_not_fallen_back_to(world: World) -> None:
    async with serving(answering(OK)) as server, reached(server, world.terms(world.authority)) as places:
        with pytest.raises(NotSent):
            await ask(places)
    assert server.requests == []


# ── our own certificate ──────────────────────────────────────────────────────────────────────────────────────────


async def test_an_upstream_that_wants_a_certificate_gets_ours_and_nobody_elses(world: World) -> None:
    context = world.server(world.authority.issue("crm.test"), wants=world.other)
    ours = world.other.issue("gate.test", label="ours", client=True)
    strangers = world.authority.issue("gate.test", label="strange", client=True)
    async with serving(answering(OK), ssl=context) as server:
        async with reached(server, world.terms(world.authority, ours)) as places:
            assert (await ask(places)).body == b"ok"
        (shown,) = [writer.get_extra_info("peercert") for writer in server.writers]
        assert shown["subject"] == ((("commonName", "ours"),),)
        for pair in (None, strangers):
            async with reached(server, world.terms(world.authority, pair)) as places:
                with pytest.raises((NotSent, NoAnswer)):
                    await ask(places)
    assert len(server.requests) == 1


async def test_one_origin_on_two_terms_has_two_sets_of_connections(world: World) -> None:
    context = world.server(world.authority.issue("crm.test"))
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_verify_locations(world.other.file)
    pairs = [world.other.issue("gate.test", label=label, client=True) for label in ("one", "two")]
    async with serving(answering(OK), ssl=context) as server:
        places = Places(environment={}, allowed=AllowedHosts([f"crm.test:{server.port}"]), resolver=home)
        specs = [spec(server.port, world.terms(world.authority, pair)) for pair in pairs]
        places.load([replace(one, name=name) for one, name in zip(specs, ("crm", "erp"), strict=True)])
        for name in ("crm", "erp", "crm"):
            await places.of(name).send("GET", "/a", by=ANY)
        shown = [writer.get_extra_info("peercert")["subject"][0][0][1] for writer in server.writers]
        await places.close()
    assert shown == ["one", "two"]


# ── files that change ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_renewed_certificate_is_shown_by_the_next_connection(world: World) -> None:
    context = world.server(world.authority.issue("crm.test"), wants=world.other)
    ours = world.other.issue("gate.test", label="ours", client=True, ends=now() + 5 * DAY)
    async with (
        serving(answering(OK), ssl=context) as server,
        reached(server, world.terms(world.authority, ours)) as places,
    ):
        await ask(places)
        (look,) = await places.look()
        assert (look.upstream, look.found) == ("crm", None)
        assert look.ends is not None
        assert look.ends < now() + 6 * DAY
        ours.put(world.other.issue("gate.test", label="renewed", client=True))
        (look,) = await places.look()
        assert isinstance(look.found, Renewed)
        assert look.ends is not None
        assert look.ends > now() + 6 * DAY
        for _ in range(2):
            await ask(places)
        shown = [writer.get_extra_info("peercert")["subject"][0][0][1] for writer in server.writers]
    assert shown == ["ours", "renewed"]


async def test_what_is_under_way_while_terms_change_is_answered_and_its_connection_not_used_again(
    world: World,
) -> None:
    context = world.server(world.authority.issue("crm.test"))
    ca = world.folder / "ca.pem"
    ca.write_bytes(world.authority.file.read_bytes())
    async with (
        serving(answering(OK, pause=0.3), ssl=context) as server,
        reached(server, UpstreamTls(ca=f"file:{ca}")) as places,
    ):
        asking = asyncio.ensure_future(ask(places))
        await server.asked.wait()
        ca.write_bytes(world.authority.file.read_bytes() + world.other.file.read_bytes())
        await places.look()
        assert (await asking).body == b"ok"
        await ask(places)
    assert server.connections == 2


async def test_an_authority_that_is_taken_away_certifies_nobody_any_more(world: World) -> None:
    ca = world.folder / "ca.pem"
    ca.write_bytes(world.authority.file.read_bytes())
    async with (
        serving(answering(OK), ssl=world.server(world.authority.issue("crm.test"))) as server,
        reached(server, UpstreamTls(ca=f"file:{ca}")) as places,
    ):
        await ask(places)
        ca.write_bytes(world.other.file.read_bytes())
        await places.look()
        with pytest.raises(NotSent):
            await ask(places)


async def test_a_broken_change_is_refused_and_the_terms_stay(world: World) -> None:
    ca = world.folder / "ca.pem"
    ca.write_bytes(world.authority.file.read_bytes())
    async with (
        serving(answering(OK), ssl=world.server(world.authority.issue("crm.test"))) as server,
        reached(server, UpstreamTls(ca=f"file:{ca}")) as places,
    ):
        ca.write_bytes(b"hush-hush")
        assert [look.found for look in await places.look()] == [None]
        (look,) = await places.look()
        assert look.found == Refusal(
            ("upstream crm: tls: ca.pem: no PEM certificates that can be read; put some there",)
        )
        assert (await ask(places)).body == b"ok"


def no_such_file(world: World) -> UpstreamTls:
    return UpstreamTls(ca=f"file:{world.folder}/none.pem")


def a_key_that_others_may_read(world: World) -> UpstreamTls:
    pair = world.other.issue("gate.test", client=True)
    pair.key.chmod(0o644)
    return world.terms(world.authority, pair)


def a_certificate_that_ended(world: World) -> UpstreamTls:
    return world.terms(None, world.other.issue("gate.test", begins=now() - 9 * DAY, ends=now() - DAY))


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (no_such_file, "upstream crm: tls: none.pem: cannot be opened"),
        (a_key_that_others_may_read, "upstream crm: tls: leaf.key: others may read or write it"),
        (a_certificate_that_ended, "upstream crm: tls: leaf.pem: a certificate ended on"),
    ],
)
async def test_files_that_cannot_be_used_are_refused_at_the_load(
    world: World, terms: Callable[[World], UpstreamTls], said: str
) -> None:
    places = Places(environment={}, allowed=AllowedHosts(["crm.test:443"]), resolver=home, now=now)
    with pytest.raises(Misconfigured, match=said):
        places.load([spec(443, terms(world))])
    await places.close()

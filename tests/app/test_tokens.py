"""Access tokens in a whole house: what a client reads with one, at which address they are offered, and what a start keeps."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from urllib.request import urlopen

import pytest

from gateway import demo
from gateway.app import House, open_house, utc_now
from gateway.corridor.desk import Asker
from gateway.credentials import Issued, Wanted, Wish
from gateway.demo import AsSystem
from gateway.exposure import own_address
from gateway.identity import ClientShown
from gateway.settings import Settings, read
from gateway.words.access import Call
from gateway.words.errors import Code, GatehouseError, Unidentified
from gateway.words.ids import new_id
from gateway.words.record import AlarmKind
from tests.app.asking import ask
from tests.campaign.serving import Launcher

PLACE = "/crm/customers/none"


def settings(home: Path, **more: str) -> Settings:
    given = {
        "GATEHOUSE_HOME": str(home),
        "GATEHOUSE_PORT": "0",
        "GATEHOUSE_PUBLIC_URL": "https://gateway.example",
    }
    return read(given | more)


def operator() -> Asker:
    return Asker(new_id("req"), AsSystem("operator", {"maintenance"}).give, "maintenance")


@asynccontextmanager
async def opened(home: Path, **more: str) -> AsyncIterator[House]:
    chosen = settings(home, **more)
    issuer = demo.prepare(chosen)
    async with open_house(chosen, issuers=(issuer.terms(),)) as house:
        yield house


async def client(house: House, application: str = demo.DESK) -> Issued:
    assert house.tokens is not None
    ends = utc_now() + timedelta(days=1)
    wish = Wish(application, frozenset(), frozenset({"service", "complaint"}), ends)
    return await house.tokens.clients.issue(operator(), lambda: wish)


async def token(house: House, who: Issued, person: str | None = None) -> str:
    assert house.tokens is not None
    call = Call(
        new_id("req"), "POST", "/oauth/token", ("oauth", "token"), "", (), (), b"", "127.0.0.1", utc_now()
    )
    return (await house.tokens.tokens.grant(call, Wanted(ClientShown(who.key.id, who.text, person)))).text


async def said(house: House, credential: str, **headers: str) -> str:
    """What a read of nothing comes to: `not-found` for whoever may ask."""
    with pytest.raises(GatehouseError) as caught:
        await ask(house, "GET", PLACE, credential, gatehouse_purpose="service", **headers)
    return caught.value.code.value


async def test_a_token_reads_what_its_key_would_and_both_stand_in_the_entries(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        desk = await client(house)
        key = (await demo.credentials(house))["desk"]
        person = demo.person_token(house.settings)[0]
        own = await token(house, desk)
        exchanged = await token(house, desk, person)
        assert await said(house, own) == await said(house, key)
        assert await said(house, exchanged) == await said(house, key, gatehouse_person=person) == "not-found"
        entries = [json.loads(e.bytes)["principal"] for e in await house.log.entries(0, 1000)]
        by_token, by_key = entries[-2], entries[-1]
        assert by_token["proven"] == [f"access-token:{desk.key.id}", "token:EdDSA"]
        for name in ("application", "person", "roles"):
            assert by_token[name] == by_key[name]


async def test_a_token_outlives_a_start_and_not_its_client(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        desk = await client(house)
        held = await token(house, desk, demo.person_token(house.settings)[0])
    async with opened(tmp_path) as house:
        assert await said(house, held) == "not-found"
        assert await token(house, desk)
        await house.keys.revoke(operator(), desk.key.id)
        assert await said(house, held) == "unidentified"


async def test_what_another_process_revoked_is_served_to_nobody(tmp_path: Path) -> None:
    """The rows and the fence move; this process's caches do not hear of it."""
    async with opened(tmp_path) as house:
        desk = await client(house)
        held = await token(house, desk, demo.person_token(house.settings)[0])
        path, key = "/crm/customers?limit=1", (await demo.credentials(house))["desk"]
        person = demo.person_token(house.settings)[0]
        assert (await ask(house, "GET", path, held, gatehouse_purpose="service")).status == 200
        identity, ruled = house.identity, house.held.now
        keys = identity._keys._row
        await house.keys.revoke(operator(), desk.key.id)
        house.held._now, identity._keys._row = ruled, keys
        before = len(await house.log.entries(0, 1000))
        with pytest.raises(GatehouseError) as caught:
            await ask(house, "GET", path, held, gatehouse_purpose="service")
        assert caught.value.code is Code.UNIDENTIFIED
        assert len(await house.log.entries(0, 1000)) == before
        again = await ask(house, "GET", path, key, gatehouse_person=person, gatehouse_purpose="service")
        assert again.status == 200


async def test_readers_and_a_revocation_race_and_nobody_is_served_behind_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        for _ in range(5):
            desk = await client(house)
            held = await token(house, desk, demo.person_token(house.settings)[0])
            served: list[int] = []

            async def reading(text: str = held, into: list[int] = served) -> None:
                while True:
                    try:
                        path = "/crm/customers?limit=1"
                        reply = await ask(house, "GET", path, text, gatehouse_purpose="service")
                    except Unidentified:
                        return
                    into.append(int(dict(reply.headers)["audit-ref"].partition(":")[0]))

            readers = [asyncio.ensure_future(reading()) for _ in range(8)]
            while len(served) < 8:  # noqa: ASYNC110 - readers signal nothing
                await asyncio.sleep(0)
            receipt = await house.keys.revoke(operator(), desk.key.id)
            await asyncio.gather(*readers)
            assert max(served) < receipt.seq


@pytest.mark.parametrize(
    ("more", "address"),
    [
        ({"PORT": "8080"}, "http://127.0.0.1:8080"),
        ({"PORT": "8443", "HOST": "::1", "TLS_CERTIFICATE_FILE": "x"}, "https://[::1]:8443"),
        ({"PORT": "0"}, None),
        ({"PORT": "0", "PUBLIC_URL": "https://gateway.example"}, "https://gateway.example"),
        ({"HOST": "0.0.0.0"}, None),
        ({"TLS_TERMINATED": "on"}, None),
        ({"HOST": "0.0.0.0", "PUBLIC_URL": "https://gateway.example/"}, "https://gateway.example"),
    ],
)
def test_an_address_that_nobody_said_is_guessed_on_this_machine_alone(
    more: dict[str, str], address: str | None
) -> None:
    assert own_address(read({f"GATEHOUSE_{name}": value for name, value in more.items()})) == address


async def test_without_an_address_no_token_is_issued_or_taken(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        held = await token(house, await client(house))
    for unknown in ({"GATEHOUSE_TLS_TERMINATED": "on", "GATEHOUSE_PORT": "8080"}, {"GATEHOUSE_PORT": "0"}):
        async with opened(tmp_path, GATEHOUSE_PUBLIC_URL="", **unknown) as house:
            assert house.tokens is None
            assert await said(house, held) == "unidentified"


@pytest.mark.parametrize("command", [("run",), ("demo", "--customers", "12")], ids=["run", "demo"])
def test_where_any_port_will_do_the_gateway_speaks_of_the_one_that_it_took(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    demo.prepare(settings(tmp_path / "home"))
    gateway = Launcher(tmp_path / "home", {}, command).start()
    try:
        with urlopen(f"{gateway.base}/.well-known/oauth-authorization-server", timeout=10) as answer:
            document = json.load(answer)
    finally:
        assert gateway.stop() == 0
    assert document["issuer"] == gateway.base
    assert document["token_endpoint"] == f"{gateway.base}/oauth/token"


async def test_an_issuer_that_does_not_answer_is_an_alarm_and_no_refused_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "issuers.json"
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    address = f"https://127.0.0.1:{port}"
    file.write_text(json.dumps([{"issuer": address, "jwks": f"{address}/jwks", "algorithms": ["ES256"]}]))
    async with opened(tmp_path / "home", GATEHOUSE_ISSUERS_FILE=str(file)) as house:
        # The demo's own issuer comes first, the file's after it.
        told = [(alarm.kind, alarm.resource) for alarm in house.alarms.recent()]
        assert told == [(AlarmKind.ISSUER_SILENT, "issuer-2")]
        assert caplog.messages.count("issuer-silent") == 1

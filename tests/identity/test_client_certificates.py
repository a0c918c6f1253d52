"""A client certificate proves the holder of one API key, whose row says all the rest; and such a key counts with it alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from gateway.identity import ClientShown, Holders, Identity, confirm_key, read_holders, revoke_key
from gateway.identity.certificates import NOBODY
from gateway.words.errors import Misconfigured, Unidentified
from gateway.words.principal import Principal
from tests.identity.identity_house import House, bearer, call

DESK, OTHER = "URI:spiffe://bank.test/desk", "DNS:other.internal"


class Certified:
    """An identity room with a file of holders."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.path = folder / "holders.json"
        self.identity: Identity | None = None

    async def holds(self, **keys: str) -> None:
        """Writes the file (desk, other: key ids) and opens the room on it."""
        names = {"desk": DESK, "other": OTHER}
        self.path.write_text(
            json.dumps([{"certificate": names[name], "key": key} for name, key in keys.items()])
        )
        house = self.house
        self.identity = Identity(
            store=house.store, keyed_hash=house.hashing, issuers=(), clock=house.clock, holders=self.path
        )
        await self.refresh()

    async def refresh(self) -> None:
        assert self.identity is not None
        await self.identity.load()

    async def ask(self, *certificate: str, key: str | None = None) -> Principal:
        assert self.identity is not None
        asked = call(*(() if key is None else (bearer(key),)))
        return await self.identity.identify(dataclasses.replace(asked, certificate=certificate))

    def counted(self) -> dict[str, int]:
        assert self.identity is not None
        return self.identity.strangers.take()


@pytest.fixture
def certified(house: House, tmp_path: Path) -> Certified:
    return Certified(house, tmp_path)


async def test_a_certificate_is_its_keys_holder_and_is_what_the_key_is(certified: Certified) -> None:
    text, key = await certified.house.key()
    plain = await certified.house.identity.identify(call(bearer(text)))
    await certified.holds(desk=key)
    found = await certified.ask("DNS:desk.internal", DESK)
    assert found == dataclasses.replace(plain, proven=(f"certificate:{key}",))


async def test_a_key_that_stands_in_the_file_counts_with_its_certificate_alone(certified: Certified) -> None:
    text, key = await certified.house.key()
    free, _ = await certified.house.key(application="app:free")
    other, other_key = await certified.house.key(application="app:other")
    await certified.holds(desk=key, other=other_key)
    assert (await certified.ask(DESK, key=text)).application.id == "app:desk"
    assert (await certified.ask(key=free)).application.id == "app:free"
    # Its text alone; another's text beside it; a free key's text beside it: who is it then?
    for names, shown in (((), text), ((DESK,), other), ((OTHER,), text), ((DESK,), free)):
        with pytest.raises(Unidentified):
            await certified.ask(*names, key=shown)
    assert certified.counted() == {"certificate-other": 4}


@pytest.mark.parametrize(
    "names", [(), ("URI:spiffe://bank.test/desk2",), ("DNS:spiffe://bank.test/desk",), (DESK.upper(),), (DESK + "/",)]
)  # fmt: skip
async def test_a_name_that_is_not_written_there_is_nobodys(
    certified: Certified, names: tuple[str, ...]
) -> None:
    _, key = await certified.house.key()
    await certified.holds(desk=key)
    with pytest.raises(Unidentified):
        await certified.ask(*names)
    assert certified.counted() == {"no-credential": 1}


async def test_a_certificate_with_the_names_of_two_is_nobodys(certified: Certified) -> None:
    _, key = await certified.house.key()
    _, other = await certified.house.key(application="app:other")
    await certified.holds(desk=key, other=other)
    with pytest.raises(Unidentified):
        await certified.ask(DESK, OTHER)
    await certified.holds(desk=key, other=key)
    assert (await certified.ask(DESK, OTHER)).application.id == "app:desk"


async def test_a_certificates_key_ends_as_every_key_does(certified: Certified) -> None:
    house = certified.house
    _, revoked = await house.key()
    _, unconfirmed = await house.key(confirmed=False, application="app:other")
    await certified.holds(desk=revoked, other=unconfirmed)
    with pytest.raises(Unidentified):
        await certified.ask(OTHER)
    await house.store.write(lambda c: confirm_key(c, unconfirmed, house.clock()))
    assert (await certified.ask(OTHER)).application.id == "app:other"
    await house.store.write(lambda c: revoke_key(c, revoked, house.clock(), 9))
    await certified.refresh()
    with pytest.raises(Unidentified):
        await certified.ask(DESK)
    house.clock.pass_(minutes=60)
    with pytest.raises(Unidentified):
        await certified.ask(OTHER)
    assert certified.counted() == {"key-unconfirmed": 1, "key-revoked": 1, "key-expired": 1}
    await certified.holds(desk="key_" + "0" * 26)
    with pytest.raises(Unidentified):
        await certified.ask(DESK)


async def test_without_a_file_a_certificate_proves_nothing(house: House) -> None:
    await house.key()
    with pytest.raises(Unidentified):
        await house.identity.identify(dataclasses.replace(call(), certificate=(DESK,)))


async def test_a_file_that_breaks_leaves_the_good_one_and_a_start_with_it_is_refused(
    certified: Certified,
) -> None:
    _, key = await certified.house.key()
    await certified.holds(desk=key)
    certified.path.write_text("[")
    await certified.refresh()
    assert (await certified.ask(DESK)).application.id == "app:desk"
    fresh = Identity(
        store=certified.house.store,
        keyed_hash=certified.house.hashing,
        issuers=(),
        clock=certified.house.clock,
        holders=certified.path,
    )
    with pytest.raises(Misconfigured, match=r"holders\.json: not JSON"):
        await fresh.load()


KEY = "key_" + "0" * 26


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([{"certificate": "spiffe://bank.test/desk", "key": KEY}], "entry 1: a certificate is named URI:"),
        ([{"certificate": "DNS:*.internal", "key": KEY}], "entry 1: a certificate is named"),
        ([{"certificate": "DNS:Desk.internal", "key": KEY}], "entry 1: a certificate is named"),
        ([{"certificate": DESK, "key": "gh_secret"}], "entry 1: a key is named by its id"),
        ([{"certificate": DESK, "key": KEY}] * 2, "entry 2: this certificate stands there twice"),
        ([{"certificate": DESK, "key": KEY, "role": "role:admin"}], "unknown field"),
        ({"certificate": DESK}, "Expected `array`"),
    ],
)
def test_a_file_is_read_in_one_way_or_refused(tmp_path: Path, entries: object, said: str) -> None:
    path = tmp_path / "holders.json"
    path.write_text(json.dumps(entries))
    with pytest.raises(Misconfigured, match=said.replace("*", r"\*")) as refused:
        read_holders(path)
    assert "gh_secret" not in str(refused.value.problems)


def test_nobody_holds_anything() -> None:
    assert NOBODY.key_of((DESK,)) is None
    assert Holders({DESK: "k"}).bound == {"k"}


async def test_a_client_whose_key_stands_in_the_file_gets_and_shows_tokens_with_its_certificate_alone(
    certified: Certified,
) -> None:
    house = certified.house
    client, secret = await house.client()
    free, other = await house.client()
    await certified.holds(desk=client)
    house.identity._holders_file = certified.path
    await house.refresh()

    async def asked(who: str, what: str, *certificate: str) -> Principal:
        proof = await house.identity.client(
            ClientShown(who, what), dataclasses.replace(call(), certificate=certificate)
        )
        token = house.identity.mint(proof, None).text
        for shown in ((), (DESK,)):
            used = dataclasses.replace(call(bearer(token)), certificate=shown)
            if (shown == (DESK,)) is (who == client):
                found = await house.identity.identify(used)
            else:
                with pytest.raises(Unidentified):
                    await house.identity.identify(used)
        return found

    assert (await asked(client, secret, DESK)).proven == (f"access-token:{client}",)
    assert (await asked(free, other)).proven == (f"access-token:{free}",)
    for who, what, certificate in ((client, secret, ()), (free, other, (DESK,))):
        with pytest.raises(Unidentified):
            await asked(who, what, *certificate)
    assert house.identity.strangers.take()["certificate-other"] == 4

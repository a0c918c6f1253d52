"""Persons' tokens of a real OpenID provider: signed in, shown, exchanged; its keys rotated with an overlap, withdrawn; the provider gone.

Needs node and npm. `make proof` installs the provider from its lock into var/provider; without that, and in `make test` before it, the
piece is skipped and says so.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from gateway import demo
from gateway.app import House, open_house, utc_now
from gateway.identity.jwks import FRESH, USABLE
from gateway.observe import RecentAlarm
from gateway.settings import read
from gateway.words.errors import Code, GatehouseError
from gateway.words.record import AlarmKind
from tests.app.asking import ask
from tests.app.test_tokens import client, token
from tests.campaign.counts import proving
from tests.campaign.provider import provider as real
from tests.certificates import Authority

PERSON = "li.wei"


@pytest.fixture
def provider(fresh_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[real.Provider]:
    if (missing := real.absent()) is not None:
        pytest.skip(f"{missing}: apt-get install nodejs npm")
    if not proving() and not (real.PACKAGES / "node_modules").is_dir():
        pytest.skip("oidc-provider is not installed: `make proof ONLY=provider` does that, by npm")
    real.install()
    authority = Authority(fresh_dir)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    started = real.Provider(fresh_dir, authority, [ECKey.generate_key("P-256")])
    started.start()
    try:
        yield started
    finally:
        started.stop()


@pytest.fixture
async def house(provider: real.Provider, fresh_dir: Path) -> AsyncIterator[House]:
    issuers = fresh_dir / "issuers.json"
    terms = {
        "issuer": provider.issuer,
        "jwks": f"{provider.issuer}/jwks",
        "algorithms": ["ES256"],
        "clients": {"desk": demo.DESK},
        "types": ["at+jwt"],
    }
    issuers.write_text(json.dumps([terms]))
    chosen = read(
        {
            "GATEHOUSE_HOME": str(fresh_dir / "home"),
            "GATEHOUSE_PORT": "0",
            "GATEHOUSE_PUBLIC_URL": "https://gateway.example",
            "GATEHOUSE_ISSUERS_FILE": str(issuers),
        }
    )
    demo.prepare(chosen)
    async with open_house(chosen) as house:
        yield house


async def proven(house: House, key: str, person: str | None = None) -> str | None:
    """The person of the entry that a list by this key (or token) leaves; None where he is not proven."""
    headers = {} if person is None else {"gatehouse_person": person}
    try:
        await ask(house, "GET", "/crm/customers?limit=1", key, gatehouse_purpose="service", **headers)
    except GatehouseError as error:
        if error.code in (Code.PERSON_UNPROVEN, Code.UNIDENTIFIED):
            return None
    (last,) = (await house.log.entries(0, 10_000))[-1:]
    return str(json.loads(last.bytes)["principal"]["person"])


async def at(house: House, moment: datetime) -> None:
    """Asks the provider as the watch would at that moment."""
    await house.identity._persons.keep_fresh(moment)


@pytest.mark.campaign
@pytest.mark.timeout(0)
async def test_a_real_providers_persons_keys_and_silence(provider: real.Provider, house: House) -> None:
    key = (await demo.credentials(house))["desk"]
    desk = await client(house)
    who = f"person:{provider.issuer}#{PERSON}"
    begun = utc_now()

    first = await asyncio.to_thread(provider.sign_in, PERSON)
    assert await proven(house, key, first) == who
    exchanged = await token(house, desk, first)
    assert await proven(house, exchanged) == who
    agent = (await demo.credentials(house))["agent"]
    assert await proven(house, agent, first) is None  # it was issued for another application

    # The new key signs, the old one stands beside it.
    old, new = provider.keys[0], ECKey.generate_key("P-256")
    provider.stop()
    provider.keys = [new, old]
    provider.start()
    second = await asyncio.to_thread(provider.sign_in, PERSON)
    await at(house, begun + FRESH)
    assert await proven(house, key, first) == who
    assert await proven(house, key, second) == who

    # The old one is withdrawn: what it signed, and what was exchanged for that, ends.
    provider.stop()
    provider.keys = [new]
    provider.start()
    await at(house, begun + 2 * FRESH)
    assert await proven(house, key, first) is None
    assert await proven(house, exchanged) is None
    assert await proven(house, key, second) == who

    # It is gone: believed for a while, told once, then no more.
    provider.stop()
    await at(house, begun + 3 * FRESH)
    assert await proven(house, key, second) == who
    assert [kind(alarm) for alarm in house.alarms.recent()] == [(AlarmKind.ISSUER_SILENT, "issuer-1")]
    late = begun + 2 * FRESH + USABLE + timedelta(seconds=1)
    await at(house, late)
    assert len(house.alarms.recent()) == 2
    assert not await house.identity._persons.believes(provider.issuer, new.thumbprint(), late)
    print(
        "proof: oidc-provider: 2 sign-ins, 1 exchange, 2 rotations, 1 silence; each as docs/identity.md says"
    )


def kind(alarm: RecentAlarm) -> tuple[AlarmKind, str]:
    return alarm.kind, alarm.resource

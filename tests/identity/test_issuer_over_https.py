"""An issuer that publishes its keys at a real https address: rotation with an overlap, withdrawal, and what a silent one costs."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.fetching import fetch
from gateway.identity import Silence
from gateway.identity.demo import ISSUER
from gateway.identity.issuers import Issuer
from gateway.identity.jwks import FRESH, RETRY, USABLE
from gateway.identity.persons import Persons
from gateway.identity.strangers import Unproven
from tests.certificates import Authority
from tests.identity.identity_house import NOW
from tests.identity.test_persons import jwks, token
from tests.upstream.servers import Seen, read_request, serving

MINUTE = timedelta(minutes=1)


@dataclass
class Provider:
    """A provider: what it answers now, and what was told about it."""

    persons: Persons
    seen: Seen
    answer: bytes = b""
    pause: float = 0
    told: list[BaseException | Silence | None] = field(default_factory=list)

    def publishes(self, *names: str) -> None:
        body = jwks(*names)
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.answer = head.encode() + body

    async def proves(self, kid: str, now: datetime, alg: str = "EdDSA") -> str:
        """`proven`, or why a token of that key, issued at `now`, is not taken."""
        at = int(now.timestamp())
        claims = {"iss": ISSUER, "sub": "a", "aud": "gatehouse", "azp": "desk", "iat": at, "exp": at + 600}
        try:
            await self.persons.prove(token(claims, kid=kid, alg=alg), "app:desk", now)
        except Unproven as error:
            return error.reason.value
        return "proven"

    @property
    def asked(self) -> int:
        return len(self.seen.requests)


@pytest.fixture
async def provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Provider]:
    authority = Authority(tmp_path)
    pair = authority.issue("127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    made: list[Provider] = []

    async def handle(seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.requests.append(await read_request(reader))
        await asyncio.sleep(made[0].pause)
        writer.write(made[0].answer)
        await writer.drain()

    async with serving(handle, ssl=context) as seen:
        told: list[BaseException | Silence | None] = []
        address = f"https://127.0.0.1:{seen.port}/jwks"
        terms = Issuer(ISSUER, address, "gatehouse", frozenset({"EdDSA", "ES256"}))
        persons = Persons([terms], fetch, lambda _, why: told.append(why))
        made.append(Provider(persons, seen, told=told))
        made[0].publishes("ed")
        yield made[0]


async def test_a_rotation_with_an_overlap_is_noticed_by_nobody_but_the_log(provider: Provider) -> None:
    await provider.persons.update(NOW)
    assert await provider.proves("ed", NOW) == "proven"
    provider.publishes("ed", "ec")  # the new key stands beside the old one
    at = NOW + FRESH
    await provider.persons.keep_fresh(at)
    assert await provider.proves("ed", at) == "proven"
    assert await provider.proves("ec", at, "ES256") == "proven"
    provider.publishes("ec")  # and then alone
    at += FRESH
    await provider.persons.keep_fresh(at)
    assert await provider.proves("ed", at) == "signer-unknown"
    assert await provider.proves("ec", at, "ES256") == "proven"
    assert provider.told == [None, None]


async def test_a_rotation_without_notice_is_found_by_the_first_token_of_the_new_key(
    provider: Provider,
) -> None:
    await provider.persons.update(NOW)
    provider.publishes("ed", "ec")
    at = NOW + MINUTE
    assert await provider.proves("ec", at, "ES256") == "proven"
    assert provider.asked == 2


async def test_a_remembered_token_of_a_withdrawn_key_is_forgotten(provider: Provider) -> None:
    await provider.persons.update(NOW)
    assert await provider.proves("ed", NOW) == "proven"
    provider.publishes("ec")
    await provider.persons.update(NOW + MINUTE)
    assert await provider.proves("ed", NOW) == "signer-unknown"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 500 no\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/elsewhere\r\nContent-Length: 0\r\n\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"keys":[]}',
        b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000,
    ],
    ids=["cut off", "500", "elsewhere", "no keys", "too large"],
)
async def test_a_provider_that_does_not_answer_is_told_once_and_believed_for_an_hour(
    provider: Provider, answer: bytes
) -> None:
    await provider.persons.update(NOW)
    provider.answer = answer
    at = NOW + FRESH
    while at < NOW + USABLE:
        await provider.persons.keep_fresh(at)
        assert await provider.proves("ed", at) == "proven"
        at += 10 * MINUTE
    assert provider.told == [Silence.KEPT]
    for _ in range(3):
        await provider.persons.keep_fresh(at)
        assert await provider.proves("ed", at) == "signer-unknown"
        at += MINUTE
    assert provider.told == [Silence.KEPT, Silence.ENDED]
    provider.publishes("ed")
    await provider.persons.keep_fresh(at)
    assert await provider.proves("ed", at) == "proven"
    assert provider.told == [Silence.KEPT, Silence.ENDED]


async def test_a_provider_that_never_answered_is_told_at_once(provider: Provider) -> None:
    provider.answer = b""
    await provider.persons.update(NOW)
    assert provider.told == [Silence.ENDED]
    assert await provider.proves("ed", NOW) == "signer-unknown"


async def test_a_provider_whose_certificate_is_anothers_is_silent(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(Authority(tmp_path, "Another authority").file))
    await provider.persons.update(NOW)
    assert provider.told == [Silence.ENDED]
    assert provider.asked == 0


async def test_nobody_waits_for_a_slow_provider_whose_key_is_known(provider: Provider) -> None:
    await provider.persons.update(NOW)
    provider.pause = 30
    at = NOW + FRESH
    refreshing = asyncio.ensure_future(provider.persons.keep_fresh(at))
    async with asyncio.timeout(5):
        while provider.asked < 2:  # noqa: ASYNC110 - the server signals nothing
            await asyncio.sleep(0.01)
    begun = time.monotonic()
    for _ in range(20):
        provider.persons.forget()
        assert await provider.proves("ed", at) == "proven"
    assert time.monotonic() - begun < 1
    refreshing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await refreshing


async def test_strange_key_ids_ask_a_provider_no_oftener_than_every_half_minute(provider: Provider) -> None:
    await provider.persons.update(NOW)
    for n in range(30):
        assert await provider.proves("other", NOW + timedelta(seconds=n)) == "signer-unknown"
    assert provider.asked == 1
    assert await provider.proves("other", NOW + RETRY) == "signer-unknown"
    assert provider.asked == 2

"""A flood of strangers: the log grows by the summaries and by nothing else, and the summaries tell each of them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest

import audit
from gateway.app import utc_now
from gateway.identity import keytext
from gateway.identity.demo import ISSUER, DemoIssuer
from gateway.words.ids import new_id
from tests.campaign.counts import count, dice
from tests.campaign.faults import verdict
from tests.campaign.faults.estate import prepare
from tests.campaign.faults.ledger import serving
from tests.campaign.secrecy.client import Client

LIST = "/ledger/accounts?limit=1"
SUMMARY_SECONDS = 1.0
CALLERS = 16


@dataclass(frozen=True, slots=True)
class Stranger:
    """One way to be refused. told: how the summary counts it."""

    told: str
    status: int
    target: str = LIST
    key: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def broken(token: str, dice: random.Random) -> str:
    """Gives the token with one bit of its signature turned: its form, claims and key id are those of a good one."""
    head, claims, signature = token.split(".")
    data = bytearray(base64.urlsafe_b64decode(signature + "=="))
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return ".".join((head, claims, base64.urlsafe_b64encode(data).rstrip(b"=").decode()))


def strangers(clerk: str, issuer: DemoIssuer, elsewhere: DemoIssuer, dice: random.Random) -> list[Stranger]:
    """Gives one of each kind; nobody is refused in quite the same way twice."""
    known = keytext.read(clerk)
    assert known is not None
    good = issuer.mint("li.wei", "app:clerk", 15, now=utc_now())
    foreign = elsewhere.mint("li.wei", "app:clerk", 15, now=utc_now())
    return [
        Stranger("no-credential", 401),
        Stranger("no-credential", 401, "/v1/keys"),
        Stranger("key-malformed", 401, key=f"gh_{dice.getrandbits(64):x}"),
        Stranger("key-unknown", 401, key=keytext.write(new_id("key"), os.urandom(32))[0]),
        Stranger("secret-wrong", 401, key=keytext.write(known.id, os.urandom(32))[0]),
        Stranger("signature-wrong", 401, key=clerk, headers={"gatehouse-person": broken(good, dice)}),
        Stranger("signer-unknown", 401, key=clerk, headers={"gatehouse-person": foreign}),
        Stranger("token-malformed", 401, key=clerk, headers={"gatehouse-person": good[:-9]}),
        Stranger("not-found", 404, f"/nothing/{dice.getrandbits(32)}"),
        Stranger("header-malformed", 400, headers={"host": "two, hosts"}),
    ]


@pytest.mark.campaign
@pytest.mark.timeout(0)
async def test_a_flood_of_strangers_adds_summaries_to_the_log_and_nothing_else(fresh_dir: Path) -> None:
    flood = count(600, 60_000)
    async with serving() as ledger:
        estate = await prepare(fresh_dir / "home", ledger.address)
        issuer, elsewhere = (DemoIssuer.open(_made(fresh_dir / name)) for name in ("issuer", "elsewhere"))
        issuers = fresh_dir / "issuers.json"
        keys = str(issuer.terms().jwks)
        issuers.write_text(json.dumps([{"issuer": ISSUER, "jwks": keys, "algorithms": ["EdDSA"]}]))
        before = (await asyncio.to_thread(verdict.entries, estate)).count
        launcher = estate.launcher(
            GATEHOUSE_ISSUERS_FILE=str(issuers), GATEHOUSE_SUMMARY_SECONDS=str(SUMMARY_SECONDS)
        )
        gateway = await asyncio.to_thread(launcher.start)
        began = time.monotonic()
        sent: Counter[str] = Counter()
        left = iter(range(flood))
        rolled = dice("strangers")

        async def call() -> None:
            async with Client(gateway.base) as client:
                for _ in left:
                    who = rolled.choice(strangers(estate.keys["clerk"], issuer, elsewhere, rolled))
                    said = await client.ask("GET", who.target, who.key, headers=who.headers)
                    assert (said.status, said.headers.get("audit-ref")) == (who.status, None), who.told
                    sent[who.told] += 1

        await asyncio.gather(*(call() for _ in range(CALLERS)))
        assert await asyncio.to_thread(gateway.stop) == 0
        seconds = time.monotonic() - began
        assert (await asyncio.to_thread(verdict.verify, estate)).intact
    added = audit.tail(verdict.store(estate), 10_000_000)[before:]
    told: Counter[str] = Counter()
    summaries, others = 0, []
    for one in added:
        if (action := orjson.loads(one.bytes)["action"]) == "strangers:refused":
            summaries += 1
            told.update(orjson.loads(one.parts[0].body)["said"])
        else:
            others.append(action)
    print(
        f"proof: strangers: {flood} requests of nobody in {seconds:.0f} s, {summaries} summaries that tell each of them, "
        f"{len(others)} other entries, of the start and the stop"
    )
    assert others == ["gateway:start", "gateway:stop"]
    assert summaries <= seconds / SUMMARY_SECONDS + 1
    assert told == sent
    assert sum(sent.values()) == flood


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    return folder

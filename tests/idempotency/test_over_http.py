"""Applications that repeat themselves, against `gatehouse run` as a process of its own and an upstream over HTTP."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.campaign.faults.caller import Connection
from tests.campaign.faults.estate import CALLERS, Estate, prepare
from tests.campaign.faults.ledger import Ledger, serving
from tests.campaign.serving import Gateway
from tests.conftest import PostgresServer

ACCOUNTS = "/ledger/accounts"
Answer = tuple[int, dict[str, str], Any]


class Caller(Connection):
    """A connection whose requests carry an Idempotency-Key."""

    once: str | None = None

    def _request(self, key: str, method: str, path: str, document: Any) -> bytes:
        plain = super()._request(key, method, path, document)
        if self.once is None:
            return plain
        first, _, rest = plain.partition(b"\r\n")
        return first + f"\r\nIdempotency-Key: {self.once}\r\n".encode() + rest


@dataclass
class Town:
    """A prepared estate, its upstream, and the gateways that serve it."""

    estate: Estate
    ledger: Ledger
    clerks: list[str]
    gateways: list[Gateway] = field(default_factory=list)

    async def serve(self, **settings: str) -> Gateway:
        launcher = self.estate.launcher(GATEHOUSE_WATCH_SECONDS="0.2", **settings)
        gateway = await asyncio.to_thread(launcher.start)
        self.gateways.append(gateway)
        return gateway

    async def ask(
        self,
        method: str,
        path: str,
        once: str | None,
        document: Any = None,
        *,
        clerk: int = 0,
        at: Gateway | None = None,
    ) -> Answer:
        caller = Caller((at or self.gateways[-1]).base)
        caller.once = once
        try:
            answer = await caller.ask(self.clerks[clerk], method, path, document)
        finally:
            caller.close()
        assert answer is not None
        return answer

    def changes(self, method: str) -> int:
        return len([f for f in self.ledger.forwarded if f.method == method])


async def _town(folder: Path, dsn: str = "") -> AsyncIterator[Town]:
    async with serving() as ledger:
        with pytest.MonkeyPatch.context() as staffed:
            staffed.setitem(CALLERS, "clerk-two", "role:clerk")
            estate = await prepare(folder / "home", ledger.address, dsn)
        catalogue = folder / "policies" / "catalogue" / "ledger.yaml"
        catalogue.write_text(catalogue.read_text().replace("answer_seconds: 5", "answer_seconds: 1"))
        town = Town(estate, ledger, [estate.keys["clerk"], estate.keys["clerk-two"]])
        try:
            yield town
        finally:
            for gateway in town.gateways:
                if gateway.process.poll() is None:
                    await asyncio.to_thread(gateway.stop)


@pytest.fixture
async def town(fresh_dir: Path) -> AsyncIterator[Town]:
    async for town in _town(fresh_dir):
        await town.serve()
        yield town


def account(remark: str = "opened") -> dict[str, str]:
    return {"holder": "Lin Example", "remark": remark, "unit": "branch:shanghai"}


async def test_the_life_of_a_record_with_every_request_sent_twice(town: Town) -> None:
    first, again = [await town.ask("POST", ACCOUNTS, '"open-1"', account()) for _ in range(2)]
    assert (first[0], again[0], first[2]) == (201, 201, again[2])
    path = f"{ACCOUNTS}/{first[2]['id']}"
    assert again[1]["location"] == path
    assert again[1]["etag"] == first[1]["etag"]
    assert "gatehouse-replay" not in first[1]
    assert again[1]["audit-ref"] not in (first[1]["audit-ref"], again[1]["gatehouse-replay"])
    patched = [await town.ask("PATCH", path, "change-1", {"remark": "twice"}) for _ in range(2)]
    assert [(p[0], p[2]["remark"]) for p in patched] == [(200, "twice")] * 2
    closed = [await town.ask("DELETE", path, "close-1") for _ in range(2)]
    assert [(c[0], c[2]) for c in closed] == [(204, None)] * 2
    assert "gatehouse-replay" in closed[1][1]
    assert [f.method for f in town.ledger.forwarded] == ["POST", "PATCH", "DELETE"]
    # The caller's key reached nobody: what a create carries is the gateway's own marker.
    assert [(f.key or "gh-")[:3] for f in town.ledger.forwarded] == ["gh-"] * 3
    assert [f.key is None for f in town.ledger.forwarded] == [False, True, True]
    # What was made is gone: of that nothing is told, and it is not made anew.
    gone = await town.ask("POST", ACCOUNTS, '"open-1"', account())
    assert (gone[0], gone[2]["type"]) == (404, "urn:gatehouse:problem:not-found")
    assert town.changes("POST") == 1


async def test_of_twenty_at_once_one_is_forwarded_and_all_agree_afterwards(town: Town) -> None:
    town.ledger.slow_seconds = 0.4
    given = await asyncio.gather(*(town.ask("POST", ACCOUNTS, "race", account()) for _ in range(20)))
    assert town.changes("POST") == 1
    assert {a[0] for a in given} <= {201, 409}
    made = {a[2]["id"] for a in given if a[0] == 201}
    assert len(made) == 1
    refused = [a for a in given if a[0] == 409]
    assert {a[2]["type"] for a in refused} == {"urn:gatehouse:problem:idempotency-key-in-use"}
    assert {a[1]["retry-after"] for a in refused} == {"5"}
    later = await asyncio.gather(*(town.ask("POST", ACCOUNTS, "race", account()) for _ in range(5)))
    assert {(a[0], a[2]["id"]) for a in later} == {(201, *made)}
    assert town.changes("POST") == 1


async def test_a_key_is_one_callers_and_for_one_request(town: Town) -> None:
    mine = await town.ask("POST", ACCOUNTS, "k", account())
    his = await town.ask("POST", ACCOUNTS, "k", account(), clerk=1)
    assert (mine[0], his[0]) == (201, 201)
    assert mine[2]["id"] != his[2]["id"]
    other = await town.ask("POST", ACCOUNTS, "k", account("another"))
    assert (other[0], other[2]["type"]) == (422, "urn:gatehouse:problem:idempotency-key-reused")
    closing = await town.ask("DELETE", f"{ACCOUNTS}/{mine[2]['id']}", "k")
    assert closing[0] == 422
    assert (town.changes("POST"), town.changes("DELETE")) == (2, 0)


async def test_what_the_upstream_said_is_said_again_without_asking_it(town: Town) -> None:
    says: list[int] = []
    town.ledger._do = lambda *_: (says.pop(), None)  # type: ignore[method-assign]
    for status, told in [(202, None), (422, "value-refused"), (409, "conflict")]:
        says.append(status)
        for _ in range(2):
            answer = await town.ask("POST", ACCOUNTS, f"k{status}", account())
            problem = None if answer[2] is None else answer[2]["type"].removeprefix("urn:gatehouse:problem:")
            assert (answer[0], problem) == (status, told)
        assert says == []


async def test_a_gateway_killed_between_forwarding_and_outcome_tells_what_came_of_it(town: Town) -> None:
    town.ledger.slow_seconds = 1.6
    lost = asyncio.ensure_future(town.ask("POST", ACCOUNTS, "k", account()))
    async with asyncio.timeout(20):
        while not town.ledger.forwarded:  # noqa: ASYNC110 - made upstream, not answered yet
            await asyncio.sleep(0.01)
    await asyncio.to_thread(town.gateways[-1].kill)
    with pytest.raises(AssertionError):
        await lost
    town.ledger.slow_seconds = 0
    await town.serve()
    again = await town.ask("POST", ACCOUNTS, "k", account())
    (made,) = town.ledger.accounts
    assert (again[0], again[2]["id"], again[2]["holder"]) == (201, made, "Lin Example")
    assert town.changes("POST") == 1


async def test_a_silent_upstream_is_told_as_open_until_the_reconciler_knows(town: Town) -> None:
    town.ledger.slow_seconds = 3.0  # made after the gateway has given up
    assert (await town.ask("POST", ACCOUNTS, "k", account()))[0] == 504
    open_ = await town.ask("POST", ACCOUNTS, "k", account())
    assert (open_[0], open_[2]["type"]) == (409, "urn:gatehouse:problem:idempotency-key-in-use")
    assert open_[2]["params"]["intent"].partition(":")[0].isdecimal()
    async with asyncio.timeout(20):
        while (again := await town.ask("POST", ACCOUNTS, "k", account()))[0] == 409:  # noqa: ASYNC110 - a process
            await asyncio.sleep(0.1)
    assert (again[0], again[2]["holder"]) == (201, "Lin Example")
    assert again[1]["gatehouse-replay"] == open_[2]["params"]["intent"]
    assert town.changes("POST") == 1


async def test_a_right_that_was_taken_away_just_before_ends_the_telling_too(town: Town) -> None:
    assert (await town.ask("POST", ACCOUNTS, "k", account()))[0] == 201
    policies = Path(town.estate.settings["GATEHOUSE_POLICIES"])
    rules, cases = policies / "policy.csv", policies / "cases" / "ledger.yaml"
    cases.write_text(cases.read_text().replace("account:create, ", ""))
    kept = [line for line in rules.read_text().splitlines(True) if "account:create" not in line]
    rules.write_text("".join(kept))
    async with asyncio.timeout(20):
        while (again := await town.ask("POST", ACCOUNTS, "k", account()))[0] == 201:  # noqa: ASYNC110 - a process
            await asyncio.sleep(0.05)
    assert (again[0], again[2]["type"]) == (403, "urn:gatehouse:problem:denied")
    assert "intent" not in again[2]["params"]


async def test_neither_the_key_nor_the_body_stands_in_any_file_or_line(town: Town) -> None:
    key, holder, remark = (f"{name}-{secrets.token_hex(12)}" for name in ("key", "holder", "remark"))
    body = {"holder": holder, "remark": remark, "unit": "branch:shanghai"}
    made = await town.ask("POST", ACCOUNTS, key, body)
    path = f"{ACCOUNTS}/{made[2]['id']}"
    town.ledger.slow_seconds = 0.2
    for once, method, where, document in [
        (key, "POST", ACCOUNTS, body),
        (key, "POST", ACCOUNTS, {**body, "remark": "other"}),
        (f'"{key}"x', "POST", ACCOUNTS, body),
        (f"{key}2", "PATCH", path, {"remark": f"{remark} changed"}),
        (f"{key}2", "PATCH", path, {"remark": f"{remark} changed"}),
        (f"{key}3", "DELETE", path, None),
        (f"{key}3", "DELETE", path, None),
    ]:
        assert (await town.ask(method, where, once, document))[0] in (200, 201, 204, 400, 422)
    gateway = town.gateways[-1]
    running = {p: p.read_bytes() for p in town.estate.home.rglob("*") if p.is_file()}
    await asyncio.to_thread(gateway.stop)
    ended = {p: p.read_bytes() for p in town.estate.home.rglob("*") if p.is_file()}
    assert any(p.name == "state.sqlite" for p in ended)
    lines = "\n".join([*gateway.lines, *gateway.logs]).encode()
    for needle in (key, holder, remark, json.dumps(body)):
        holding = [
            p.name for files in (running, ended) for p, data in files.items() if needle.encode() in data
        ]
        assert (holding, needle.encode() in lines) == ([], False)


@pytest.mark.postgres
async def test_two_replicas_forward_one_and_tell_the_same(
    fresh_dir: Path, postgres_server: PostgresServer
) -> None:
    database = postgres_server.new_database()
    async for town in _town(fresh_dir, postgres_server.dsn(database)):
        one, two = await town.serve(), await town.serve()
        town.ledger.slow_seconds = 0.4
        given = await asyncio.gather(
            *(town.ask("POST", ACCOUNTS, "race", account(), at=(one, two)[n % 2]) for n in range(20))
        )
        assert town.changes("POST") == 1
        assert {a[0] for a in given} <= {201, 409}
        (made,) = {a[2]["id"] for a in given if a[0] == 201}
        for at in (one, two):
            told = await town.ask("POST", ACCOUNTS, "race", account(), at=at)
            assert (told[0], told[2]["id"]) == (201, made)
        # Killed after it forwarded: the other knows that it is open, and does not send it again.
        town.ledger.slow_seconds = 1.6
        lost = asyncio.ensure_future(town.ask("POST", ACCOUNTS, "lost", account(), at=one))
        async with asyncio.timeout(20):
            while town.changes("POST") < 2:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
        await asyncio.to_thread(one.kill)
        with pytest.raises(AssertionError):
            await lost
        told = await town.ask("POST", ACCOUNTS, "lost", account(), at=two)
        assert (told[0], told[2]["type"]) == (409, "urn:gatehouse:problem:idempotency-key-in-use")
        assert town.changes("POST") == 2
    postgres_server.drop_database(database)

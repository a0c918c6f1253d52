"""One of the processes that race: a whole house with caches of its own on a shared PostgreSQL, driven by lines of JSON.

python -m tests.campaign.faults.racer HOME       one command a line on stdin, one answer a line on stdout
{"do": "open", "dsn": …}                         closes what is open and opens a house there
{"do": "fence", "on": false}                     from here on every append goes without its fence: the guard removed
{"do": "seed"}                                   creates one customer through the gate; gives his address
{"do": "issue", "count": n, "tokens": …}         issues keys, or clients, through the service; gives their ids and texts, or a token
{"do": "race", "at": …, "path": …, "duels": …}   reads with every key and revokes its own; gives what was seen, and when
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from audit import AuditEvent, Log, Receipt
from gateway.app import House, open_house, utc_now
from gateway.credentials import Wanted
from gateway.demo import AsSystem
from gateway.identity import ClientShown
from gateway.settings import read
from gateway.words.access import Call
from gateway.words.errors import GatehouseError, Unavailable
from gateway.words.ids import new_id
from tests.campaign.faults.estate import SHANGHAI, issued, operator, wish

_append = Log.append
READS_AT_MOST = 60


async def _unfenced(log: Log, event: AuditEvent, *, fence: int | None = None, **more: Any) -> Receipt:
    return await _append(log, event, **more)


@dataclass(frozen=True, slots=True)
class Duel:
    """One key that is read with by everybody and revoked by one. Moments are seconds of the machine's monotonic clock."""

    key: str
    text: str
    begins: float
    ends: float  # of reading, should the key be taken for ever
    revoked: float | None  # by this process at that moment; None: another one does it


def call(method: str, path: str, key: str = "", body: bytes = b"") -> Call:
    headers = (("authorization", f"Bearer {key}"),) if key else ()
    return Call(
        id=new_id("req"),
        method=method,
        path=path,
        segments=tuple(path[1:].split("/")),
        raw_query="",
        query=(),
        headers=(*headers, ("content-type", "application/json")) if body else headers,
        body=body,
        peer="process",
        received=utc_now(),
    )


async def seed(house: House) -> str:
    """Creates one invented customer; gives his path."""
    gate = replace(house.gate, identifier=AsSystem("seeder", {"maintenance"}))
    body = orjson.dumps({"name": "Lin Example", "unit": SHANGHAI, "level": "standard"})
    reply = await gate.answer(call("POST", "/crm/customers", body=body))
    return f"/crm/customers/{orjson.loads(reply.body)['id']}"


async def handed(house: House, tokens: bool) -> tuple[str, str]:
    """Gives a key's id and what is shown for it: its text, or an access token of the client that it is."""
    if not tokens:
        one = await issued(house, "racer", "role:clerk")
        return one.key.id, one.text
    assert house.tokens is not None
    one = await house.tokens.clients.issue(operator(), lambda: wish("racer", "role:clerk"))
    shown = ClientShown(one.key.id, one.text)
    return one.key.id, (await house.tokens.tokens.grant(call("POST", "/oauth/token"), Wanted(shown))).text


async def reading(house: House, path: str, duel: Duel) -> list[tuple[float, float, int | str]]:
    """Reads with the key until it is no longer taken: [(begun, ended, the entry's seq or the refusal's code)]."""
    seen: list[tuple[float, float, int | str]] = []
    await asyncio.sleep(max(0.0, duel.begins - time.monotonic()))
    while len(seen) < READS_AT_MOST and time.monotonic() < duel.ends:
        begun = time.monotonic()
        said: int | str
        try:
            reply = await house.gate.answer(call("GET", path, duel.text))
            said = int(dict(reply.headers)["audit-ref"].partition(":")[0])
        except GatehouseError as error:
            said = error.code.value
        seen.append((begun, time.monotonic(), said))
        if said == "unidentified":
            break
    return seen


async def revoking(house: House, duel: Duel) -> tuple[float, float, int] | None:
    """Revokes the key where that is this process's part: (begun, ended, the outcome's seq)."""
    if duel.revoked is None:
        return None
    await asyncio.sleep(max(0.0, duel.revoked - time.monotonic()))
    begun = time.monotonic()
    while True:
        try:
            receipt = await house.keys.revoke(operator(), duel.key)
        except Unavailable:
            await asyncio.sleep(0.005)  # the fence moved three times under it; a repetition does no more
            continue
        return begun, time.monotonic(), receipt.seq


async def race(house: House, path: str, duels: list[Duel]) -> dict[str, Any]:
    """Runs all duels at once; every process begins with caches that know the keys."""
    await house.held.refresh()
    reads, revokes = await asyncio.gather(
        asyncio.gather(*(reading(house, path, duel) for duel in duels)),
        asyncio.gather(*(revoking(house, duel) for duel in duels)),
    )
    return {"reads": reads, "revokes": revokes}


async def commands() -> AsyncIterator[dict[str, Any]]:
    while line := await asyncio.to_thread(sys.stdin.readline):
        yield json.loads(line)


async def serve(home: Path) -> None:
    async with AsyncExitStack() as stack:
        house: House | None = None
        async for command in commands():
            answer: Any = None
            match command["do"]:
                case "open":
                    await stack.aclose()
                    settings = read({"GATEHOUSE_HOME": str(home), "GATEHOUSE_DATABASE_URL": command["dsn"]})
                    house = await stack.enter_async_context(open_house(settings))
                case "fence":
                    Log.append = _append if command["on"] else _unfenced  # type: ignore[method-assign]  # the mutation
                case "seed":
                    answer = await seed(house)
                case "issue":
                    answer = [await handed(house, command["tokens"]) for _ in range(command["count"])]
                case "race":
                    answer = await race(house, command["path"], [Duel(*duel) for duel in command["duels"]])
            os.write(1, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))

"""Invented people go through every route, every success and every error; then every sink is searched for them, in every form."""

from __future__ import annotations

import asyncio
import re
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from audit.verify import verify_sqlite
from tests.campaign.counts import count, dice
from tests.campaign.secrecy.canaries import Planted, cores, planted, search, sinks, values
from tests.campaign.secrecy.lives import Life
from tests.campaign.secrecy.needles import Search
from tests.campaign.secrecy.people import invent
from tests.campaign.secrecy.sabotage import ROOMS

pytestmark = pytest.mark.campaign

# Every kind of answer that a caller can get has to have been given, or the search proves nothing about it.
EXPECTED = {
    200,
    201,
    204,
    400,
    401,
    403,
    404,
    405,
    409,
    412,
    413,
    414,
    415,
    422,
    428,
    429,
    431,
    500,
    502,
    503,
    504,
}
TOGETHER = 8


async def test_no_value_of_anybody_stands_where_it_does_not_belong(tmp_path: Path) -> None:
    started = time.monotonic()
    people = invent(count(12, 500), dice("canaries"))
    async with planted(tmp_path, people) as at:
        await lives(at)
        await failing_rooms(at)
        await at.export()
        crashed = await crash(at)
        served = await restart(at)
        looked = time.monotonic()
        found = search(at)
        took = time.monotonic() - looked
        assert Counter((one.where, one.label.partition(".")[2], one.form) for one in found) == {}
        assert cores(at) == []
        assert len(at.collector.spans) > 10 * len(people)  # they were there to be looked for
        assert {"gatehouse.alarms", "gatehouse.refusals"} <= at.collector.metrics.keys()
        assert at.book.statuses.keys() >= EXPECTED, EXPECTED - at.book.statuses.keys()
        assert verify_sqlite(at.home / "audit.sqlite").intact
        searched = sum(len(data) for _, data in sinks(at))
        names = {re.sub(r"[0-9a-z]{8,}", "…", sink) for sink, _ in sinks(at)}
        forms = Search(values(people, at.book)).forms
    print(
        f"proof: {len(people)} people, {crashed + served + len(at.book.answers)} requests, answers by status "
        f"{dict(sorted(at.book.statuses.items()))}; {len(names)} sinks, {searched // 1024} KiB searched for {forms} forms "
        f"in {took:.1f} s of {time.monotonic() - started:.0f}: nothing found"
    )


async def lives(at: Planted) -> None:
    """Lives everybody's life, some at once."""
    waiting = iter(at.people)

    async def one_after_the_other() -> None:
        async with at.client() as client:
            for person in waiting:
                await Life(person, client, at.keys, at.book).whole(errors=person.number % count(5, 1) == 0)

    await asyncio.gather(*(one_after_the_other() for _ in range(TOGETHER)))


async def failing_rooms(at: Planted) -> None:
    """Each room raises, with the caller's values in its exception; the log's own file too."""
    async with at.client() as client:
        for number, room in enumerate(ROOMS):
            for person in at.people[number % 3 : count(3, 60) : 3]:
                life = Life(person, client, at.keys, at.book)
                own = at.book.ids[f"{person.number}.customer id"]
                at.fail(room)
                answers = [
                    await life.ask("all", "GET", f"/crm/customers/{own}"),
                    await life.ask("all", "POST", "/crm/customers", person.customer()),
                    await life.ask("all", "PATCH", f"/crm/customers/{own}", {"note": person.note + room}),
                    await life.ask("auditor", "GET", "/crm/customers?limit=3"),
                    await life.ask("security-admin", "GET", "/v1/keys"),
                ]
                at.fail("")
                if room != "stray":
                    assert any(said.status >= 500 for said in answers), room
                assert (await life.ask("agent", "GET", f"/crm/customers/{own}")).status == 200, room


async def crash(at: Planted) -> int:
    """SIGABRT while requests are under way. Gives how many were."""
    at.fail("")
    clients = [at.client() for _ in range(TOGETHER)]

    async def ask(number: int) -> None:
        person = at.people[number % len(at.people)]
        life = Life(person, clients[number], at.keys, at.book)
        try:
            for _ in range(500):
                await life.ask("all", "POST", "/crm/customers", person.customer())
        except (ConnectionError, asyncio.IncompleteReadError):
            return

    under_way = [asyncio.ensure_future(ask(n)) for n in range(TOGETHER)]
    await asyncio.sleep(0.3)
    at.gateway.process.send_signal(signal.SIGABRT)
    await asyncio.gather(*under_way)
    assert await asyncio.to_thread(at.gateway.process.wait, 60) == -signal.SIGABRT
    at.keep_what_crashed()
    for client in clients:
        await client.close()
    return TOGETHER


async def restart(at: Planted) -> int:
    """Starts it again, so that what it left open is settled, and stops it in good order, so that its metrics are written."""
    lines, logs = at.gateway.lines, at.gateway.logs
    at.gateway = await asyncio.to_thread(at.launcher.start)
    async with at.client() as client:
        person = at.people[0]
        own = at.book.ids["0.customer id"]
        assert (
            await Life(person, client, at.keys, at.book).ask("all", "GET", f"/crm/customers/{own}")
        ).status == 200
    await at.scrape()
    assert await asyncio.to_thread(at.gateway.stop) == 0
    at.gateway.lines[:0], at.gateway.logs[:0] = lines, logs
    return 1

"""The gateway's list path over the real embedded store: what it reads is counted, and it can be made to read as if nothing could be
left out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from gateway.catalogue import of_draft, of_record
from gateway.corridor.facts import FactRoom, FloorSource
from gateway.corridor.lists import Gathered, Lister
from gateway.fields import FieldLens
from gateway.keys import Keyring, SealedTexts
from gateway.keys.material import Kek, Material
from gateway.policy.decider import PolicyDecider
from gateway.records import CUSTOMER, create_records
from gateway.records.work import insert_all
from gateway.store import Store
from gateway.upstream import Adapter, AllowedHosts, AsgiTransport, Places
from gateway.words.access import Access
from gateway.words.answer import Answer
from gateway.words.filter import Within
from gateway.words.json import JsonObject
from gateway.words.resource import PageRule, ResourceSpec, Shape, UpstreamSpec, Verb
from gateway.words.work import NOT_NARROWED, Addressed, Forward, List, Narrowing, Query, Run
from tests.policy.listed_worlds import TEXTS, Asked
from tests.policy.worlds import access, route, world

STAMP = "2026-01-01T00:00:00.000000Z"
RING = Keyring(Material(bytes(range(32)), (Kek(1, "2026-01-01T00:00:00Z", b"\x01" * 32),), "test"))
LISTING = Shape(items="/items", next="/next", total="/total")


class Counting(Adapter):
    """The adapter itself, which counts what it reads. `narrows` False: it reads everything, as it did before it could do otherwise."""

    narrows = True
    runs = rows = 0

    def narrowing(self, what: Addressed, work: List, known: Callable[[bool], Within]) -> Narrowing:
        return super().narrowing(what, work, known) if self.narrows else NOT_NARROWED

    async def page(self, what: Addressed, work: List, run: Run) -> Answer:
        answer = await super().page(what, work, run)
        self.runs += 1
        self.rows += len(answer.page.items) if answer.page else 0
        return answer


@dataclass
class House:
    adapter: Counting
    lister: Lister
    upstream: UpstreamSpec

    def reads(self) -> tuple[int, int]:
        """Gives runs and rows since the last look."""
        found = self.adapter.runs, self.adapter.rows
        self.adapter.runs = self.adapter.rows = 0
        return found

    async def gather(
        self, world: Asked, query: Query, *, narrows: bool = True
    ) -> tuple[Gathered, str | None]:
        """Gives one page and the cursor to the next."""
        self.adapter.narrows = narrows
        what = self.addressed(
            access(world.who, "customer:list", "service", world.time), world.resource, query
        )
        asked = PolicyDecider(world.bundle).prepare(what.access, world.resource, 0)
        assert isinstance(what.work, List)
        found = await self.lister.gather(what, what.work, asked)
        return found, self.lister.cursor(what, what.work, found.following)

    async def walk(self, world: Asked, query: Query, *, narrows: bool = True) -> list[str]:
        """Gives the ids of every page, one after the other."""
        ids: list[str] = []
        while True:
            found, cursor = await self.gather(world, query, narrows=narrows)
            assert len(found.seen) <= query.limit
            ids += ids_of(found)
            if cursor is None:
                return ids
            query = replace(query, cursor=cursor)

    def addressed(self, asked: Access, resource: ResourceSpec, query: Query) -> Addressed:
        (listing,) = self.upstream.routes
        return Addressed(asked, List(Forward("/customers"), query), self.upstream, listing, resource)


def ids_of(found: Gathered) -> list[str]:
    return [str(record.ref.record) for record, _ in found.seen]


async def fill(store: Store, records: list[JsonObject]) -> dict[str, JsonObject]:
    """Puts the records in as customers; gives them by id."""
    rows = [
        dict.fromkeys(CUSTOMER.fields)
        | {"id": f"cus_{number:06}", "version": 1, "created_at": STAMP, "updated_at": STAMP, "name": "x"}
        | fields
        for number, fields in enumerate(records)
    ]
    await store.write(lambda c: insert_all(c, CUSTOMER, rows))
    return {str(row["id"]): row for row in rows}


@asynccontextmanager
async def house(
    store: Store, *, size: int = 200, bound: int = 20_000, floors: tuple[FloorSource, ...] = ()
) -> AsyncIterator[House]:
    (crm,) = world(TEXTS).upstreams.values()
    listing = replace(
        route(Verb.LIST, "customer:list"), shape=LISTING, page=PageRule("limit", "cursor", None, size, bound)
    )
    crm = replace(crm, routes=(listing,), answer_seconds=30, max_answer_bytes=50_000_000)
    places = Places(environment={}, allowed=AllowedHosts([]), embedded=AsgiTransport(create_records(store)))
    places.load([crm])
    adapter = Counting(places)
    facts = FactRoom(of_record, of_draft, floors)
    try:
        yield House(adapter, Lister(adapter, facts, FieldLens(store, RING), SealedTexts(RING)), crm)
    finally:
        await places.close()

"""Lists of the embedded store: what deciding on a hundred items costs, and what a page of few among many reads.

    python -m bench.lists              200,000 customers, of whom the caller may see 100, on SQLite; about a minute
    python -m bench.lists 20000        as many as are named

The shipped catalogue and policy. `whole` reads on as if nothing could be left out, as the gateway did before it narrowed its lists.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

from bench.machine import described, load_average
from gateway import catalogue
from gateway.corridor.facts import FactRoom
from gateway.corridor.lists import Lister
from gateway.fields import FieldLens
from gateway.keys import Keyring, SealedTexts
from gateway.keys.material import Kek, Material
from gateway.policy import PolicyDecider, load
from gateway.records import CUSTOMER, create_records
from gateway.records.work import insert_all
from gateway.shipped import shipped
from gateway.store import Location, Store, Tree, migrate, open_store
from gateway.upstream import Adapter, AllowedHosts, AsgiTransport, Places
from gateway.words.access import Access, ResourceRef
from gateway.words.answer import Answer
from gateway.words.decision import Facts
from gateway.words.filter import Within
from gateway.words.principal import Party, Principal, RoleHeld
from gateway.words.record import ClosedRecord
from gateway.words.work import NOT_NARROWED, Addressed, Forward, List, Narrowing, Query, Run

ITEMS = 100
MINE = 100
NOW = datetime(2026, 11, 2, 2, 0, tzinfo=UTC)
STAMP = "2026-11-01T00:00:00.000000Z"
RING = Keyring(Material(bytes(range(32)), (Kek(1, "2026-01-01T00:00:00Z", b"\x01" * 32),), "bench"))


class _Counting(Adapter):
    narrows = True
    rows = runs = 0

    def narrowing(self, what: Addressed, work: List, known: Callable[[bool], Within]) -> Narrowing:
        return super().narrowing(what, work, known) if self.narrows else NOT_NARROWED

    async def page(self, what: Addressed, work: List, run: Run) -> Answer:
        answer = await super().page(what, work, run)
        self.runs += 1
        self.rows += len(answer.page.items) if answer.page else 0
        return answer


def _who(number: int = 0) -> Principal:
    desk = Party("app:bench", frozenset({RoleHeld("role:app-desk")}))
    agent = Party(
        f"person:https://id.example#{number}", frozenset({RoleHeld("role:agent", "branch:shanghai")})
    )
    return Principal(desk, agent, frozenset({"service"}), ("bench",))


def _rows(count: int) -> Iterator[dict[str, object]]:
    every = max(count // MINE, 1)
    for number in range(count):
        mine = number % every == every // 2
        yield dict.fromkeys(CUSTOMER.fields) | {
            "id": f"cus_{number:08}",
            "version": 1,
            "created_at": STAMP,
            "updated_at": STAMP,
            "name": "x",
            "unit": "branch:shanghai" if mine else "branch:beijing",
            "level": "standard",
            "tags": [],
        }


def _decisions(known: catalogue.Catalogue, decider: PolicyDecider) -> None:
    """What is prepared once a list, and what is done for each of its items."""
    resource = known.upstreams["crm"].resources["customer"]
    records = [
        ClosedRecord(ResourceRef("crm", "customer", str(number)), {"unit": "branch:shanghai", "level": level})
        for number, level in enumerate(("standard", "gold", "vip", None) * (ITEMS // 4))
    ]

    def prepared(number: int) -> float:
        began = process_time()
        access = Access(
            "req_1", _who(number), "customer:list", "service", ResourceRef("crm", "customer"), NOW
        )
        decider.prepare(access, resource, 0)
        return process_time() - began

    def items() -> float:
        access = Access("req_1", _who(), "customer:list", "service", ResourceRef("crm", "customer"), NOW)
        asked = decider.prepare(access, resource, 0)
        began = process_time()
        for record in records:
            asked.decide(catalogue.of_record(resource, record, Facts()))
        return process_time() - began

    def within() -> float:
        access = Access("req_1", _who(), "customer:list", "service", ResourceRef("crm", "customer"), NOW)
        asked = decider.prepare(access, resource, 0)
        began = process_time()
        asked.within(named=True)
        return process_time() - began

    first, filtered = prepared(0), within()
    again = median(prepared(number) for number in range(2_000))
    each = median(items() for _ in range(500)) / ITEMS
    print("| one list | µs of the processor |\n| --- | --- |")
    print(f"| preparation, the first of its roles | {first * 1e6:,.0f} |")
    print(f"| preparation, of another person with the same roles | {again * 1e6:,.1f} |")
    print(f"| the filter, the first time for a person and hour | {filtered * 1e6:,.0f} |")
    print(f"| the filter, again | {median(within() for _ in range(2_000)) * 1e6:,.1f} |")
    print(
        f"| each of {ITEMS} items: facts, decision, every field's disclosure, write view | {each * 1e6:,.2f} |"
    )


async def _store(place: Path, tree: str) -> Store:
    store = await open_store(Location.parse(f"sqlite:///{place / tree}.db"))
    await migrate(store, Tree.of(tree))
    return store


async def _pages(known: catalogue.Catalogue, decider: PolicyDecider, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        records, state = await _store(Path(folder), "records"), await _store(Path(folder), "state")
        await records.write(lambda c: insert_all(c, CUSTOMER, _rows(count)))
        places = Places(
            environment={}, allowed=AllowedHosts([]), embedded=AsgiTransport(create_records(records))
        )
        places.load(known.upstreams.values())
        adapter = _Counting(places)
        facts = FactRoom(catalogue.of_record, catalogue.of_draft)
        lister = Lister(adapter, facts, FieldLens(state, RING), SealedTexts(RING))
        upstream = known.upstreams["crm"]
        route = next(route for route in upstream.routes if route.name == "list-customers")
        access = Access("req_1", _who(), "customer:list", "service", ResourceRef("crm", "customer"), NOW)
        print(f"\n| a page of 20, of {MINE} among {count:,} | runs | rows read | ms | items | total |")
        print("| --- | --- | --- | --- | --- | --- |")
        for counted in (False, True):
            for narrows in (False, True):
                work = List(Forward("/customers"), Query(limit=20, count=counted))
                what = Addressed(access, work, upstream, route, upstream.resources["customer"])
                taken = []
                for _ in range(5):
                    adapter.narrows, adapter.rows, adapter.runs = narrows, 0, 0
                    began = perf_counter()
                    asked = decider.prepare(access, what.resource, 0)
                    found = await lister.gather(what, work, asked)
                    taken.append(perf_counter() - began)
                name = f"{'narrowed' if narrows else 'whole'}{', counted' if counted else ''}"
                shown = f"{len(found.seen)} | {found.total if counted else ''}"
                print(
                    f"| {name} | {adapter.runs} | {adapter.rows:,} | {median(taken) * 1e3:,.1f} | {shown} |"
                )
        await places.close()
        await records.close()
        await state.close()


def main() -> None:
    """Measures and prints."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    machine = described()
    print(f"commit {machine['commit']}, {machine['cpu']}, load average {load_average()}\n")
    folder = shipped("policies")
    known = catalogue.load(folder / "catalogue", allowed_hosts=frozenset())
    decider = PolicyDecider(load(folder, known))
    _decisions(known, decider)
    asyncio.run(_pages(known, decider, count))


if __name__ == "__main__":
    main()

"""Somebody who owns the upstream's database, or ours, moves ciphertexts, keys and bindings about; callers read through the gateway.

Each is withheld, has its log line, stands in the read's entry, and is named by the right kind; whatever was not touched is shown.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import Settings
from tests.campaign.counts import count, dice
from tests.campaign.secrecy.client import Client
from tests.campaign.secrecy.folders import everything, folder
from tests.campaign.secrecy.house import Opened, part_of, parts_of, serving, settings, sql
from tests.campaign.secrecy.people import Person, invent
from tests.campaign.secrecy.shelf import Shelf, shelf

pytestmark = pytest.mark.campaign

SEALED = ("name", "phone", "email", "address", "id_number", "bank_card", "birth_date", "note")
TABLES = {"customers": SEALED, "threads": ("title",), "messages": ("body",)}
MISPLACED, BROKEN_KEY, NO_KEY = "envelope-misplaced", "key-broken", "key-missing"
BROKEN_BINDING, UNBOUND, OTHERS = "binding-broken", "record-unbound", "subject-mismatch"
# What is wrong with a record as a whole names no field.
OF_THE_RECORD = (BROKEN_BINDING, UNBOUND, OTHERS)
# What a customer shows of which nobody knows whose it is.
PUBLIC = frozenset({"id", "version", "created_at", "updated_at"})


@dataclass
class Planted:
    """One customer with two threads and two messages in the first, as they were created: target → document."""

    person: Person
    customer: str
    threads: list[str]
    messages: list[str]

    @property
    def targets(self) -> dict[str, tuple[str, str]]:
        """Gives table and id of each record by its target."""
        found = {f"/crm/customers/{self.customer}": ("customers", self.customer)}
        found |= {f"/crm/threads/{t}": ("threads", t) for t in self.threads}
        found |= {f"/crm/threads/{self.threads[0]}/messages/{m}": ("messages", m) for m in self.messages}
        return found


@dataclass
class World:
    """A gateway over the embedded store and two shelves. seen: swaps that were withheld and named."""

    home: Path
    chosen: Settings
    shelves: dict[str, Shelf]
    whole: dict[str, dict[str, Any]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    @property
    def records(self) -> Path:
        return self.home / "records.sqlite"

    @property
    def state(self) -> Path:
        return self.home / "state.sqlite"


@asynccontextmanager
async def world(at: Path) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        shelves = {n: await stack.enter_async_context(shelf(at / f"{n}.sqlite")) for n in ("east", "west")}
        classes = ("public", "internal", "identity", "contact")
        policies = folder(
            at / "policies",
            catalogues={name: one.catalogue(name) for name, one in shelves.items()},
            rules=[
                rule
                for name in shelves
                for rule in everything("role:manager", f"{name}/customer", "service", *classes)
            ],
        )
        hosts = ",".join(one.host for one in shelves.values())
        yield World(at / "home", settings(at / "home", policies=policies, upstream_hosts=hosts), shelves)


class Reader:
    """Reads as the one who sees most, and holds each answer to what it should be."""

    def __init__(self, opened: Opened, client: Client, house: World) -> None:
        self._opened, self._client, self._world = opened, client, house

    async def post(self, target: str, body: Any) -> dict[str, Any]:
        said = await self._client.ask("POST", target, self._opened.keys["all"], body)
        assert said.status == 201, said.body
        made: dict[str, Any] = said.json
        return made

    async def keep(self, target: str) -> None:
        """Remembers a record as it is shown before anybody touches it."""
        said = await self._client.ask("GET", target, self._opened.keys["all"])
        assert said.status == 200
        self._world.whole[target] = said.json

    async def unharmed(self, target: str) -> None:
        before = len(self._opened.alarms())
        said = await self._client.ask("GET", target, self._opened.keys["all"])
        assert said.json == self._world.whole[target]
        assert len(self._opened.alarms()) == before

    async def withheld(
        self, what: str, target: str, kind: str, *pointers: str, gone: dict[str, Any] | None = None
    ) -> None:
        """Reads: the fields at `pointers` are not shown, all others are as before; log and entry name the kind and the places.

        gone: the document that is expected, where it is not the one before without these members.
        """
        before = len(self._opened.alarms())
        said = await self._client.ask("GET", target, self._opened.keys["all"])
        assert said.status == 200, (what, said.body)
        whole = self._world.whole[target]
        expected = gone if gone is not None else {k: v for k, v in whole.items() if f"/{k}" not in pointers}
        assert said.json == expected, what
        lines = self._opened.alarms()[before:]
        upstream = target.split("/")[1]
        resource = "message" if "/messages/" in target else target.split("/")[2].removesuffix("s")
        places = (None,) if kind in OF_THE_RECORD else pointers
        named = {(kind, upstream, resource, place) for place in places}
        assert {(a["kind"], a["upstream"], a["resource"], a.get("pattern")) for a in lines} == named, what
        part = part_of(self._world.home, said.headers["audit-ref"])
        assert {(a["kind"], a["field"]) for a in part["alarms"]} == {(kind, place) for place in places}, what
        self._world.seen[what] = self._world.seen.get(what, 0) + 1

    async def unowned(self, planted: Planted) -> None:
        """Changes and adds to a customer of whom nobody can tell who he is: each is refused, alarmed, and named in its entry."""
        own = f"/crm/customers/{planted.customer}"
        thread = {"customer_id": planted.customer, "title": "x", "channel": "app", "status": "open"}
        thread |= {"assignee": "a", "participants": [], "unit": "branch:shanghai", "region": "cn-east"}
        for method, target, body, status in (
            ("PATCH", own, {"phone": "13900001111"}, 409),
            ("POST", "/crm/threads", thread, 422),
        ):
            before = len(self._opened.alarms())
            said = await self._client.ask(method, target, self._opened.keys["all"], body)
            assert said.status == status, (method, said.body)
            assert [a["kind"] for a in self._opened.alarms()[before:]] == [BROKEN_BINDING], method
            part = part_of(self._world.home, said.headers["audit-ref"])
            assert part["alarms"] == [{"kind": BROKEN_BINDING, "field": None}]

    async def listed(self, expected: dict[str, tuple[str, str] | None]) -> None:
        """Reads the list: it is served, who was left alone is whole in it, and everybody else is withheld and alarmed by his kind."""
        said = await self._client.ask("GET", "/crm/customers?limit=100", self._opened.keys["all"])
        assert said.status == 200, said.body
        shown = {item["id"]: item for item in said.json["items"]}
        for customer, found in expected.items():
            whole = self._world.whole[f"/crm/customers/{customer}"]
            shows = PUBLIC if found is not None and found[1] == UNBOUND else whole.keys() - set(SEALED)
            kept = {name: value for name, value in whole.items() if name in shows}
            assert shown[customer] == (whole if found is None else kept)
        parts = parts_of(self._world.home, said.headers["audit-ref"])
        kinds = [{a["kind"] for a in part["alarms"]} for part in parts if "alarms" in part]
        assert sorted(k for one in kinds for k in one) == sorted(
            kind for _, kind in filter(None, expected.values())
        )
        assert all(
            (part["subject"] is None)
            is bool({BROKEN_BINDING, UNBOUND} & {a["kind"] for a in part.get("alarms", [])})
            for part in parts
        )
        said = await self._client.ask("GET", "/crm/threads?limit=100", self._opened.keys["all"])
        assert said.status == 200, said.body


async def plant(reader: Reader, people: tuple[Person, ...]) -> list[Planted]:
    planted = []
    for person in people:
        customer = (await reader.post("/crm/customers", person.customer()))["id"]
        thread = {"customer_id": customer, "title": person.title, "channel": "app", "status": "open"}
        thread |= {
            "assignee": "agent.lin",
            "participants": [],
            "unit": "branch:shanghai",
            "region": "cn-east",
        }
        threads = [(await reader.post("/crm/threads", thread))["id"] for _ in range(2)]
        message = {"author_kind": "staff", "author": "app:loader", "body": person.message}
        message |= {"unit": "branch:shanghai", "region": "cn-east"}
        place = f"/crm/threads/{threads[0]}/messages"
        messages = [(await reader.post(place, message))["id"] for _ in range(2)]
        planted.append(Planted(person, customer, threads, messages))
        for target in planted[-1].targets:
            await reader.keep(target)
    return planted


def cell(file: Path, table: str, column: str, record: str, value: Any = None) -> Any:
    """Gives one cell; puts a value there when given one."""
    if value is not None:
        sql(file, f"UPDATE {table} SET {column} = ? WHERE id = ?", value, record)
    ((found,),) = sql(file, f"SELECT {column} FROM {table} WHERE id = ?", record)
    return found


def pointers_of(table: str) -> list[str]:
    return [f"/{column}" for column in TABLES[table]]


async def test_swaps_in_the_upstreams_database(tmp_path: Path) -> None:
    async with world(tmp_path) as house, serving(house.chosen) as opened, opened.client() as client:
        reader = Reader(opened, client, house)
        planted = await plant(reader, invent(count(3, 12), dice("swaps")))
        await fields_exchanged(house, reader, planted)
        await whole_records(house, reader, planted)
        await shelves(house, reader, planted)
    assert set(house.seen) >= {"field", "record of the customer", "whole record", "element", "other upstream"}
    print(f"proof: withheld, alarmed and named: {dict(sorted(house.seen.items()))}")


async def fields_exchanged(house: World, reader: Reader, planted: list[Planted]) -> None:
    """Two sealed cells anywhere in the upstream's database change places, and are put back."""
    rolls = dice("swapped cells")
    cells = [
        (target, table, column, record)
        for one in planted
        for target, (table, record) in one.targets.items()
        for column in TABLES[table]
    ]
    first, second = cells[0], cells[1]  # the same record, two fields: always one of them
    for round_ in range(count(25, 1_000)):
        a, b = (first, second) if round_ == 0 else rolls.sample(cells, 2)
        values = [cell(house.records, t, c, r) for _, t, c, r in (a, b)]
        for (_, table, column, record), value in zip((a, b), reversed(values), strict=True):
            cell(house.records, table, column, record, value)
        if a[0] == b[0]:
            await reader.withheld("field", a[0], MISPLACED, f"/{a[2]}", f"/{b[2]}")
        else:
            same = any({a[0], b[0]} <= set(one.targets) for one in planted)
            for target, _, column, _ in (a, b):
                what = "record of the customer" if same else "other customer"
                await reader.withheld(what, target, MISPLACED, f"/{column}")
        for (_, table, column, record), value in zip((a, b), values, strict=True):
            cell(house.records, table, column, record, value)
    for one in planted:
        for target in one.targets:
            await reader.unharmed(target)


async def whole_records(house: World, reader: Reader, planted: list[Planted]) -> None:
    """All sealed cells of a record stand in another one's row: of another customer, and of the same."""
    one, other = planted[0], planted[1]
    pairs = [
        ("customers", one.customer, other.customer),
        ("threads", one.threads[0], other.threads[0]),
        ("threads", one.threads[0], one.threads[1]),
        ("messages", one.messages[0], one.messages[1]),
    ]
    targets = {record: target for p in planted for target, (_, record) in p.targets.items()}
    for table, left, right in pairs:
        rows = {
            record: [cell(house.records, table, c, record) for c in TABLES[table]] for record in (left, right)
        }
        for record, source in ((left, right), (right, left)):
            for column, value in zip(TABLES[table], rows[source], strict=True):
                cell(house.records, table, column, record, value)
        for record in (left, right):
            await reader.withheld("whole record", targets[record], MISPLACED, *pointers_of(table))
        for record in (left, right):
            for column, value in zip(TABLES[table], rows[record], strict=True):
                cell(house.records, table, column, record, value)
            await reader.unharmed(targets[record])
    # A thread that the upstream says is another customer's.
    cell(house.records, "threads", "customer_id", one.threads[1], other.customer)
    target = targets[one.threads[1]]
    expected = {k: v for k, v in house.whole[target].items() if k != "title"} | {
        "customer_id": other.customer
    }
    await reader.withheld("thread of another customer", target, OTHERS, "/title", gone=expected)
    cell(house.records, "threads", "customer_id", one.threads[1], one.customer)
    await reader.unharmed(target)


async def shelves(house: World, reader: Reader, planted: list[Planted]) -> None:
    """Array elements of one record, and the same record at two upstreams."""
    east, west = house.shelves["east"], house.shelves["west"]
    person = planted[0].person
    body = {
        "name": person.name,
        "phone": person.phone,
        "unit": "branch:shanghai",
        "contacts": [{"id": "a", "text": person.email}, {"id": "b", "text": person.address}],
    }
    for name in house.shelves:
        assert (await reader.post(f"/{name}/customers", body))["id"] == "c1"
        await reader.keep(f"/{name}/customers/c1")
    here, there = east.document("c1"), west.document("c1")
    a, b = here["contacts"]
    target = "/east/customers/c1"
    shown = house.whole[target] | {"contacts": [{"id": "a"}, {"id": "b"}]}
    for moved in (
        [{**a, "text": b["text"]}, {**b, "text": a["text"]}],
        [{**a, "id": "b"}, {**b, "id": "a"}],
        [{**a, "text": here["phone"]}, {**b, "text": here["name"]}],
    ):
        east.put("c1", {**here, "contacts": moved})
        expected = shown | {"contacts": [{"id": e["id"]} for e in moved]}
        await reader.withheld("element", target, MISPLACED, "/contacts/*/text", gone=expected)
    east.put("c1", {**here, "name": there["name"]})
    await reader.withheld("other upstream", target, MISPLACED, "/name")
    east.put("c1", there)
    fields = ("/name", "/phone", "/contacts/*/text")
    expected = {k: v for k, v in shown.items() if k not in ("name", "phone")}
    await reader.withheld("other upstream", target, MISPLACED, *fields, gone=expected)
    east.put("c1", {**here, "phone": cell(house.records, "customers", "phone", planted[0].customer)})
    await reader.withheld("other upstream", target, MISPLACED, "/phone")
    east.put("c1", here)
    await reader.unharmed(target)
    await reader.unharmed("/west/customers/c1")


@pytest.mark.parametrize(
    ("column", "value"), [("tags", "{bad"), ("level", b"\xff\x00"), ("name", b"\xff\x00")]
)
async def test_a_cell_of_the_embedded_store_that_cannot_be_read(
    tmp_path: Path, column: str, value: Any
) -> None:
    """The upstream's answer cannot be read, its lists' as its records': no silence, no defect; the others are served one by one."""
    async with world(tmp_path) as house, serving(house.chosen) as opened, opened.client() as client:
        reader = Reader(opened, client, house)
        one, other = await plant(reader, invent(2, dice("cells")))
        cell(house.records, "customers", column, one.customer, value)
        for target in (f"/crm/customers/{one.customer}", "/crm/customers?limit=100"):
            said = await client.ask("GET", target, opened.keys["all"])
            assert (said.status, said.json["type"]) == (502, "urn:gatehouse:problem:upstream-malformed")
        for method in ("PATCH", "PUT"):
            said = await client.ask(
                method, f"/crm/customers/{one.customer}", opened.keys["all"], one.person.customer()
            )
            assert (said.status, said.json["type"]) == (502, "urn:gatehouse:problem:upstream-malformed")
        await reader.unharmed(f"/crm/customers/{other.customer}")
        assert not [line for line in opened.lines if line["event"] == "defect"]
        assert [line["resource"] for line in opened.lines if line["event"] == "record-damaged"] == [
            "customer"
        ] * 4


# ── in the gateway's own database, while it is stopped ───────────────────────────────────────────────────────────────


def key_of(house: World, planted: Planted, table: str = "customers") -> bytes:
    """Gives which data key a record's envelope names (docs/sealing.md: 1 byte of kind, then 16 of key)."""
    record = {"customers": planted.customer, "threads": planted.threads[0]}[table]
    text = cell(house.records, table, TABLES[table][0], record).removeprefix("gh1:")
    keys = {key for (key,) in sql(house.state, "SELECT key FROM data_key")}
    (found,) = (k for k in keys if k in base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return bytes(found)


def binding_of(house: World, planted: Planted) -> str:
    """Gives the seal of the customer's own record."""
    ((seal,),) = sql(
        house.state,
        "SELECT seal FROM binding WHERE resource = 'customer' AND subject = (SELECT subject FROM data_key WHERE key = ?)",
        key_of(house, planted),
    )
    return str(seal)


def subject_of(house: World, planted: Planted) -> str:
    ((subject,),) = sql(house.state, "SELECT subject FROM binding WHERE seal = ?", binding_of(house, planted))
    return str(subject)


def exchange(house: World, table: str, by: str, column: str, one: Any, other: Any) -> None:
    """Two rows of ours exchange the values of one column; unique columns go by a third value."""
    values = {
        k: sql(house.state, f"SELECT {column} FROM {table} WHERE {by} = ?", k)[0][0] for k in (one, other)
    }
    aside = b"aside" if isinstance(values[one], bytes) else "aside"
    for key, value in ((one, aside), (other, values[one]), (one, values[other])):
        sql(house.state, f"UPDATE {table} SET {column} = ? WHERE {by} = ?", value, key)


def tamper(house: World, planted: list[Planted]) -> dict[int, tuple[str, str]]:
    """Alters our own rows, one way a customer. Gives which customer is expected to raise what, and how it is called."""
    at = iter(range(len(planted)))
    expected: dict[int, tuple[str, str]] = {}

    def take(what: str, kind: str, number: int = 1) -> list[int]:
        taken = [next(at) for _ in range(number)]
        expected.update(dict.fromkeys(taken, (what, kind)))
        return taken

    a, b = take("wrapped key of another customer", BROKEN_KEY, 2)
    exchange(house, "data_key", "key", "wrapped", key_of(house, planted[a]), key_of(house, planted[b]))
    (c,) = take("wrapped key of another class", BROKEN_KEY)
    wrapped = "(SELECT wrapped FROM data_key WHERE key = ?)"
    pair = key_of(house, planted[c], "threads"), key_of(house, planted[c])
    sql(house.state, f"UPDATE data_key SET wrapped = {wrapped} WHERE key = ?", *pair)
    (d,) = take("key row gone", NO_KEY)
    sql(house.state, "DELETE FROM data_key WHERE key = ?", key_of(house, planted[d]))
    for trigger in ("binding_fixed", "binding_kept"):
        sql(house.state, f"DROP TRIGGER {trigger}")
    for column in ("subject", "ref", "place", "mac"):
        e, f = take(f"binding row: {column} of another customer", BROKEN_BINDING, 2)
        exchange(
            house, "binding", "seal", column, binding_of(house, planted[e]), binding_of(house, planted[f])
        )
    (h,) = take("binding row: a moment that is none", BROKEN_BINDING)
    sql(house.state, "UPDATE binding SET created = 'abc' WHERE seal = ?", binding_of(house, planted[h]))
    i, j = take("subject row: pseudonym of another customer", BROKEN_BINDING, 2)
    names = subject_of(house, planted[i]), subject_of(house, planted[j])
    exchange(house, "subject", "id", "pseudonym", *names)
    (k,) = take("subject row: no pseudonym", BROKEN_BINDING)
    sql(house.state, "UPDATE subject SET pseudonym = NULL WHERE id = ?", subject_of(house, planted[k]))
    (g,) = take("binding row gone", UNBOUND)
    sql(house.state, "DELETE FROM binding WHERE seal = ?", binding_of(house, planted[g]))
    return expected


async def test_swaps_in_the_gateways_own_database(tmp_path: Path) -> None:
    async with world(tmp_path) as house:
        async with serving(house.chosen) as opened, opened.client() as client:
            planted = await plant(Reader(opened, client, house), invent(18, dice("own rows")))
        expected = tamper(house, planted)
        async with serving(house.chosen) as opened, opened.client() as client:
            reader = Reader(opened, client, house)
            for number, one in enumerate(planted):
                target = f"/crm/customers/{one.customer}"
                if number in expected:
                    what, kind = expected[number]
                    # Of whom nobody knows: not even what is stored in clear.
                    public = {k: v for k, v in house.whole[target].items() if k in PUBLIC}
                    gone = public if kind == UNBOUND else None
                    await reader.withheld(what, target, kind, *pointers_of("customers"), gone=gone)
                    if kind == BROKEN_BINDING:
                        await reader.unowned(one)
                else:
                    await reader.unharmed(target)
            await reader.listed({one.customer: expected.get(n) for n, one in enumerate(planted)})
    assert len(expected) < len(planted), "one customer is left alone, and shown"
    print(f"proof: withheld, alarmed and named: {dict(sorted(house.seen.items()))}")

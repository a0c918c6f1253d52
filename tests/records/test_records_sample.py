"""The invented people: the same at every run, nobody real, and stored as any record is."""

from __future__ import annotations

import re
from datetime import date

import pytest
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError

from gateway.records import sample, seed
from gateway.records.problem import Problem
from gateway.records.sample import bank_card, resident_id
from gateway.records.tables import metadata
from gateway.store import Store
from tests.records.client import Client

PEOPLE = sample()


def luhn(digits: str) -> bool:
    """Written anew, from the other end: doubles every second digit from the right, the check digit not among them."""
    total = 0
    for place, digit in enumerate(map(int, digits[::-1])):
        total += sum(divmod(digit * 2, 10)) if place % 2 else digit
    return total % 10 == 0


def checked(number: str) -> bool:
    """GB 11643: the weighted sum of all 18, X as ten, is 1 modulo 11."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, 1)
    return sum((10 if c == "X" else int(c)) * w for c, w in zip(number, weights, strict=True)) % 11 == 1


def test_check_digits_agree_with_published_examples() -> None:
    assert bank_card("7992739871") == "79927398713"
    assert resident_id("110105", date(1949, 12, 31), 2) == "11010519491231002X"


def test_there_are_as_many_as_promised_and_always_the_same() -> None:
    assert (len(PEOPLE.customers), len(PEOPLE.threads), len(PEOPLE.messages)) == (200, 300, 2_000)
    assert sample() == PEOPLE
    assert sample(seed=3) != PEOPLE
    for records in (PEOPLE.customers, PEOPLE.threads, PEOPLE.messages):
        assert len({r["id"] for r in records}) == len(records)


def test_nobody_real_can_be_meant_and_every_check_digit_holds() -> None:
    for person in PEOPLE.customers:
        assert luhn(str(person["bank_card"]))
        assert str(person["bank_card"]).startswith("9999")
        assert re.fullmatch(r"154\d{8}|\+44 7700 900\d{3}", str(person["phone"]))
        if person["unit"] == "branch:london":
            assert re.fullmatch(r"GH\d{6}A", str(person["id_number"]))
        else:
            assert checked(str(person["id_number"]))
            assert str(person["id_number"]).startswith("99")
            assert str(person["id_number"])[6:14] == str(person["birth_date"]).replace("-", "")
        assert person["email"] is None or re.fullmatch(
            r"[a-z.]+\.?\d{3}@(example\.com|post\.example)", str(person["email"])
        )


def test_every_branch_has_customers_of_both_levels_and_threads_of_every_status() -> None:
    assert {(p["unit"], p["region"], p["level"]) for p in PEOPLE.customers} == {
        (unit, region, level)
        for unit, region in (
            ("branch:shanghai", "cn-east"),
            ("branch:beijing", "cn-north"),
            ("branch:london", "eu"),
        )
        for level in ("vip", "standard")
    }
    assert {t["status"] for t in PEOPLE.threads} == {"open", "pending", "closed"}
    units = {p["id"]: p["unit"] for p in PEOPLE.customers}
    assert all(units[t["customer_id"]] == t["unit"] for t in PEOPLE.threads)
    assert any(str(p["name"]).isascii() for p in PEOPLE.customers)
    assert any(str(p["phone"]) in str(m["body"]) for p in PEOPLE.customers for m in PEOPLE.messages)


async def test_seeding_stores_them_as_they_are_and_repeating_it_adds_nothing(
    store: Store, client: Client
) -> None:
    batches = (("customer", PEOPLE.customers), ("thread", PEOPLE.threads), ("message", PEOPLE.messages))
    for _, expected in ((1, True), (2, False)):
        added = [await seed(store, kind, records) for kind, records in batches]
        assert added == ([200, 300, 2_000] if expected else [0, 0, 0])
    person = PEOPLE.customers[7]
    stored = (await client.get(f"/customers/{person['id']}")).json
    assert stored == {**person, "version": 1, "updated_at": person["created_at"]}


async def test_a_record_that_refers_to_nothing_or_has_no_id_is_not_seeded(store: Store) -> None:
    with pytest.raises(IntegrityError):
        await seed(store, "thread", PEOPLE.threads[:1])
    for bad in (
        {"name": "a"},
        {"id": "thr_x", "name": "a"},
        {"id": "cus_x", "name": 5},
        {"id": "cus_x", "name": "a", "x": "y"},
    ):
        with pytest.raises(Problem):
            await seed(store, "customer", [bad])


async def test_the_migrated_schema_is_the_one_that_the_tables_declare(store: Store) -> None:
    def differences(connection) -> list[str]:
        there = inspect(connection)
        found = []
        for table in metadata.tables.values():
            columns = {c["name"]: c["nullable"] for c in there.get_columns(table.name)}
            if columns != {c.name: c.nullable for c in table.columns}:
                found.append(f"{table.name}: columns")
            if {i["name"] for i in there.get_indexes(table.name)} != {i.name for i in table.indexes}:
                found.append(f"{table.name}: indexes")
            foreign = {
                (f["constrained_columns"][0], f["referred_table"]) for f in there.get_foreign_keys(table.name)
            }
            if foreign != {(f.parent.name, f.column.table.name) for f in table.foreign_keys}:
                found.append(f"{table.name}: foreign keys")
        return found

    assert await store.scan(differences) == []

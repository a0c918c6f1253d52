"""Lists: filters, order, pages that neither skip nor repeat, totals only when asked."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import quote

import pytest

from gateway.records import CUSTOMER, sample, seed
from gateway.records.work import insert_all
from gateway.store import Store
from gateway.words.filter import Absent, And, Contains, Eq, Not, Or, Text
from gateway.words.filtertext import written
from tests.records.client import Client

STAMP = "2026-01-01T00:00:00.000000Z"


def customer(number: int, **fields: Any) -> dict[str, Any]:
    own = {"id": f"cus_{number:03}", "version": 1, "created_at": STAMP, "updated_at": STAMP, "name": "n"}
    return dict.fromkeys(CUSTOMER.fields) | own | fields


async def fill(store: Store, rows: list[dict[str, Any]]) -> None:
    await store.write(lambda c: insert_all(c, CUSTOMER, rows))


async def walk(client: Client, target: str) -> list[dict[str, Any]]:
    """Follows `next` to the end."""
    items: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(200):
        page = (await client.get(target + cursor)).json
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = f"&cursor={quote(page['next'])}"
    raise AssertionError("a list without end")


def key(row: dict[str, Any], field: str) -> tuple[bool, Any]:
    return (row[field] is not None, row[field])  # null below every value


@pytest.mark.parametrize("limit", [1, 3, 7, 500])
@pytest.mark.parametrize(
    "sort", ["id", "-id", "unit", "-unit", "unit,-level", "-unit,level,-id", "-version,owner"]
)
async def test_a_walk_through_pages_gives_every_record_once_and_in_order(
    store: Store, client: Client, sort: str, limit: int
) -> None:
    dice = random.Random(7)
    words = [None, "", "a", "B", "b", "张"]
    rows = [
        customer(
            n,
            unit=dice.choice(words),
            level=dice.choice(words),
            owner=dice.choice(words),
            version=dice.randrange(1, 4),
        )
        for n in range(25)
    ]
    await fill(store, rows)
    keys = sort.split(",")
    if keys[-1].lstrip("-") != "id":
        keys.append("-id" if keys[-1].startswith("-") else "id")
    expected = rows
    for name in reversed(keys):
        expected = sorted(expected, key=lambda r, n=name: key(r, n.lstrip("-")), reverse=name.startswith("-"))
    assert await walk(client, f"/customers?limit={limit}&sort={sort}") == expected


async def test_records_that_come_and_go_neither_repeat_nor_hide_others(store: Store, client: Client) -> None:
    await fill(store, [customer(n, unit="u") for n in range(0, 20, 2)])
    first = (await client.get("/customers?limit=4&sort=unit")).json
    assert [r["id"] for r in first["items"]] == ["cus_000", "cus_002", "cus_004", "cus_006"]
    await fill(store, [customer(n, unit="u") for n in (1, 3, 5, 7, 9)])
    await client.call("DELETE", "/customers/cus_006", if_match="*")  # the very record at which the page ended
    rest = await walk(client, f"/customers?limit=500&sort=unit&cursor={first['next']}")
    assert [r["id"] for r in rest] == [f"cus_{n:03}" for n in (7, 8, 9, 10, 12, 14, 16, 18)]


async def test_a_total_is_given_only_when_asked_and_counts_the_filter_not_the_page(
    store: Store, client: Client
) -> None:
    await fill(store, [customer(n, unit="a" if n % 3 else "b") for n in range(30)])
    assert "total" not in (await client.get("/customers?limit=2")).json
    page = (await client.get("/customers?limit=2&count=true&unit=a")).json
    assert (page["total"], len(page["items"])) == (20, 2)
    second = (await client.get(f"/customers?limit=2&count=true&unit=a&cursor={page['next']}")).json
    assert second["total"] == 20


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("unit=a", [0, 4]),
        ("unit=A", [1]),
        ("unit=", [2]),
        ("unit=%E5%BC%A0", [3]),
        ("unit[in]=a,%E5%BC%A0", [0, 3, 4]),
        ("unit%5Bin%5D=a", [0, 4]),
        ("unit[gt]=A", [0, 3, 4]),
        ("unit[ge]=A&unit[lt]=b", [0, 1, 4]),
        ("unit[le]=A", [1, 2]),
        ("unit[prefix]=", [0, 1, 2, 3, 4]),
        ("level[contains]=i", [0, 1]),
        ("tags[contains]=x", [0]),
        ("tags=sealed", [4]),
        ("version=2", [1]),
        ("version[ge]=2", [1, 4]),
        ("version[in]=1,3", [0, 2, 3, 4, 5]),
        ("unit=a&level=vip", [0]),
        ("name=n+n", []),
        ("created_at=2026-01-01T00:00:00Z", [0, 1, 2, 3, 4, 5]),
        ("created_at=2026-01-01T08:00:00%2B08:00", [0, 1, 2, 3, 4, 5]),
        ("created_at[ge]=2026-01-01&created_at[lt]=2026-01-02", [0, 1, 2, 3, 4, 5]),
        ("created_at[gt]=2026-01-01T00:00:00.0Z", []),
    ],
)
async def test_query_parameters_filter(store: Store, client: Client, query: str, expected: list[int]) -> None:
    await fill(
        store,
        [
            customer(0, unit="a", level="vip", tags=["x", "y"]),
            customer(1, unit="A", level="vip", version=2, tags=["xx"]),
            customer(2, unit=""),
            customer(3, unit="张"),
            customer(4, unit="a", version=3, tags="sealed"),
            customer(5),
        ],
    )
    found = (await client.get(f"/customers?{query}")).json["items"]
    assert [row["id"] for row in found] == [f"cus_{n:03}" for n in expected]


SECRET = "13812345678"


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("nothing=1", "parameter-unknown"),
        (f"{SECRET}=1", "parameter-unknown"),
        ("unit[like]=a", "parameter-unknown"),
        ("unit[in][in]=a", "parameter-unknown"),
        ("unit[]=a", "parameter-unknown"),
        ("Unit=a", "parameter-unknown"),
        ("unit=a&unit=b", "parameter-value"),
        ("limit=1&limit=2", "parameter-value"),
        ("unit=%ff", "parameter-value"),
        ("unit=\xe4", "parameter-value"),
        ("unit", "parameter-value"),
        ("&&", "parameter-value"),
        *(
            (f"limit={n}", "parameter-value")
            for n in ("0", "501", "-1", "1e2", "", "%D9%A1", "1.0", "0x1", "+1")
        ),
        ("version=1.0", "parameter-value"),
        ("version=9999999999999999999", "parameter-value"),
        ("version[in]=1,", "parameter-value"),
        ("count=yes", "parameter-value"),
        ("places=1", "parameter-value"),
        *((f"within={text}", "parameter-value") for text in ("", "x", "WyJhbmQiXQ%3D%3D", "W10", "A" * 7000)),
        *(
            (f"created_at[ge]={m}", "parameter-value")
            for m in ("today", "2026", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00")
        ),
        *(
            (f"sort={s}", "parameter-value")
            for s in ("name", "--id", "", "id,id", "id,-id", "unit,region,owner,level", "phone", "id asc")
        ),
        *(
            (f"cursor={c}", "cursor")
            for c in ("", "x", "!!!!", "e30", "W10", "WzFd", "%00", "bnVsbA", "WyJhIiwiYiJd")
        ),
    ],
)
async def test_a_parameter_that_is_not_understood_is_refused_and_not_repeated(
    client: Client, query: str, problem: str
) -> None:
    answer = await client.get(f"/customers?{query}")
    assert (answer.status, answer.problem) == (400, problem)
    assert SECRET not in answer.body.decode()


async def test_a_cursor_belongs_to_its_list(store: Store, client: Client) -> None:
    await fill(store, [customer(n, unit="a") for n in range(4)])
    cursor = (await client.get("/customers?limit=1&unit=a&sort=level")).json["next"]
    assert (await client.get(f"/customers?limit=2&unit=a&sort=level&cursor={cursor}")).status == 200
    for query in ("unit=a", "unit=a&sort=-level", "unit=b&sort=level", "unit[in]=a&sort=level", "sort=level"):
        assert (await client.get(f"/customers?limit=1&{query}&cursor={cursor}")).problem == "cursor"
    assert (await client.get(f"/threads?limit=1&unit=a&cursor={cursor}")).problem == "cursor"


async def test_a_list_goes_on_after_any_item_whatever_it_is_narrowed_to(store: Store, client: Client) -> None:
    await fill(store, [customer(n, unit="ab"[n % 2], level="x") for n in range(8)])
    half = written(Eq("/unit", "a"))
    page = (await client.get(f"/customers?sort=level&limit=3&count=true&places=true&within={half}")).json
    assert [row["id"] for row in page["items"]] == ["cus_000", "cus_002", "cus_004"]
    assert (page["total"], page["places"][-1]) == (4, page["next"])
    for place, row in zip(page["places"], page["items"], strict=True):
        rest = (await client.get(f"/customers?sort=level&cursor={place}")).json["items"]
        assert [row["id"] for row in rest] == [f"cus_{n:03}" for n in range(int(row["id"][4:]) + 1, 8)]
        narrowed = (await client.get(f"/customers?sort=level&cursor={place}&within={half}")).json["items"]
        assert [one["id"] for one in narrowed] == [one["id"] for one in rest if one["unit"] == "a"]


async def test_a_field_that_the_store_has_not_is_absent_from_every_record(
    store: Store, client: Client
) -> None:
    await fill(store, [customer(1)])
    for what, count in (
        (Absent("/vip"), 1),
        (Eq("/vip", "x"), 0),
        (Not(Or((Text("/a/b"), Contains("/tags/0", "x")))), 1),
        (And((Absent("vip"), Not(Absent("/unit")))), 0),
    ):
        assert len((await client.get(f"/customers?within={written(what)}")).json["items"]) == count, what


async def test_messages_are_listed_within_their_thread_only(store: Store, client: Client) -> None:
    people = sample(customers=2, threads=3, messages=12)
    for kind, records in (
        ("customer", people.customers),
        ("thread", people.threads),
        ("message", people.messages),
    ):
        assert await seed(store, kind, records) == len(records)
    for thread in people.threads:
        page = (await client.get(f"/threads/{thread['id']}/messages?sort=sent_at&count=true")).json
        mine = [m for m in people.messages if m["thread_id"] == thread["id"]]
        assert [m["id"] for m in page["items"]] == [
            m["id"] for m in sorted(mine, key=lambda m: str(m["sent_at"]))
        ]
        assert page["total"] == 4
    first, second = (str(t["id"]) for t in people.threads[:2])
    cursor = (await client.get(f"/threads/{first}/messages?limit=1")).json["next"]
    assert (await client.get(f"/threads/{second}/messages?limit=1&cursor={cursor}")).problem == "cursor"
    assert (await client.get("/threads/thr_none/messages")).status == 404

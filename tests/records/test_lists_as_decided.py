"""A list that is narrowed before it is read shows what one shows that reads everything, on both engines: items, order, pages, totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from sqlalchemy import select

from gateway.catalogue import of_record
from gateway.policy import plan
from gateway.policy.decider import PolicyDecider, PreparedQuestion
from gateway.policy.known import known
from gateway.policy.load import build
from gateway.records import CUSTOMER, render
from gateway.store import Store
from gateway.words.access import Access, ResourceRef
from gateway.words.decision import Facts, Floors
from gateway.words.errors import Code, Refused
from gateway.words.json import JsonObject
from gateway.words.record import ClosedRecord
from gateway.words.work import Query
from tests.campaign import counts
from tests.policy.listed_worlds import TEXTS, Asked, asked, record
from tests.policy.worlds import NOW, PERSON, UNITS, access, files, party, principal, world
from tests.records.listed_house import fill, house, ids_of

RECORDS = 150
SORTS = ("id", "-id", "level", "-level", "owner,-level", "-unit,level", "level,-updated_at")


def by_hand(text: str, *held: str, person: tuple[str, ...] = ()) -> Asked:
    """Gives the question of an application, and of the person it acts for where he holds anything."""
    made, findings = build(files(text), known(world(TEXTS)))
    assert made is not None, [str(finding) for finding in findings]
    parties = [party("app:x", *held), *([party(PERSON, *person)] if person else [])]
    return Asked(text, made, TEXTS, principal(*parties), NOW)


def question(world: Asked) -> PreparedQuestion:
    made = PolicyDecider(world.bundle).prepare(
        access(world.who, "customer:list", "service", world.time), world.resource, 0
    )
    assert isinstance(made, PreparedQuestion)
    return made


def allowed(world: Asked, records: dict[str, JsonObject]) -> set[str]:
    """Gives the ids of those that the engine allows, each asked for by itself."""
    made = question(world)
    return {
        name
        for name, fields in records.items()
        if made.decide(
            of_record(world.resource, ClosedRecord(ResourceRef("crm", "customer", name), fields), Facts())
        ).allowed
    }


def records(dice: Random, count: int) -> list[JsonObject]:
    return [record(dice, stored=True) for _ in range(count)]


@pytest.mark.campaign
async def test_a_narrowed_list_shows_what_a_whole_one_shows(store: Store) -> None:
    dice = counts.dice("lists as decided")
    there = await fill(store, records(dice, RECORDS))
    seen: Counter[str] = Counter()
    async with house(store, size=20) as place:
        while seen["policies"] < counts.count(12, 1_000):
            one = asked(dice, TEXTS)
            if one is None or question(one).early() is not None:
                continue
            expected = allowed(one, there)
            bound = question(one).within(named=True)
            taken = await in_sql(store, one)
            assert expected <= taken, (one.text, one.who, one.time, expected - taken)
            assert not bound.exact or taken == expected, (one.text, one.who, one.time, taken - expected)
            query = Query(passing=(("sort", dice.choice(SORTS)),), limit=dice.choice((5, 19, 20, 21, 50)))
            whole = await place.walk(one, query, narrows=False)
            _, all_rows = place.reads()
            pages = await place.walk(one, query)
            _, rows = place.reads()
            assert pages == whole, (one.text, one.who, one.time, query)
            assert set(pages) == expected
            assert rows <= all_rows + len(pages), (one.text, rows, all_rows)
            counted, _ = await place.gather(one, replace(query, count=True))
            plain, _ = await place.gather(one, replace(query, count=True), narrows=False)
            assert counted.total == plain.total == len(expected)
            assert ids_of(counted) == ids_of(plain) == whole[: query.limit]
            place.reads()
            seen += Counter({"policies": 1, "exact": bound.exact, "some": 0 < len(expected) < RECORDS})
            seen += Counter({"rows, narrowed": rows, "rows, whole": all_rows, "items": len(pages)})
    print(f"proof: {dict(seen)}")
    assert min(seen["exact"], seen["policies"] - seen["exact"], seen["some"]) >= counts.count(1, 4), seen
    assert seen["rows, narrowed"] < seen["rows, whole"] / 2, seen


async def in_sql(store: Store, one: Asked) -> set[str]:
    statement = select(CUSTOMER.table.c.id).where(render(question(one).within(named=True).filter, CUSTOMER))
    return set(await store.read(lambda c: list(c.execute(statement).scalars())))


@pytest.mark.campaign
async def test_a_cursor_goes_on_under_another_policy_and_loses_nothing(store: Store) -> None:
    dice = counts.dice("lists under another policy")
    there = await fill(store, records(dice, RECORDS))
    order = sorted(there)
    gone_on = 0
    async with house(store, size=20) as place:
        while gone_on < counts.count(5, 600):
            one, other = asked(dice, TEXTS), asked(dice, TEXTS)
            if one is None or other is None:
                continue
            other = replace(other, who=one.who, time=one.time)
            query = Query(limit=dice.choice((1, 7, 20)))
            # as it was made: by this version, or by one that read everything
            before = dice.random() < 0.7
            found, cursor = await place.gather(one, query, narrows=before)
            if cursor is None or not found.seen:
                continue
            gone_on += 1
            last = order.index(ids_of(found)[-1])
            rest = await place.walk(other, replace(query, cursor=cursor))
            ahead = next((n for n in range(last + 1, RECORDS) if order[n] in allowed(one, there)), RECORDS)
            may = allowed(other, there)
            # Nothing that was shown is shown again, nothing from the next one on is lost, and what lies between may be either.
            assert rest == sorted(rest)
            assert set(rest) <= {name for name in order[last + 1 :] if name in may}
            assert set(rest) >= {name for name in order[ahead:] if name in may}


@pytest.mark.parametrize("limit", [1, 5])
@pytest.mark.parametrize("held", ["role:a@branch:north", "role:b"])
async def test_a_cursor_from_before_lists_were_narrowed_goes_on(store: Store, held: str, limit: int) -> None:
    mine = range(3, 150, 3)
    await fill(store, crowd(150, mine))
    one = by_hand(OWN, held)
    async with house(store, size=20) as place:
        first, cursor = await place.gather(one, Query(limit=5), narrows=False)
        assert first.following is not None
        assert first.following.done > 0
        rest = await place.walk(one, Query(limit=limit, cursor=cursor))
        assert ids_of(first) + rest == [f"cus_{number:06}" for number in mine]


OWN = """\
p, role:a, *, crm/customer, customer:list, -, service, True, allow
p, role:a, *, crm/customer, customer:*, -, *, r.rec.level == "vip" and r.rec.owner != r.sub.id, deny
p, role:b, *, crm/customer, customer:list, -, service, "mine" in r.rec.tags, allow
p, role:c, *, crm/customer, customer:list, -, service, True, allow
"""


def crowd(count: int, mine: Sequence[int]) -> list[JsonObject]:
    """Records of a large unit that is not his, and a few of his own."""
    return [
        {
            "unit": UNITS[0] if n in mine else UNITS[1],
            "level": "gold",
            "tags": ["mine"] if n in mine else ["other"],
        }
        for n in range(count)
    ]


@pytest.mark.parametrize(
    ("held", "count", "most"),
    [
        ("role:a@branch:north", False, (1, 20)),
        ("role:a@branch:north", True, (1, 20)),
        ("role:b", False, (1, 30)),
    ],
    ids=["exact", "counted", "decided"],
)
async def test_a_page_of_few_among_many_reads_few(
    store: Store, held: str, count: bool, most: tuple[int, int]
) -> None:
    mine = range(7, 3_000, 100)
    await fill(store, crowd(3_000, mine))
    one = by_hand(OWN, held)
    async with house(store) as place:
        query = Query(limit=20, count=count)
        whole, _ = await place.gather(one, query, narrows=False)
        runs, rows = place.reads()
        assert rows >= 2_000
        found, _ = await place.gather(one, query)
        assert ids_of(found) == ids_of(whole)
        assert len(found.seen) == 20
        assert found.total == whole.total == (30 if count else None)
        assert place.reads() <= most < (runs, rows)


async def test_a_list_of_a_hundred_is_prepared_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(store, crowd(100, range(100)))
    one = by_hand(OWN, "role:a@branch:north", person=("role:a",))
    done: Counter[str] = Counter()

    def counted(owner: object, name: str) -> None:
        own = getattr(owner, name)

        def counting(*args: object, **more: object) -> object:
            done[name] += 1
            return own(*args, **more)

        monkeypatch.setattr(owner, name, counting)

    counted(plan, "party_plan")
    counted(plan.UnitPlan, "_met")
    counted(plan.Question, "answer")
    async with house(store) as place:
        found, _ = await place.gather(one, Query(limit=100))
    assert len(found.seen) == 100
    # Two parties, in the one unit and everywhere else; one outcome for all that are alike; and a hundred answers.
    assert done == {"party_plan": 4, "_met": 1, "answer": 100}


async def test_a_total_is_known_of_more_than_may_be_read(store: Store) -> None:
    await fill(store, crowd(500, ()))
    one = by_hand(OWN, "role:c")
    async with house(store, size=20, bound=40) as place:
        whole, _ = await place.gather(one, Query(limit=10, count=True), narrows=False)
        assert whole.total is None
        place.reads()
        found, _ = await place.gather(one, Query(limit=10, count=True))
        assert found.total == 500
        assert place.reads() == (1, 10)


async def test_where_somebody_keeps_floors_every_item_is_decided_on_before_it_is_counted(
    store: Store,
) -> None:
    class Erased:
        async def floors(self, _access: Access, subjects: Sequence[str | None]) -> Sequence[Floors]:
            return [Floors(erased=True) for _ in subjects]

    await fill(store, crowd(100, ()))
    one = by_hand(OWN, "role:c")
    async with house(store, size=20, floors=(Erased(),)) as place:
        found, _ = await place.gather(one, Query(limit=10, count=True))
        assert (found.total, found.seen) == (0, [])
        assert await place.walk(one, Query(limit=7)) == []


async def test_a_damaged_or_crafted_place_is_no_place(store: Store) -> None:
    await fill(store, crowd(60, range(60)))
    one = by_hand(OWN, "role:a@branch:north")
    async with house(store, size=20) as place:
        _, cursor = await place.gather(one, Query(limit=10))
        assert cursor is not None
        spoilt = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
        with pytest.raises(Refused) as refusal:
            await place.gather(one, Query(limit=10, cursor=spoilt))
        assert refusal.value.code is Code.CURSOR_INVALID


async def test_a_policy_that_says_too_much_for_a_filter_is_decided_item_by_item(store: Store) -> None:
    names = ", ".join(f'"n{number}"' for number in range(40))
    rows = [
        f'p, role:a, *, crm/customer, customer:list, -, service, r.rec.owner in [{names}] and r.rec.level != "l{n}", allow'
        for n in range(40)
    ]
    there = await fill(store, [{"unit": UNITS[0], "owner": f"n{n}", "level": "l1"} for n in range(60)])
    one = by_hand("\n".join(rows) + "\n", "role:a@branch:north")
    assert not question(one).within(named=True).exact
    async with house(store) as place:
        assert await place.walk(one, Query(limit=50)) == sorted(allowed(one, there))

"""Step 9: what is shown is counted with its entry, by person, application and purpose; over a budget nothing is shown or counted."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.corridor.allowances import Showing, taken
from gateway.rooms import Reply
from gateway.text import Language
from gateway.text.problems import problem
from gateway.words.access import Access, ResourceRef
from gateway.words.budget import Budget, Counted
from gateway.words.errors import GatehouseError, Refused
from gateway.words.principal import Party, Principal
from gateway.words.record import Alarm, AlarmKind
from gateway.words.resource import Verb
from gateway.words.work import Addressed, Forward, Read
from tests.gate.house import RESOURCE, UPSTREAM, EvidenceByHand, House, call, route
from tests.gate.repeating import made

RECEIVED = datetime(2026, 1, 1, tzinfo=UTC)  # of every call of the house
FEW = Budget("few-customers", "role:agent", Counted.SUBJECTS, 2, 3600)
CLEAR = Budget("clear-fields", "role:agent", Counted.CLEAR_FIELDS, 4, 3600)
SEARCH = Budget("searches", "role:agent", Counted.SEARCHES, 2, 3600)
ALARM = Alarm(AlarmKind.BUDGET_EXCEEDED, "shelf", "thing", "few-customers")


class Clock:
    """The log's own; calls are received at RECEIVED."""

    def __init__(self, house: House) -> None:
        house.log._clock = self
        self.now = RECEIVED + timedelta(minutes=10)

    turns: int | None = None

    def __call__(self) -> int:
        if self.turns is not None:
            self.turns -= 1
            if self.turns < 0:
                self.now, self.turns = self.now + timedelta(seconds=2), None
        return int(self.now.timestamp() * 1_000_000)


def filled(house: House, *budgets: Budget, people: int = 6) -> Clock:
    house.policy.budgets = budgets
    for n in range(people):
        house.shelf.put(f"r{n}", name="one", owner="me")
        house.lens.whose[f"r{n}"] = f"customer-{n}"
    return Clock(house)


async def read(house: House, record: str, **given: Any) -> Reply | GatehouseError:
    return await asked(house, Verb.READ, record, **given)


async def asked(house: House, verb: Verb, record: str | None = None, **given: Any) -> Reply | GatehouseError:
    try:
        return await house.gate.answer(call(verb, record, **given))
    except GatehouseError as error:
        return error


def said(answers: list[Reply | GatehouseError]) -> list[int | str]:
    return [a.status if isinstance(a, Reply) else a.code.value for a in answers]


def stored(house: House) -> list[tuple[str, bytes, int]]:
    with sqlite3.connect(house.disk.path) as connection:
        return list(connection.execute("SELECT ends, counter, used FROM counts"))


async def test_another_customer_beyond_the_budget_is_refused_and_the_same_ones_are_not(house: House) -> None:
    filled(house, FEW)
    answers = [await read(house, record) for record in ("r0", "r1", "r0", "r2", "r1", "r2")]
    assert said(answers) == [200, 200, 200, "over-budget", 200, "over-budget"]
    assert await house.kinds() == ["served", "served", "served", "denied", "served", "denied"]
    assert [used for _, _, used in stored(house)] == [2, 1]  # and one alarm


async def test_the_refusal_is_recorded_and_says_what_to_do(house: House) -> None:
    filled(house, replace(FEW, most=1))
    await read(house, "r0")
    error = await read(house, "r1")
    assert isinstance(error, Refused)
    entry = (await house.entries())[-1]
    assert (entry["kind"], entry["decision"]["reason"], entry["decision"]["by"]) == (
        "denied",
        "over-budget",
        "gate",
    )
    assert entry["parts"][0]["alarms"] == [{"kind": "budget-exceeded", "field": "few-customers"}]
    assert error.params == {
        "budget": "few-customers",
        "counts": "subjects",
        "most": 1,
        "window_seconds": 3600,
        "until": "2026-01-01T01:00:00.000000Z",
        "retry_after_seconds": 3600,
    }
    for language, ask in (
        (Language.ENGLISH, "ask your security administrators"),
        (Language.CHINESE, "请联系安全管理员"),
    ):
        answer = problem(error, language, "req_test")
        headers = dict(answer.headers)
        assert (answer.status, headers["retry-after"], headers["audit-ref"]) == (429, "3600", error.entry)
        assert ask in answer.body.decode()
        assert "few-customers" in answer.body.decode()
        assert "customer-1" not in answer.body.decode()


async def test_one_alarm_for_a_person_a_budget_and_a_window(house: House) -> None:
    clock = filled(house, replace(FEW, most=1))
    house.keys.good.add("other")
    await house.keys.refresh()
    for record in ("r0", "r1", "r2", "r1"):
        await read(house, record)
    assert house.bell.rung == [ALARM]
    for record in ("r0", "r1"):
        await read(house, record, key="other")
    assert house.bell.rung == [ALARM] * 2
    clock.now += timedelta(hours=1)
    assert said([await read(house, r) for r in ("r1", "r2", "r3")]) == [200, "over-budget", "over-budget"]
    assert house.bell.rung == [ALARM] * 3


async def test_a_refusal_that_is_recorded_in_the_next_window_keeps_that_ones_alarm(house: House) -> None:
    clock = filled(house, replace(FEW, most=1))
    clock.now = RECEIVED + timedelta(minutes=59, seconds=59)
    await read(house, "r0")
    clock.turns = 1  # the clock is asked once more in this window, for the answer; then for its refusal
    assert said([await read(house, "r1")]) == ["over-budget"]
    assert said([await read(house, "r1"), await read(house, "r2")]) == [200, "over-budget"]
    assert house.bell.rung == [ALARM] * 2


async def test_two_budgets_that_are_met_at_different_times_are_two_alarms(house: House) -> None:
    day = replace(FEW, name="a-day", most=2, seconds=86400)
    filled(house, replace(FEW, most=1), day)
    await read(house, "r0")
    await read(house, "r1")
    house.policy.budgets = (day,)
    await read(house, "r1")
    house.policy.budgets = (replace(FEW, most=1), day)
    error = await read(house, "r2")
    assert isinstance(error, Refused)
    assert error.params["budget"] == "a-day"  # the one that is in force for longer
    assert [alarm.pattern for alarm in house.bell.rung] == ["few-customers", "a-day"]


async def test_a_list_beyond_a_budget_is_refused_whole_and_costs_nothing(house: House) -> None:
    filled(house, replace(FEW, most=3))
    whole = await asked(house, Verb.LIST, limit=5)
    three = await asked(house, Verb.LIST, limit=3)
    again = await asked(house, Verb.LIST, limit=3)
    assert said([whole, three, again]) == ["over-budget", 200, 200]
    assert house.keys.refreshed == 0


async def test_fields_in_clear_count_each_time_and_searches_by_the_page(house: House) -> None:
    filled(house, CLEAR, SEARCH)
    assert said([await read(house, "r0") for _ in range(3)]) == [200, 200, "over-budget"]
    house.policy.budgets = (SEARCH,)
    assert said([await asked(house, Verb.LIST, limit=1) for _ in range(3)]) == [200, 200, "over-budget"]
    assert said([await read(house, "r0")]) == [200]  # reading one record is no search


async def test_a_search_that_finds_nothing_is_one(house: House) -> None:
    filled(house, replace(SEARCH, most=1), people=0)
    assert said([await asked(house, Verb.LIST) for _ in range(2)]) == [200, "over-budget"]


async def test_of_many_at_once_exactly_as_many_are_served(house: House) -> None:
    filled(house, replace(FEW, most=5), people=40)
    answers = await asyncio.gather(*(read(house, f"r{n}") for n in range(40)))
    assert said(list(answers)).count(200) == 5
    assert said(list(answers)).count("over-budget") == 35
    assert house.bell.rung == [ALARM]
    assert (await house.kinds()).count("served") == 5


async def test_a_record_of_whom_nobody_knows_counts_as_somebody_of_its_own(house: House) -> None:
    filled(house, FEW)
    house.lens.whose |= {"r0": None, "r1": None, "r2": None}
    assert said([await read(house, r) for r in ("r0", "r0", "r1", "r2")]) == [200, 200, 200, "over-budget"]


async def test_a_change_beyond_a_budget_is_made_and_nothing_of_it_shown(house: House) -> None:
    filled(house, replace(FEW, most=1))
    await read(house, "r0")
    reply = await asked(house, Verb.UPDATE, "r1", body={"name": "two"})
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body) == (204, b"")
    assert "etag" not in dict(reply.headers)
    assert house.shelf.things["r1"]["name"] == "two"
    assert (await house.kinds())[-2:] == ["intent", "outcome"]
    assert house.bell.rung == [ALARM]
    assert "fields" not in str((await house.entries())[-1]["parts"])


async def test_whoever_is_over_a_budget_cannot_guess_by_changes_that_change_nothing(house: House) -> None:
    filled(house, replace(FEW, most=1))
    await read(house, "r0")
    wrong = await asked(house, Verb.UPDATE, "r1", body={"name": "a guess"})
    right = await asked(house, Verb.UPDATE, "r1", body={"name": "a guess"})
    assert isinstance(wrong, Reply)
    assert isinstance(right, Reply)
    names = [[name for name, _ in reply.headers] for reply in (wrong, right)]
    assert (
        (wrong.status, wrong.body, names[0])
        == (right.status, right.body, names[1])
        == (
            204,
            b"",
            ["audit-ref", "gatehouse-policy"],
        )
    )
    assert house.bell.rung == [ALARM]


async def test_a_repetition_beyond_a_budget_is_told_that_it_was_done(house: House) -> None:
    filled(house, replace(FEW, most=1))
    house.shelf.new_id = "made"
    house.lens.whose["made"] = "customer-of-the-new"
    first = await made(house, body={"name": "new", "owner": "me"})
    house.policy.budgets = (replace(FEW, name="another", most=1),)
    await read(house, "r0")
    again = await made(house, body={"name": "new", "owner": "me"})
    assert (first.status, again.status, again.body) == (201, 201, b"")
    assert house.shelf.forwarded == ["create"]
    assert [alarm.pattern for alarm in house.bell.rung] == ["another"]


async def test_what_is_kept_names_nobody(house: House) -> None:
    filled(house, FEW, replace(FEW, name="as-few", most=9), CLEAR, SEARCH)
    await asked(house, Verb.LIST, limit=2)
    await read(house, "r3")
    raw = house.disk.path.read_bytes() + house.disk.path.with_name("log.sqlite-wal").read_bytes()
    with sqlite3.connect(house.disk.path) as connection:
        rows = [
            *connection.execute("SELECT counter FROM counts"),
            *connection.execute("SELECT member FROM members"),
            *connection.execute("SELECT counter FROM members"),
        ]
    assert b"few-customers" in raw  # in the refusal's part: the look reaches what it should
    kept = b"".join(value for row in rows for value in row)
    assert not [name for name in (b"customer-", b"app:", b"good", b"few", b"service", b"r0") if name in kept]
    # and the same customer under two budgets, or two callers, is no link between them
    members = [row[0] for row in rows if len(row[0]) == 16]
    assert len(members) == len(set(members)) == 4


# ── whose count it is ────────────────────────────────────────────────────────────────────────────────────────────────


def counter(
    budget: Budget = FEW,
    *,
    person: str | None = "person:a",
    application: str = "app:x",
    purpose: str = "service",
) -> bytes:
    principal = Principal(
        Party(application), Party(person) if person else None, frozenset({purpose}), ("test",)
    )
    access = Access(
        "req_test", principal, "thing:read", purpose, ResourceRef("shelf", "thing", "r0"), RECEIVED
    )
    what = Addressed(access, Read(Forward("/r0")), UPSTREAM, route(Verb.READ), RESOURCE)
    (claim,) = taken(what, [budget], lambda: [Showing("subject:1", None, 1)], EvidenceByHand()).claims
    return claim.counter


def test_counts_of_persons_applications_purposes_and_budgets_do_not_mix() -> None:
    others = [
        counter(person="person:b"),
        counter(person=None),
        counter(person=None, application="app:y"),
        counter(application="app:y"),
        counter(purpose="audit"),
        counter(replace(FEW, name="more")),
        counter(replace(FEW, seconds=60)),
        counter(CLEAR),
    ]
    assert len({counter(), *others}) == len(others) + 1
    # What the budget allows is no part of it: lowered, it counts on.
    assert counter(replace(FEW, most=1)) == counter()


def test_a_budget_for_a_unit_counts_only_its_records() -> None:
    principal = Principal(Party("app:x"), None, frozenset({"service"}), ("test",))
    access = Access("req", principal, "thing:list", "service", ResourceRef("shelf", "thing"), RECEIVED)
    what = Addressed(access, Read(Forward("/")), UPSTREAM, route(Verb.READ), RESOURCE)
    shown = [Showing("a", "branch:one", 3), Showing("b", "branch:two", 5), Showing("c", None, 7)]
    here = replace(CLEAR, unit="branch:two")
    (claim,) = taken(what, [here], lambda: shown, EvidenceByHand()).claims
    assert claim.amount == 5
    assert taken(what, [replace(here, unit="branch:three")], lambda: shown, EvidenceByHand()).claims == ()


def test_where_no_budget_holds_nothing_is_worked_out() -> None:
    def never() -> list[Showing]:
        raise AssertionError("asked for")

    what = Addressed(None, None, UPSTREAM, route(Verb.READ), RESOURCE)  # type: ignore[arg-type]
    assert taken(what, (), never, EvidenceByHand()).claims == ()


async def test_a_request_that_is_decided_anew_counts_once(house: House) -> None:
    filled(house, replace(FEW, most=1))
    real, asked_for = house.keys.rule, []

    def at_first_an_older_fence(fence: int) -> Any:
        asked_for.append(fence)
        return real(fence - 1 if len(asked_for) == 1 else fence)

    house.keys.rule = at_first_an_older_fence
    assert said([await read(house, "r0")]) == [200]
    assert len(asked_for) == 2
    assert [used for _, _, used in stored(house)] == [1]

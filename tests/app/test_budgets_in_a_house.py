"""A budget in a whole house: real customers, real pseudonyms, the policy folder edited while it runs."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway import demo
from gateway.app import House, open_house
from gateway.observe import render
from gateway.records import sample
from gateway.rooms import Reply
from gateway.settings import read
from gateway.text import Language
from gateway.text.problems import problem
from gateway.words.errors import Code, GatehouseError
from gateway.words.record import AlarmKind
from tests.app.asking import ask

POLICIES = Path(__file__).resolve().parents[2] / "policies"
FEW = sample(customers=14, threads=10, messages=10)
TWO = "budgets:\n  two-customers: {role: role:clerk, counts: subjects, most: 2, window: 366d}\n"


@dataclass
class Bounded:
    house: House
    keys: dict[str, str]
    customers: list[str]  # the demonstration's agent's
    threads: dict[str, str]  # customer → one of his threads

    async def read(self, target: str, key: str = "agent") -> Reply | GatehouseError:
        try:
            return await ask(self.house, "GET", target, self.keys[key])
        except GatehouseError as error:
            return error

    async def customer(self, record: str, key: str = "agent") -> str | int:
        answer = await self.read(f"/crm/customers/{record}", key)
        return answer.status if isinstance(answer, Reply) else answer.code.value


@pytest.fixture
async def bounded(tmp_path: Path) -> AsyncIterator[Bounded]:
    shutil.copytree(POLICIES, tmp_path / "policies")
    chosen = read(
        {"GATEHOUSE_HOME": str(tmp_path / "home"), "GATEHOUSE_POLICIES": str(tmp_path / "policies")}
    )
    demo.prepare(chosen)
    async with open_house(
        chosen, demonstration=True
    ) as house:  # which asks no second person about other budgets
        keys = dict(await demo.credentials(house))
        await demo.load_sample(house, lambda done, total: None, FEW)
        listed = await ask(house, "GET", "/crm/customers?limit=50", keys["agent"])
        found = await ask(house, "GET", "/crm/threads?limit=50", keys["agent"])
        threads = {one["customer_id"]: one["id"] for one in json.loads(found.body)["items"]}
        customers = [one["id"] for one in json.loads(listed.body)["items"]]
        # Who has a thread first: he is reached by both.
        customers.sort(key=lambda one: one not in threads)
        (tmp_path / "policies" / "budgets.yaml").write_text(TWO)
        await house.bundles.watch(house.held)
        yield Bounded(house, keys, customers, threads)


async def test_one_customer_is_one_by_whatever_record_he_is_shown(bounded: Bounded) -> None:
    one, two, three = bounded.customers[:3]
    assert await bounded.customer(one) == 200
    thread = await bounded.read(f"/crm/threads/{bounded.threads[one]}")
    assert isinstance(thread, Reply)
    assert [await bounded.customer(c) for c in (two, three, one, two)] == [200, "over-budget", 200, 200]
    # A list that shows a third is refused whole, and one below a customer who was shown is not.
    listed = await bounded.read("/crm/customers?limit=50")
    assert isinstance(listed, GatehouseError)
    assert listed.code is Code.OVER_BUDGET
    messages = await bounded.read(f"/crm/threads/{bounded.threads[one]}/messages")
    assert isinstance(messages, Reply)
    # A supervisor is a clerk by a link: a budget of his own.
    assert await bounded.customer(three, "supervisor") == 200


async def test_the_answer_the_alarm_and_the_count_of_it(bounded: Bounded) -> None:
    for record in bounded.customers[:2]:
        await bounded.customer(record)
    error = await bounded.read(f"/crm/customers/{bounded.customers[2]}")
    assert isinstance(error, GatehouseError)
    for language, ask_for_more in (
        (Language.ENGLISH, "ask your security administrators"),
        (Language.CHINESE, "安全管理员"),
    ):
        answer = problem(error, language, "req_x")
        told = json.loads(answer.body)
        assert (answer.status, told["params"]["budget"], told["params"]["most"]) == (429, "two-customers", 2)
        assert "two-customers" in told["detail"]
        assert ask_for_more in told["next"]
        assert int(dict(answer.headers)["retry-after"]) > 0
        assert bounded.customers[2] not in answer.body.decode()
    raised = [alarm for alarm in bounded.house.alarms.recent() if alarm.kind is AlarmKind.BUDGET_EXCEEDED]
    assert [(one.upstream, one.resource, one.pattern) for one in raised] == [
        ("crm", "customer", "two-customers")
    ]
    text = render(bounded.house.metrics.collect()).decode()
    assert 'gatehouse_alarms_total{kind="budget-exceeded"} 1' in text
    assert 'gatehouse_log_failures_total{why="over-budget"} 1' in text


async def test_the_store_names_nobody_and_keeps_its_count_over_a_start(bounded: Bounded) -> None:
    one, two, three = bounded.customers[:3]
    assert [await bounded.customer(c) for c in (one, two, three)] == [200, 200, "over-budget"]
    with sqlite3.connect(bounded.house.settings.home / "audit.sqlite") as connection:
        rows = connection.execute("SELECT counter, member FROM members").fetchall()
        parts = [json.loads(row[0]) for row in connection.execute("SELECT body FROM parts")]
    assert (
        2 in Counter(counter for counter, _ in rows).values()
    )  # the shipped budgets counted the fixture's own lists
    subjects = [part["subject"] for part in parts if part.get("subject")]
    known = [*bounded.customers, *subjects, "app:demo-agent", "two-customers", "service"]
    kept = b"".join(value for row in rows for value in row)
    assert subjects
    assert [name for name in known if name.encode() in kept or name.encode().hex() in kept.hex()] == []


async def test_a_budget_that_is_lowered_or_gone_holds_from_that_entry_on(bounded: Bounded) -> None:
    one, two, three = bounded.customers[:3]
    file = bounded.house.settings.policies / "budgets.yaml"
    assert [await bounded.customer(c) for c in (one, two)] == [200, 200]
    file.write_text(TWO.replace("most: 2", "most: 1"))
    await bounded.house.bundles.watch(bounded.house.held)
    assert [await bounded.customer(c) for c in (one, three)] == [200, "over-budget"]
    file.write_text(TWO.replace("most: 2", "most: 3"))
    await bounded.house.bundles.watch(bounded.house.held)
    assert await bounded.customer(three) == 200
    file.unlink()
    await bounded.house.bundles.watch(bounded.house.held)
    assert await bounded.customer(bounded.customers[3]) == 200


async def test_the_shipped_budgets_are_far_from_a_days_work(bounded: Bounded) -> None:
    shutil.copy(POLICIES / "budgets.yaml", bounded.house.settings.policies / "budgets.yaml")
    await bounded.house.bundles.watch(bounded.house.held)
    assert [await bounded.customer(one) for one in bounded.customers] == [200] * len(bounded.customers)

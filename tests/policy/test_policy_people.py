"""Who can: every row is what the engine decides for exactly that person, and nobody who may is missing."""

from __future__ import annotations

import time
from dataclasses import replace
from random import Random

import pytest

from gateway.policy.decider import Engine, prepare
from gateway.policy.load import build
from gateway.policy.why.explanation import Posed
from gateway.policy.why.people import May, people_of, who_can
from gateway.words.decision import Disclosure, Floors
from gateway.words.principal import Party, Principal, RoleHeld
from tests.policy import worlds

APP = frozenset({RoleHeld("role:a"), RoleHeld("role:b"), RoleHeld("role:c"), RoleHeld("role:d")})


def linked(dice: Random, number: int) -> str:
    lines = {
        f"g, person:https://id.example#p{n}, {dice.choice(worlds.ROLES)}, {dice.choice(('*', *worlds.UNITS))}"
        for n in range(number)
        for _ in range(dice.randrange(1, 3))
    }
    return "\n".join(sorted(lines)) + "\n"


def some_engine(dice: Random) -> Engine:
    while True:
        text = worlds.policy(dice, dice.randrange(6, 20), deny=0.2) + linked(dice, 20)
        made, _ = build(worlds.files(text), worlds.ground())
        if made is not None:
            return Engine(made)


def one_by_one(engine: Engine, posed: Posed, field: str | None, credentials: list[Principal]) -> set[May]:
    """The slow way: each person's own question, as a request of his would be prepared."""
    found = set()
    for credential in credentials:
        for purpose in credential.purposes:
            for who in (None, *people_of(engine)):
                principal = replace(credential, person=None if who is None else Party(who))
                access = replace(posed.access, principal=principal, purpose=purpose)
                decision = prepare(engine, access, posed.resource, 0).decide(posed.facts)
                shown = None if field is None else decision.read.of(field)
                if decision.allowed and shown is not Disclosure.WITHHELD:
                    app = credential.application.id
                    found.add(May(who or app, app, purpose, shown))
    return found


@pytest.mark.parametrize("seed", range(2))
def test_it_is_what_the_engine_says_of_each_person(seed: int) -> None:
    dice = Random(f"people {seed}")
    rows = 0
    for _ in range(10):
        engine = some_engine(dice)
        credentials = [
            Principal(Party("app:one", APP), None, frozenset({"service", "audit"}), ()),
            Principal(worlds.some_party(dice), None, frozenset({"service"}), ()),
        ]
        credentials[1] = replace(
            credentials[1], application=replace(credentials[1].application, id="app:two")
        )
        for _ in range(3):
            known = worlds.some_facts(dice)
            if dice.random() < 0.3:
                known = replace(known, values={**known.values, "owner": "person:https://id.example#p3"})
            asked = worlds.access(credentials[0], dice.choice(("customer:read", "customer:update")))
            posed = Posed(asked, worlds.CUSTOMER, known)
            field = dice.choice((None, "/phone", "/level"))
            found = list(who_can(engine, posed, field, credentials))
            assert len(found) == len(set(found))
            assert set(found) == one_by_one(engine, posed, field, credentials)
            rows += len(found)
    assert rows >= 40, rows


def test_a_condition_on_who_it_is_holds_for_one_of_many_with_the_same_role() -> None:
    policy = """\
p, role:a, *, crm/customer, customer:read, -, *, r.rec.owner == r.sub.id, allow
p, role:b, *, crm/customer, customer:read, -, *, True, allow
g, person:https://id.example#one, role:a, *
g, person:https://id.example#two, role:a, *
"""
    engine = Engine(worlds.bundle(policy))
    desk = Principal(Party("app:desk", frozenset({RoleHeld("role:b")})), None, frozenset({"service"}), ())
    posed = Posed(worlds.access(desk), worlds.CUSTOMER, worlds.facts(owner="person:https://id.example#two"))
    assert [may.who for may in who_can(engine, posed, None, [desk])] == [
        "app:desk",
        "person:https://id.example#two",
    ]
    erased = replace(posed, facts=worlds.facts(Floors(erased=True)))
    assert list(who_can(engine, erased, None, [desk])) == []


def test_a_job_of_our_own_acts_for_nobody() -> None:
    policy = "p, role:a, *, crm/customer, customer:read, -, *, True, allow\ng, person:https://id.example#one, role:a, *\n"
    engine = Engine(worlds.bundle(policy))
    job = Principal(Party("system:seeder", frozenset({RoleHeld("role:a")})), None, frozenset({"service"}), ())
    posed = Posed(worlds.access(job), worlds.CUSTOMER, worlds.facts())
    assert [may.who for may in who_can(engine, posed, None, [job])] == ["system:seeder"]


def test_ten_thousand_people_take_five_seconds_at_most() -> None:
    many = "".join(
        f"g, person:https://id.example#p{n}, role:{'ab'[n % 2]}, {worlds.UNITS[n % 2]}\n"
        for n in range(10_000)
    )
    policy = f"""\
p, role:a, *, crm/customer, customer:read, -, *, r.rec.owner != r.sub.id, allow
p, role:b, *, crm/customer, customer:read, -, *, True, allow
{many}"""
    engine = Engine(worlds.bundle(policy))
    desk = Principal(Party("app:desk", APP), None, frozenset({"service", "audit"}), ())
    posed = Posed(worlds.access(desk), worlds.CUSTOMER, worlds.facts(unit="branch:north", owner="x"))
    begun = time.process_time()
    found = list(who_can(engine, posed, None, [desk]))
    taken = time.process_time() - begun
    assert len(found) == 2 * (5_000 + 1)
    assert taken <= 5

"""What somebody can: what is said to hold always does on every record, what is never said is never allowed."""

from __future__ import annotations

from random import Random

import pytest

from gateway.policy.decider import Engine, prepare
from gateway.policy.why.reach import ELSEWHERE, Can, Holds, what_can
from gateway.words.decision import Disclosure, Facts, Reason
from gateway.words.principal import ANYWHERE
from tests.policy import worlds

ACTIONS = ("customer:read", "customer:update", "customer:list")


def of(cans: list[Can], action: str, purpose: str, unit: str | None) -> Can | None:
    there = unit if unit in worlds.UNITS else "-"
    found = [c for c in cans if (c.action, c.purpose) == (action, purpose) and c.unit in (there, ANYWHERE)]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize("seed", range(2))
def test_it_holds_for_every_record(seed: int) -> None:
    dice = Random(f"reach {seed}")
    seen: dict[Holds, int] = dict.fromkeys(Holds, 0)
    certain = 0
    for _ in range(25):
        engine = Engine(worlds.some_bundle(dice, dice.choice((0.0, 0.1, 0.4))))
        parties = (worlds.some_party(dice), worlds.party("app:desk", "role:a", "role:b"))[
            : dice.randrange(1, 3)
        ]
        who = worlds.principal(*parties, purposes=frozenset({"service", "audit"}))
        cans = [c for c in what_can(engine, worlds.ground(), [who]) if c.resource == "crm/customer"]
        for _ in range(30):
            action, purpose = dice.choice(ACTIONS), dice.choice(("service", "audit"))
            known = worlds.some_facts(dice)
            unit = known.values.get("unit")
            can = of(cans, action, purpose, unit if isinstance(unit, str) else None)
            decision = prepare(engine, worlds.access(who, action, purpose), worlds.CUSTOMER, 0).decide(known)
            seen[Holds.NEVER if can is None else can.holds] += 1
            if can is None:
                assert not decision.allowed
                continue
            assert decision.allowed or can.holds is Holds.DEPENDS
            if not decision.allowed:
                continue
            for spec in worlds.CUSTOMER.fields:
                if spec.pattern in can.open:
                    continue
                certain += 1
                named = next((d for d, fields in can.fields if spec.pattern in fields), Disclosure.WITHHELD)
                assert decision.read.of(spec.pattern) is named
            assert set(can.settable) <= decision.write
    assert min(seen.values()) >= 20, seen
    assert certain >= 200


def test_what_is_the_same_everywhere_is_said_once() -> None:
    engine = Engine(worlds.bundle("p, role:a, *, crm/customer, customer:read, -, *, True, allow\n"))
    who = worlds.principal(worlds.party("app:desk", "role:a"))
    (can,) = what_can(engine, worlds.ground(), [who])
    assert (can.action, can.unit, can.holds, can.through) == ("customer:read", "*", Holds.ALWAYS, "app:desk")
    assert ELSEWHERE not in can.unit


def test_a_unit_that_is_none_is_nobodys() -> None:
    """The one record on which even `always` does not hold, as for everybody."""
    engine = Engine(worlds.bundle("p, role:a, *, crm/customer, customer:read, -, *, True, allow\n"))
    asked = worlds.access(worlds.principal(worlds.party("app:desk", "role:a")))
    decision = prepare(engine, asked, worlds.CUSTOMER, 0).decide(Facts(unfit=frozenset({"unit"})))
    assert decision.reason is Reason.ENGINE_ERROR

"""The compiled form is held to pycasbin: the same answer, the same denial, and an error where pycasbin raises."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import casbin
import pytest

from gateway.policy.bundle import Bundle, wide
from gateway.policy.condition import Asked
from gateway.policy.decider import Engine, prepare
from gateway.policy.facts import environment, plain, unit_of
from gateway.policy.load import build
from gateway.policy.plan import party_plan
from gateway.policy.reference import Reference
from gateway.words.decision import Reason
from tests.policy import worlds

PROOF = os.environ.get("GATEHOUSE_PROOF") == "1"
POLICIES = 400 if PROOF else 7
QUESTIONS = 60


def some_policy(dice: Random, deny: float = 0.4) -> Bundle:
    """A random policy that the lint accepts (it refuses chains that leave a unit and come back)."""
    while True:
        text = worlds.policy(dice, dice.randrange(6, 20), deny=deny)
        made, findings = build(worlds.files(text), worlds.ground())
        if made is not None:
            return made
        assert all("goes in and out" in f.what for f in findings if f.severity == "error"), findings


def same(ours: Reason, theirs: Reason) -> bool:
    """pycasbin may meet a failing condition before a deny that we name: both deny. It never raises less than we do."""
    if ours is Reason.ENGINE_ERROR:
        return theirs is Reason.ENGINE_ERROR
    return ours is theirs or (ours is Reason.RULE_DENIED and theirs is Reason.ENGINE_ERROR)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(3))
def test_every_question_gets_pycasbins_answer(seed: int) -> None:
    dice = Random(f"differential {seed}")
    seen: dict[Reason, int] = {}
    for _ in range(POLICIES):
        bundle = some_policy(dice)
        engine = Engine(bundle)
        # every row of every role now and then; the rows and roles that can apply in the others
        references = Reference(bundle, narrowed=False), Reference(bundle, narrowed=True)
        for number in range(QUESTIONS):
            reference = references[number % 20 != 0]
            who, known = worlds.some_party(dice), worlds.some_facts(dice)
            purpose = dice.choice(("service", "service", "service", "audit", "-"))
            time = datetime(2026, 11, 2, tzinfo=UTC) + timedelta(hours=dice.randrange(24))
            asked = Asked(
                plain(known, bundle.facts, bundle.sets),
                engine.subject(who, alone=dice.random() < 0.5),
                environment(time, bundle.vocabulary.zone),
                purpose,
                unit_of(known),
            )
            action = dice.choice(("customer:read", "customer:update", "customer:list"))
            plan = party_plan(bundle, who, asked.dom, action, purpose, worlds.CUSTOMER)
            vector = plan.vector(asked)
            ours = plan.record.verdict(vector)[0]
            theirs = reference.verdict(who, asked, "crm/customer", action, "-", "-")[0]
            assert same(ours, theirs), (ours, theirs)
            seen[ours] = seen.get(ours, 0) + 1
            if not plan.fields:
                continue
            field = dice.choice(plan.fields)
            act, query = dice.choice(
                [
                    *zip(
                        ("show:clear", "show:masked", "show:token"), (q for q, _ in field.rungs), strict=True
                    ),
                    ("set", field.set),
                ]
            )
            ours = query.verdict(vector)[0]
            theirs = reference.verdict(
                who, asked, "crm/customer", act, field.spec.pattern, field.spec.cls.value
            )[0]
            assert same(ours, theirs), (act, field.spec.pattern, ours, theirs)
            seen[ours] = seen.get(ours, 0) + 1
    # the campaign is worth something only if every kind of answer came up often
    assert min(seen.get(r, 0) for r in (Reason.RULE_ALLOWED, Reason.RULE_DENIED, Reason.NO_RULE)) >= 10, seen
    assert seen.get(Reason.ENGINE_ERROR, 0) >= 2, seen


@pytest.mark.parametrize("seed", range(2))
def test_both_engines_give_the_same_whole_decision(seed: int) -> None:
    dice = Random(f"whole {seed}")
    allowed = 0
    for _ in range(8):
        bundle = some_policy(dice)
        engines = Engine(bundle), Engine(bundle, reference=True)
        for _ in range(10):
            parties = (worlds.some_party(dice), worlds.some_party(dice))[: dice.randrange(1, 3)]
            if len(parties) == 1 or parties[0].id == parties[1].id:
                parties = parties[:1]
            question = worlds.access(
                worlds.principal(*parties, purposes=frozenset({"service", "audit"})),
                dice.choice(("customer:read", "customer:list")),
                dice.choice(("service", "audit")),
            )
            known = worlds.some_facts(dice)
            ours, theirs = (prepare(e, question, worlds.CUSTOMER, 3).decide(known) for e in engines)
            assert ours.allowed == theirs.allowed
            assert dict(ours.read.by_pattern) == dict(theirs.read.by_pattern)
            assert ours.write == theirs.write
            allowed += ours.allowed
    assert allowed >= 5


@pytest.mark.parametrize("seed", range(2))
def test_what_is_said_before_any_record_holds_for_every_record(seed: int) -> None:
    dice = Random(f"early {seed}")
    denied_early = searchable = sees_all = 0
    for _ in range(60):
        engine = Engine(some_policy(dice, deny=dice.choice((0.0, 0.15))))
        who = worlds.principal(worlds.some_party(dice), purposes=frozenset({"service"}))
        prepared = prepare(engine, worlds.access(who, "customer:list"), worlds.CUSTOMER, 1)
        early, fields = prepared.early(), prepared.searchable()
        denied_early += early is not None
        searchable += bool(fields)
        sees_all += prepared.sees_all()
        for _ in range(25):
            decision = prepared.decide(worlds.some_facts(dice))
            assert not (early is not None and decision.allowed)
            assert decision.allowed or not prepared.sees_all()
            if decision.allowed:
                assert all(decision.read.of(pattern).word == "clear" for pattern in fields)
    assert denied_early >= 3
    assert searchable >= 3
    assert sees_all >= 1


def test_the_shipped_files_decide_the_same_in_a_stock_enforcer_read_from_disk() -> None:
    folder = worlds.ROOT / "policies"
    stock = casbin.Enforcer(str(folder / "model.conf"), str(folder / "policy.csv"))

    def ask(who: str, role: str, unit: str, act: str, field: str, cls: str, **rec: object) -> bool:
        sub = {"id": who, "alone": False}
        env = {"hour": 10, "weekday": 1, "date": "2026-11-02"}
        facts = {"unit": unit, "owner": None, "level": "standard", "tags": (), "status": "open", **rec}
        return bool(
            stock.enforce(
                sub, who, role, unit, "crm/customer", act, wide(act), field, cls, "service", facts, env
            )
        )

    li, zhang = "person:https://id.demo.example#li.wei", "person:https://id.demo.example#zhang.min"
    here, there = "branch:shanghai", "branch:beijing"
    assert ask(li, "role:agent", here, "customer:read", "-", "-")
    assert not ask(li, "role:agent", there, "customer:read", "-", "-")
    assert not ask(li, "role:supervisor", here, "customer:read", "-", "-")
    assert not ask(li, "role:agent", here, "customer:read", "-", "-", level="vip")
    assert ask(li, "role:agent", here, "customer:read", "-", "-", level="vip", owner=li)
    assert not ask(li, "role:agent", here, "show:clear", "/phone", "contact")
    assert ask(li, "role:agent", here, "show:masked", "/phone", "contact")
    assert ask(zhang, "role:supervisor", here, "show:clear", "/phone", "contact")
    assert not ask(zhang, "role:supervisor", there, "show:clear", "/phone", "contact")


def test_exactly_one_distribution_provides_casbin() -> None:
    installed = list(Path(casbin.__file__).parents[1].glob("*casbin*.dist-info"))
    assert [path.name.partition("-")[0] for path in installed] == ["pycasbin"]

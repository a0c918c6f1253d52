"""Laws of the analysis: what is proven of conditions holds for every value, and what is called dead never decides."""

from __future__ import annotations

import itertools
from random import Random

from gateway.policy.bundle import Bundle
from gateway.policy.condition import Asked
from gateway.policy.decider import Engine, prepare
from gateway.policy.facts import plain, unit_of
from gateway.policy.lint.coverage import Coverage
from gateway.policy.lint.dead import Dead
from gateway.policy.lint.terms import implies, never, term_of
from gateway.policy.lint.values import Bound, can_hold, holds
from gateway.policy.load import build
from gateway.words.access import Access
from gateway.words.decision import Decision, Facts, Reason
from tests.policy import worlds

VALUES = (None, False, True, 0, 1, 2, 3, 4, 5, "", "a", "b", "c", ("a",))


def test_values_that_exist_are_never_said_to_be_impossible() -> None:
    dice = Random("values")
    kept = 0
    for _ in range(3000):
        bounds = [
            Bound("x", dice.choice(("==", "!=", "<", "<=", ">", ">=")), (dice.choice(VALUES[:-1]),))
            for _ in range(dice.randrange(1, 4))
        ]
        some = any(all(holds(value, bound) for bound in bounds) for value in VALUES)  # type: ignore[arg-type]
        assert not some or can_hold(None, bounds), bounds
        kept += some
    assert 500 < kept < 2500


def test_what_is_never_or_always_is_so_for_every_value() -> None:
    """Held against Python's own evaluation of the same text, over all values of a small world."""
    dice = Random("terms")
    atoms = (
        *(f"x {op} {n}" for op in ("==", "!=", "<", "<=", ">", ">=") for n in (0, 1, 2)),
        "x in [0, 2]",
        "x == None",
        'x == "a"',
        "x == y",
        "x != y",
        "x < y",
        "x >= y",
        "0 < x < 2",
        "y not in [1, 2]",
    )

    def some(depth: int = 2) -> str:
        if depth and dice.random() < 0.6:
            one, other = some(depth - 1), some(depth - 1)
            return dice.choice((f"({one}) and ({other})", f"({one}) or ({other})", f"not ({one})"))
        return dice.choice(atoms)

    worlds_ = [
        {"x": x, "y": y} for x, y in itertools.product((None, True, 0, 1, 2, 3, -1, "a", "b"), repeat=2)
    ]
    nevers = impliessome = 0
    for _ in range(1500):
        one, other = some(), some()
        mine, theirs = term_of(one), term_of(other)
        if never(mine, {}):
            nevers += 1
            assert not any(truth(one, world) is True for world in worlds_), one
        if implies(mine, theirs, {}):
            impliessome += 1
            assert all(truth(other, world) is not False for world in worlds_ if truth(one, world) is True)
    assert nevers > 50
    assert impliessome > 100


def truth(text: str, world: dict[str, object]) -> bool | None:
    try:
        return bool(eval(text, {}, world))
    except TypeError:
        return None


LIVING = {"never-true", "unit-absent", "never-settable", "shadowed"}


def test_what_is_called_dead_never_decides() -> None:
    """Random policies and questions, by the engine: a dead rule is never the one that decides, and without it nobody gets less."""
    dice = Random("dead")
    seen: dict[str, int] = {}
    same = 0
    for _ in range(50):
        text = worlds.policy(dice, dice.randrange(10, 30), deny=0.3)
        text += "p, role:a, *, crm/customer, set, /id, *, True, allow\n"
        made, _ = build(worlds.files(text), worlds.ground())
        if made is None:
            continue  # a chain that leaves a unit and comes back
        found = {finding.line: finding.rule for finding in Dead(made, worlds.ground()).findings()}
        gone = {line for line, rule in found.items() if rule in LIVING}
        without = lacking(text, gone | {line for line, rule in found.items() if rule == "implied"})
        engine = Engine(made)
        bare = Engine(without) if without is not None else None
        coverage = Coverage()
        for rule in found.values():
            seen[rule] = seen.get(rule, 0) + 1
        for _ in range(25):
            who, facts = worlds.some_party(dice), worlds.some_facts(dice)
            question = worlds.access(
                worlds.principal(who, purposes=frozenset({"service", "audit"})),
                dice.choice(("customer:read", "customer:update", "customer:list")),
                dice.choice(("service", "audit")),
            )
            decision = prepare(engine, question, worlds.CUSTOMER, 1).decide(facts)
            coverage.watch(engine, question, worlds.CUSTOMER, facts, decision)
            assert not coverage.lines & gone, (text, coverage.lines & gone, found)
            if bare is not None and not facts.unfit:
                other = prepare(bare, question, worlds.CUSTOMER, 1).decide(facts)
                assert gets_no_more(decision, other), (text, found, question, facts)
                if not fails(made, engine, question, facts):
                    same += 1
                    assert (decision.allowed, decision.write) == (other.allowed, other.write)
                    assert dict(decision.read.by_pattern) == dict(other.read.by_pattern)
    assert min(seen.get(rule, 0) for rule in ("never-true", "shadowed", "implied", "never-settable")) >= 10, (
        seen
    )


def lacking(text: str, lines: set[int]) -> Bundle | None:
    kept = [row for number, row in enumerate(text.split("\n"), 1) if number not in lines]
    return build(worlds.files("\n".join(kept)), worlds.ground())[0]


def fails(made: Bundle, engine: Engine, question: Access, facts: Facts) -> bool:
    """True where some rule's condition cannot be answered for that record: what it denies, it denies by that alone."""
    asked = Asked(
        plain(facts, made.facts, made.sets),
        engine.subject(question.principal.application, alone=True),
        engine.environment(question.time),
        question.purpose or "-",
        unit_of(facts),
    )
    for line in made.rules.lines:
        try:
            line.condition.test(asked)
        except TypeError:
            return True
    return False


def gets_no_more(decision: Decision, without: Decision) -> bool:
    """Nothing was lost with the rules that were taken away. What a failing condition had denied may come back."""
    if decision.allowed:
        return (
            without.allowed
            and decision.write <= without.write
            and all(without.read.of(pattern) <= shown for pattern, shown in decision.read.by_pattern.items())
        )
    return not without.allowed or decision.reason is Reason.ENGINE_ERROR

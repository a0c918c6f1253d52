"""Any model, any rules, any request: the compiled engine's verdict and rule are pycasbin's, and it has none where pycasbin raises."""

from __future__ import annotations

from collections import Counter

import pytest

from gateway.policy.engine import Beyond, Policy, StockEngine, Unfit
from tests.campaign import counts
from tests.policy.engine_expressions import asked_of_expressions, expression_world
from tests.policy.engine_worlds import World, asked, both, outcome, somebody, world

SEEDS = 4
REQUESTS = 40
# What a world may be refused for: none of these is one that pycasbin would have decided by.
REFUSED = {
    "engine.pattern-invalid",
    "engine.no-expression",
    "engine.function-unknown",
    "engine.hierarchy-cycle",
}


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(SEEDS))
def test_random_models_get_pycasbins_verdict_and_rule(seed: int) -> None:
    dice = counts.dice(f"policy engine {seed}")
    wanted = counts.count(5_000, 1_000_000) // SEEDS
    seen: Counter[str] = Counter()
    unexpected: set[str] = set()
    while seen["compared"] < wanted:
        made = world(dice)
        try:
            ours, theirs = both(made)
        except Unfit as unfit:
            unexpected |= {fault.key for fault in unfit.faults} - REFUSED
            continue
        for _ in range(REQUESTS):
            request = asked(dice, made.request)
            expected = outcome(theirs, request)
            assert outcome(ours.engine, request) == expected, (made.model, made.policy, request)
            seen["compared"] += 1
            seen[
                expected if isinstance(expected, str) else f"{expected[0]}, rule {expected[1] is not None}"
            ] += 1
    print(f"proof: {seen['compared']} comparisons with pycasbin: {dict(seen)}")
    assert unexpected == set()
    # worth something only if every kind of answer came up
    kinds = ("error", "True, rule True", "False, rule True", "False, rule False", "True, rule False")
    assert min(seen[kind] for kind in kinds) >= 5, seen


@pytest.mark.campaign
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_random_expressions_have_pycasbins_value_or_its_error() -> None:
    dice = counts.dice("policy engine expressions")
    seen: Counter[str] = Counter()
    while seen["compared"] < counts.count(2_000, 300_000):
        made = expression_world(dice)
        try:
            ours, theirs = both(made)
        except (Unfit, Beyond):
            seen["refused"] += 1
            continue
        for _ in range(20):
            request = asked_of_expressions(dice)
            expected = outcome(theirs, request)
            assert outcome(ours.engine, request) == expected, (made.model, made.policy, request)
            seen["compared"] += 1
            seen[str(expected)[:5]] += 1
    print(f"proof: {seen['compared']} comparisons with pycasbin: {dict(seen)}")
    assert min(seen["error"], seen["(True"], seen["(Fals"]) > 100 > seen["refused"] / 100, seen


@pytest.mark.campaign
def test_a_changed_rule_leaves_what_a_whole_load_would_have_made() -> None:
    dice = counts.dice("policy engine deltas")
    changed = 0
    while changed < counts.count(150, 20_000):
        made = world(dice)
        rows = [line for line in made.policy.splitlines() if line]
        try:
            ours = Policy(made.model, made.policy)
        except (Unfit, Beyond):
            continue
        spare = [line for line in world_like(made) if line.startswith("p,")]
        for _ in range(4):
            rules = [line for line in rows if line.startswith("p,")]
            if spare and dice.random() < 0.5:
                line = spare.pop()
                rows.append(line)
                change = "add"
            elif len(rules) > 1:
                line = dice.choice(rules)
                rows.remove(line)
                change = "remove"
            else:
                break
            whole_text = "\n".join(rows) + "\n"
            try:
                whole = Policy(made.model, whole_text)
            except (Unfit, Beyond):
                break
            (ours.add if change == "add" else ours.remove)("p", columns_of(line))
            changed += 1
            for _ in range(12):
                request = asked(dice, made.request)
                assert outcome(ours.engine, request) == outcome(whole.engine, request), (made, change, line)


def world_like(made: World) -> list[str]:
    """More rows for the same model: its own, with their columns exchanged."""
    rows = [columns_of(line) for line in made.policy.splitlines() if line.startswith("p,")]
    mixed = [tuple(column) for column in zip(*rows, strict=True)]
    turned = [column[at % len(column) :] + column[: at % len(column)] for at, column in enumerate(mixed)]
    return ["p, " + ", ".join(row) for row in zip(*turned, strict=True)]


def columns_of(line: str) -> tuple[str, ...]:
    from gateway.policy.engine.rules import columns  # noqa: PLC0415 - a reader of one line

    return tuple((columns(line) or [])[1:])


@pytest.mark.campaign
def test_links_come_and_go_as_in_a_whole_load() -> None:
    dice = counts.dice("policy engine links")
    changed = 0
    while changed < counts.count(100, 5_000):
        made = world(dice)
        rows = [line for line in made.policy.splitlines() if line]
        links = [line for line in rows if line.startswith("g,")]
        try:
            ours = Policy(made.model, made.policy)
        except (Unfit, Beyond):
            continue
        for line in dice.sample(links, min(len(links), 3)):
            rows.remove(line)
            try:
                whole = Policy(made.model, "\n".join(rows) + "\n")
            except Unfit:
                break
            ours.remove("g", columns_of(line))
            changed += 1
            if dice.random() < 0.5:
                rows.append(line)
                ours.add("g", columns_of(line))
                whole = Policy(made.model, "\n".join(rows) + "\n")
            for _ in range(12):
                request = asked(dice, made.request)
                assert outcome(ours.engine, request) == outcome(whole.engine, request), (made, line)


def test_a_model_beyond_the_compiler_runs_on_pycasbin_and_says_so() -> None:
    from gateway.policy.engine import open_engine  # noqa: PLC0415

    model = STOCK.replace("r.act == p.act", 'r.act in [a for a in ("read", p.act)]')
    engine, part = open_engine(model.encode(), b"p, alice, data1, write\n")
    assert engine.name.startswith("pycasbin/2.")
    assert "for a in" in part
    assert engine.decide(["alice", "data1", "read"]) == (True, ("alice", "data1", "write"))
    compiled, part = open_engine(STOCK.encode(), b"p, alice, data1, write\n")
    assert (compiled.name, part) == ("compiled/1", "")


STOCK = """\
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.obj == p.obj && r.act == p.act
"""


def test_conditions_that_fail_are_found_wherever_the_matcher_asks_them() -> None:
    """With the conditions first every rule's own is asked before its columns: one that fails there is an error for all."""
    dice = counts.dice("policy engine early")
    model = STOCK.replace("p = sub, obj, act", "p = cond, obj, act").replace("r.sub == p.sub", "eval(p.cond)")
    conditions = (
        "r.sub.age > 18",
        "r.sub.level in ('gold', 'iron')",
        "r.sub.n / 2 > 1",
        "r.sub.home.city == 'x'",
    )
    seen: Counter[str] = Counter()
    for _ in range(60):
        rows = [f"p, {dice.choice(conditions)}, o{dice.randrange(4)}, read" for _ in range(8)]
        policy = "\n".join(rows) + "\n"
        ours, theirs = Policy(model, policy), StockEngine(model, policy)
        for _ in range(15):
            request = [somebody(dice), f"o{dice.randrange(4)}", "read"]
            expected = outcome(theirs, request)
            assert outcome(ours.engine, request) == expected, (policy, request)
            seen[str(expected)[:5]] += 1
    assert min(seen["error"], seen["(True"], seen["(Fals"]) > 30

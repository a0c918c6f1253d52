"""Random expressions: every operator on values of every kind, most of them in places where they make no sense."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.policy.engine_worlds import EFFECTS, World, odd
from tests.policy.test_policy_engine_refused import model

PLACES = ("r.sub", "r.obj", "r.n", "r.w.a", "r.w.b.c", "r.w['a']", "p.sub", "p.obj", "p.act")
LITERALS = ("1", "2", "0", "'x'", "'y'", "''", "True", "False", "None", "2.5")
# `%` of a text is a format, and an error here: docs/policy-engine.md
ARITHMETIC = ("+", "-", "*", "/", "//", "**", "&", "|", "^", "<<", ">>")


def value(dice: Random, depth: int) -> str:
    """Gives the text of a value."""
    kind = dice.random()
    if depth <= 0 or kind < 0.45:
        return dice.choice((*PLACES, *LITERALS))
    if kind < 0.6:
        return f"({value(dice, depth - 1)} {dice.choice(ARITHMETIC)} {value(dice, depth - 1)})"
    if kind < 0.65:
        return f"(-{value(dice, depth - 1)})"
    if kind < 0.7:
        return f"({value(dice, depth - 1)} if {truth(dice, depth - 1)} else {value(dice, depth - 1)})"
    if kind < 0.75:
        return f"({value(dice, depth - 1)}, {value(dice, depth - 1)})"
    if kind < 0.8:
        return f"[{value(dice, depth - 1)}]"
    if kind < 0.84:
        return f"({value(dice, depth - 1)})[{value(dice, depth - 1)}]"
    return truth(dice, depth - 1)


def truth(dice: Random, depth: int) -> str:
    """Gives the text of what is mostly a truth."""
    kind = dice.random()
    if depth <= 0 or kind < 0.35:
        compare = dice.choice(("==", "==", "==", "!=", "<", ">=", "in", "not in"))
        return f"{value(dice, depth - 1)} {compare} {value(dice, depth - 1)}"
    if kind < 0.4:
        return f"({value(dice, 0)} < {value(dice, 0)} {dice.choice(('<', '<=', '=='))} {value(dice, 0)})"
    if kind < 0.6:
        return f"({truth(dice, depth - 1)} && {truth(dice, depth - 1)})"
    if kind < 0.75:
        return f"({truth(dice, depth - 1)} || {truth(dice, depth - 1)})"
    if kind < 0.8:
        return f"!({truth(dice, depth - 1)})"
    if kind < 0.86:
        return f"g({value(dice, 0)}, {value(dice, 0)})"
    if kind < 0.9:
        return f"keyMatch({value(dice, 0)}, {value(dice, 0)})"
    if kind < 0.93:
        return f"{value(dice, 0)} is {dice.choice(('None', 'True', 'not None'))}"
    if kind < 0.97:
        return dice.choice(("r.sub == p.sub", "r.obj == p.obj", "(r.obj == p.obj || p.obj == '*')"))
    return value(dice, depth - 1)


def expression_world(dice: Random) -> World:
    """Gives a model whose matcher is of these, and rules that may be as well."""
    parts = [truth(dice, 3) for _ in range(dice.randrange(1, 4))]
    parts += [
        dice.choice(("r.sub == p.sub", "g(r.sub, p.sub)", "r.obj == p.obj", "p.act == 'x'"))
        for _ in range(dice.randrange(3))
    ]
    evaluated = dice.random() < 0.4
    if evaluated:
        parts.append("eval(p.act)")
    dice.shuffle(parts)
    text = model(
        dice.choice((" && ", " && ", " && ", " || ")).join(parts),
        dice.choice(EFFECTS[:4]),
        "sub, obj, act, eft",
        "g = _, _",
        request="sub, obj, n, w",
    )
    conditions = [truth(dice, 2) for _ in range(3)]
    rows = [
        f"p, {dice.choice('xyz')}, {dice.choice('xy*')}, {dice.choice(conditions if evaluated else 'xyz')}, "
        f"{dice.choice(('allow', 'deny'))}"
        for _ in range(dice.randrange(1, 8))
    ]
    return World(text, "\n".join([*rows, "g, x, y", "g, y, z"]) + "\n", ("sub", "obj", "n", "w"))


def asked_of_expressions(dice: Random) -> list[Any]:
    """Gives a request of values of any kind."""

    def some() -> Any:
        return (
            dice.choice(("x", "y", "z", "*", "", 1, 2, 0, 2.5, True, None))
            if dice.random() < 0.9
            else odd(dice)
        )

    number = dice.choice((0, 1, 2, 3.5, "x", None, True))
    return [some(), some(), number, dice.choice(({"a": some(), "b": {"c": some()}}, {"a": 1}, some()))]

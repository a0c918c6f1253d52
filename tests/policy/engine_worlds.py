"""Random models, rules and requests of every kind that Casbin's files can hold, and pycasbin's own answer to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from gateway.policy.engine import StockEngine, Undecidable
from gateway.policy.engine.opening import Policy
from gateway.policy.engine.verdict import Engine

NAMES = ("alice", "bob", "carol", "admin", "staff", "root")
THINGS = ("/a", "/a/b", "/a/1", "/b/2/c", "data")
PATTERNS = ("/a", "/a/*", "/a/:id", "/a/{id}", "/:x/2/:y", "/{x}/2/{x}", "/b/*", "data", "*", "/a/[0-9]")
ACTS = ("read", "write", "GET")
EXPRESSIONS = ("read", "^read$", "re.*", "(read)|(write)", "G", "[rw].*e")
DOMAINS = ("d1", "d2", "*")
NETWORKS = ("10.0.0.0/8", "10.1.2.3", "::1", "nothing")
ADDRESSES = ("10.1.2.3", "10.9.9.9", "192.168.0.1", "::1", "house")
EFFECTS = (
    "some(where (p.eft == allow))",
    "!some(where (p.eft == deny))",
    "some(where (p.eft == allow)) && !some(where (p.eft == deny))",
    "priority(p.eft) || deny",
    "subjectPriority(p.eft) || deny",
)
CONDITIONS = (
    "True",
    "r.who.age > 18",
    "r.who.age >= 18 && r.who.age < 60",
    'r.who.dept == "sales"',
    'r.who.dept == "ops" || r.who.age > 30',
    'r.who.level in ("gold", "silver")',
    "r.who.age + 5 > 30",
    "r.who.age / 2 > r.who.n",
    "!(r.who.age > 18)",
    'r.who.name == r.sub && r.act != "write"',
    "r.who.home.city == 'x'",
    "r.obj in r.who.tags",
    "r.who.flag",
    "r.who.age > 18 ? 1 : 2",
    "1 if r.who.flag else 0.5",
    "r.who.age ** 2 > 400",
    "p.sub == r.who.name",
    "r.who.name + 'x' == 'bobx'",
    "keyMatch(r.obj, '/a/*')",
    "18 < r.who.age < 40",
    "r.who.age % 2 == 0",
    "r.who.none is None",
    "g(r.sub, 'admin')",
    "keyMatch(r.obj, 5)",
)
PARTS = {
    "sub": (
        "r.sub == p.sub",
        "p.sub == r.sub",
        'r.sub == p.sub || p.sub == "staff"',
        "r.who.name == p.sub",
        "r.sub in p.sub",
    ),
    "obj": (
        "r.obj == p.obj",
        "keyMatch(r.obj, p.obj)",
        "keyMatch2(r.obj, p.obj)",
        "keyMatch3(r.obj, p.obj)",
        "keyMatch4(r.obj, p.obj)",
        "keyMatch5(r.obj, p.obj)",
        "globMatch(r.obj, p.obj)",
        "(r.obj == p.obj || keyMatch2(r.obj, p.obj))",
        "p.obj in (r.obj, '*')",
        "keyMatch(p.obj, r.obj)",
    ),
    "act": (
        "r.act == p.act",
        'r.act == p.act || p.act == "*"',
        "regexMatch(r.act, p.act)",
        "r.act != p.act",
        "p.act in [r.act]",
    ),
    "dom": ("r.dom == p.dom", '(p.dom == r.dom || p.dom == "*")', "keyMatch(r.dom, p.dom)"),
    "ip": ("ipMatch(r.ip, p.ip)",),
}
ALONE = (
    'r.sub == "root"',
    'r.act == "GET"',
    "r.who.age > 20",
    'r.obj != "data"',
    "(r.sub == 'root' && r.act == 'read')",
    "r.who.flag",
    "r.who.age * 2 > 50",
    'p.act == "read"',
    "p.sub != p.obj",
    "!g(r.sub, 'staff')",
)


@dataclass(frozen=True)
class World:
    """A model, its rows, and the names of its request's columns."""

    model: str
    policy: str
    request: tuple[str, ...]


def world(dice: Random, most: int = 14) -> World:
    """Gives one. Some are refused, some run on pycasbin alone."""
    effect = dice.choices(EFFECTS, (4, 2, 4, 2, 1))[0]
    request = ["sub", "obj", "act", "who"]
    rule = ["sub", "obj", "act"]
    domains = dice.random() < 0.4
    if domains:
        request.append("dom")
        rule.append("dom")
    if dice.random() < 0.15:
        request.append("ip")
        rule.append("ip")
    evaluated = dice.random() < 0.4
    if evaluated:
        rule.append("cond")
    if dice.random() < 0.25:
        rule.insert(dice.randrange(len(rule)) if "subject" not in effect else len(rule), "priority")
    if "eft" not in rule and (effect != EFFECTS[0] or dice.random() < 0.5):
        rule.append("eft")
    roles = (
        {"g": 3 if domains and dice.random() < 0.8 else 2}
        if dice.random() < 0.7 or "subject" in effect
        else {}
    )
    if roles and dice.random() < 0.3:
        roles["g2"] = 2
    lines = [
        "[request_definition]",
        "r = " + ", ".join(request),
        "[policy_definition]",
        "p = " + ", ".join(rule),
        *(["[role_definition]"] if roles else []),
        *(f"{name} = " + ", ".join("_" * width) for name, width in roles.items()),
        "[policy_effect]",
        "e = " + effect,
        "[matchers]",
        "m = " + matcher(dice, rule, roles, evaluated),
    ]
    rows = [
        ", ".join(["p", *(cell(dice, column) for column in rule)]) for _ in range(dice.randrange(1, most))
    ]
    for name, width in roles.items():
        pool = NAMES if name == "g" else (*THINGS, *NAMES[3:])
        for _ in range(dice.randrange(1, 7)):
            ends = dice.sample(pool, 2)
            rows.append(", ".join([name, *ends, *([dice.choice(DOMAINS)] if width == 3 else [])]))
    dice.shuffle(rows)
    return World("\n".join(lines) + "\n", "\n".join(rows) + "\n", tuple(request))


def matcher(dice: Random, rule: Sequence[str], roles: dict[str, int], evaluated: bool) -> str:
    """Gives a matcher over these columns."""
    parts = []
    for column in rule:
        if column not in PARTS or dice.random() < 0.15:
            continue
        part = dice.choices(PARTS[column], (6, *(1 for _ in PARTS[column][1:])))[0]
        if column == "sub" and "g" in roles and dice.random() < 0.8:
            part = "g(r.sub, p.sub)"
            if roles["g"] == 3:
                part = f"g(r.sub, p.sub, {dice.choice(('r.dom', 'r.dom', 'p.dom'))})"
                if dice.random() < 0.3:
                    part = f'({part} || g(r.sub, p.sub, "*"))'
        if column == "obj" and "g2" in roles and dice.random() < 0.8:
            part = "g2(r.obj, p.obj)"
        parts.append(part if "||" not in part or part.startswith("(") else f"({part})")
    parts += [dice.choice(ALONE) for _ in range(dice.choices((0, 1, 2), (6, 3, 1))[0])]
    if evaluated:
        parts.append("eval(p.cond)")
    dice.shuffle(parts)
    if evaluated and dice.random() < 0.5:
        parts.remove("eval(p.cond)")
        parts.append("eval(p.cond)")
    text = " && ".join(parts) or "r.sub == p.sub"
    shape = dice.random()
    if shape < 0.15:
        text += " || " + dice.choice(ALONE)
    elif shape < 0.2:
        text = f"!({text})"
    elif shape < 0.28 and len(parts) > 2:
        text = " && ".join(parts[:-2]) + f" && ({parts[-2]} || {parts[-1]})"
    if "g(" in text and "g" not in roles:
        text = text.replace("!g(r.sub, 'staff')", "r.sub != 'staff'")
    return text


def cell(dice: Random, column: str) -> str:
    """Gives a value for a rule's column."""
    pools: dict[str, Sequence[str]] = {
        "sub": NAMES,
        "obj": THINGS if dice.random() < 0.5 else PATTERNS,
        "act": (*ACTS, "*") if dice.random() < 0.6 else EXPRESSIONS,
        "dom": DOMAINS,
        "ip": NETWORKS,
        "cond": CONDITIONS,
        "eft": ("allow", "allow", "deny"),
        "priority": ("1", "2", "10"),
    }
    return dice.choice(pools[column])


def asked(dice: Random, columns: Sequence[str]) -> list[Any]:
    """Gives a request; now and then with values that no rule was written for."""
    pools: dict[str, Sequence[str]] = {
        "sub": NAMES,
        "obj": THINGS,
        "act": ACTS,
        "dom": DOMAINS,
        "ip": ADDRESSES,
    }
    found: list[Any] = []
    for column in columns:
        if column == "who":
            found.append(somebody(dice))
        elif dice.random() < 0.04:
            found.append(odd(dice))
        else:
            found.append(dice.choice(pools[column]))
    return found


def somebody(dice: Random) -> Any:
    """Gives an object with attributes; some are absent, some are of another kind."""
    if dice.random() < 0.04:
        return odd(dice)
    whole = {
        "age": dice.choice((10, 17, 18, 25, 40, 70, 25.5, True)),
        "n": dice.choice((0, 1, 30)),
        "dept": dice.choice(("sales", "ops")),
        "level": dice.choice(("gold", "iron")),
        "name": dice.choice(NAMES),
        "home": {"city": dice.choice("xy")},
        "tags": dice.sample(THINGS, 2),
        "flag": dice.choice((True, False)),
        "none": None,
    }
    if dice.random() < 0.3:
        name = dice.choice(sorted(whole))
        if dice.random() < 0.5:
            del whole[name]
        else:
            whole[name] = odd(dice)
    return whole


def odd(dice: Random) -> Any:
    """Gives a value of any kind that JSON has."""
    return dice.choice(
        [None, 0, 1, -3, 2.5, True, False, "", "é\n", [], ["read"], {}, {"x": 1}, [[1], {"a": []}]]
    )


Outcome = tuple[bool, tuple[str, ...] | None] | str


def outcome(engine: Engine, request: Sequence[Any]) -> Outcome:
    """Gives the verdict as a value, or "error"."""
    try:
        return tuple(engine.decide(request))  # type: ignore[return-value]
    except Undecidable:
        return "error"


def both(made: World) -> tuple[Policy, StockEngine]:
    """Gives our engine and pycasbin over one world. Raises Unfit, Beyond."""
    return Policy(made.model, made.policy), StockEngine(made.model, made.policy)

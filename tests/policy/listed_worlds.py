"""Seeded policies for lists, who asks, and the records that they are asked about: what an index, a collation or a null could get wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random

from gateway.policy.bundle import Bundle
from gateway.policy.known import known
from gateway.policy.load import build
from gateway.words.json import Json, JsonObject
from gateway.words.principal import Principal
from gateway.words.resource import Holds, ResourceSpec
from tests.policy.worlds import PERSON, ROLES, UNITS, files, party, principal, spec, world

TYPED = {
    "unit": Holds.TEXT,
    "owner": Holds.TEXT,
    "level": Holds.TEXT,
    "region": Holds.TEXT,
    "tags": Holds.TEXTS,
}
ANYTHING = spec("customer", *TYPED)
TEXTS = replace(
    ANYTHING,
    fields=tuple(replace(f, holds=TYPED[f.fact]) if f.fact else f for f in ANYTHING.fields),
)
"""As the embedded store's customers are: texts, and one list."""
WITHOUT_UNIT = replace(TEXTS, fields=tuple(f for f in TEXTS.fields if f.fact != "unit"))
SCALARS = ("owner", "level", "region")

# Case, blanks at the end, Chinese, accents in both forms, numbers as text, what other languages call nothing, wildcards.
WORDS = (
    "a",
    "A",
    "a ",
    " a",
    "ab",
    "b",
    "张",
    "张三",
    "三张",
    "é",
    "e\u0301",
    "ß",
    "10",
    "9",
    "3",
    "true",
    "None",
    "null",
    "-",
    "*",
    "a_",
)
NUMBERS = (0, 1, 2, 3, -1, 2**53 - 1, 2**53, 2**70, 1.0, 2.5)
_LONG = ("a" * 4096, "张" * 4096, "a" * 4097, "张" * 4097)
_LISTS: tuple[Json, ...] = (
    [],
    [""],
    ["a"],
    ["A", "张"],
    ["a ", "b"],
    ["10", "3"],
    [PERSON],
    ["x"] * 257,
    ["a", "y" * 4096],
    ["张三"] * 3,
)


def condition(dice: Random, *, numbers: bool, depth: int = 2) -> str:
    """Gives a condition in the language; some fail on some records. numbers: facts are compared with those as well."""
    if depth and dice.random() < 0.45:
        one, other = (condition(dice, numbers=numbers, depth=depth - 1) for _ in range(2))
        forms = ("{} and {}", "({}) or ({})", "not ({})", "!({}) && ({})", "({}) or not ({})")
        return dice.choice(forms).format(one, other)
    fact = dice.choice(SCALARS)
    op = dice.choice(("==", "!=", "<", "<=", ">", ">="))
    value: str = f'"{dice.choice(WORDS)}"'
    if numbers and dice.random() < 0.4:
        value = dice.choice(("0", "1", "2", "3", "True", "False"))
    atoms = (
        f"r.rec.{fact} {op} {value}",
        f"r.rec.{fact} {dice.choice(('==', '!='))} {value}",
        f"{value} {op} r.rec.{fact}",
        f"r.rec.{fact} {dice.choice(('in', 'not in'))} [{value}; {_text(dice)}]".replace(";", ","),
        f"r.rec.{fact} {dice.choice(('in', 'not in'))} [None, {_text(dice)}]",
        f"r.rec.{fact} {dice.choice(('==', '!='))} None",
        f"r.rec.owner {op} r.sub.id",
        f"{_text(dice)} {dice.choice(('in', 'not in'))} r.rec.tags",
        "r.sub.id in r.rec.tags",
        "r.rec.owner not in r.rec.tags",
        f"r.rec.owner {op} r.rec.region",
        f'"a" < r.rec.{fact} <= "张"',
        f"r.rec.unit {dice.choice(('==', '!='))} {dice.choice(('None', 'r.dom', chr(34) + UNITS[0] + chr(34)))}",
        f'r.dom {op} "{dice.choice((*UNITS, "-"))}"',
        f'r.dom in ["{UNITS[1]}", "-"]',
        f"r.sub.grade >= {dice.randrange(4)}",
        "r.rec.level == r.sub.grade",
        f"r.env.hour {op} {dice.randrange(24)}",
        f'r.env.date >= "2026-11-0{dice.randrange(1, 5)}"',
        "r.env.weekday in [6, 7]",
        "r.sub.alone == False",
        'r.pur != "audit"',
        "True",
        "False",
    )
    return dice.choice(atoms)


def _text(dice: Random) -> str:
    return f'"{dice.choice(WORDS)}"'


def policy(dice: Random, *, numbers: bool = False) -> str:
    """Gives rules on lists of customers: allow and deny, for units and everywhere, and links between the roles."""
    lines = {}
    for _ in range(dice.randrange(2, 9)):
        deny = dice.random() < 0.3
        columns = (
            dice.choice(ROLES),
            dice.choice(("*", "*", *UNITS)),
            "*" if deny and dice.random() < 0.2 else "crm/customer",
            "customer:*" if deny and dice.random() < 0.5 else "customer:list",
            "-",
            dice.choice(("*", "service", "service", "audit")),
            "True" if dice.random() < 0.2 else condition(dice, numbers=numbers),
            "deny" if deny else "allow",
        )
        lines["p, " + ", ".join(columns)] = None
    links = [
        ("role:a", "role:b"),
        ("role:b", "role:c"),
        ("role:c", "role:d"),
        (PERSON, "role:b"),
        ("app:x", "role:c"),
    ]
    for member, role in links:
        if dice.random() < 0.6:
            lines[f"g, {member}, {role}, {dice.choice(('*', '*', *UNITS))}"] = None
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Asked:
    """One policy, and who asks it when."""

    text: str
    bundle: Bundle
    resource: ResourceSpec
    who: Principal
    time: datetime


def asked(dice: Random, resource: ResourceSpec) -> Asked | None:
    """Gives a question under a policy; None where the policy is refused, as what an administrator writes at random mostly is."""
    text = policy(dice, numbers=resource is ANYTHING)
    made, _ = build(files(text), known(world(resource)))
    if made is None:
        return None
    held = [
        f"{role}{dice.choice(('', '', '@' + UNITS[0], '@' + UNITS[1]))}"
        for role in ROLES
        if dice.random() < 0.5
    ]
    parties = [
        party("app:x", *held, **({"grade": dice.choice((1, 3, True, "a"))} if dice.random() < 0.5 else {}))
    ]
    if dice.random() < 0.6:
        parties.append(
            party(PERSON, *(f"role:{dice.choice('abcd')}" for _ in range(2)), grade=dice.randrange(4))
        )
    time = datetime(2026, 11, 2, tzinfo=UTC) + timedelta(hours=dice.randrange(72))
    return Asked(text, made, resource, principal(*parties), time)


def record(dice: Random, *, stored: bool) -> JsonObject:
    """Gives a record's fields: absent, null, empty, and everything above. stored: only what the embedded store's columns take."""
    made: JsonObject = {}
    for name in SCALARS:
        values: tuple[Json, ...] = (None, "", *WORDS, PERSON, "app:x")
        if name == "region" and dice.random() < 0.1:
            values = _LONG
        elif not stored and dice.random() < 0.4:
            values = (*NUMBERS, True, False, {}, {"a": 1}, *_LISTS, [1])
        if stored or dice.random() < 0.9:
            made[name] = dice.choice(values)
    units: tuple[Json, ...] = (
        *UNITS,
        *UNITS,
        *UNITS,
        "branch:east",
        None,
        "",
        "*",
        "-",
        UNITS[0].upper(),
        UNITS[0] + " ",
    )
    made["unit"] = dice.choice(units if stored else (*units, 1, [UNITS[0]], "u" * 4097))
    made["tags"] = dice.choice(
        (None, *_LISTS, "a", "xax") if stored else (None, *_LISTS, "a", "xax", 1, ["a", 1], True)
    )
    return made

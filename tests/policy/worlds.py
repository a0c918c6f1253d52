"""Builders for policy tests: a small catalogue, a vocabulary, principals, and seeded random policies and questions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from gateway.policy.bundle import Bundle
from gateway.policy.known import Known, known
from gateway.policy.load import build
from gateway.words.access import Access, ResourceRef
from gateway.words.decision import Facts, FactValue, Floors
from gateway.words.principal import Party, Principal, RoleHeld
from gateway.words.resource import (
    FieldClass,
    FieldSpec,
    Idempotency,
    ResourceSpec,
    RouteSpec,
    Shape,
    UpstreamSpec,
    Verb,
    Versioning,
)

ROOT = Path(__file__).parents[2]
MODEL = (ROOT / "policies" / "model.conf").read_text()
NOW = datetime(2026, 11, 2, 2, 0, tzinfo=UTC)

VOCABULARY = """\
clock: "UTC+08:00"
purposes:
  service: {zh: 服务, en: service}
  audit: {zh: 审计, en: audit}
roles:
  role:a: {zh: 甲, en: a}
  role:b: {zh: 乙, en: b}
  role:c: {zh: 丙, en: c}
  role:d: {zh: 丁, en: d}
units:
  branch:north: {zh: 北, en: north}
  branch:south: {zh: 南, en: south}
attributes: [grade]
"""

PERSON = "person:https://id.example#kim"


def spec(name: str = "customer", *facts: str) -> ResourceSpec:
    fields = [
        FieldSpec("/id", FieldClass.PUBLIC, server_set=True),
        FieldSpec("/name", FieldClass.IDENTITY, sealed=True, key_class="profile"),
        FieldSpec("/phone", FieldClass.CONTACT, sealed=True, key_class="profile"),
    ]
    fields += [FieldSpec(f"/{fact}", FieldClass.INTERNAL, fact=fact) for fact in facts]
    return ResourceSpec(
        upstream="crm",
        name=name,
        fields=tuple(fields),
        subject=None,
        id_public=False,
        versioning=Versioning.ETAG,
        version_at=None,
        idempotency=Idempotency.NONE,
        lookup=None,
        lookup_field=None,
        read_target="/customers/{id}",
    )


CUSTOMER = spec("customer", "unit", "owner", "level", "tags", "region")


def route(verb: Verb, action: str) -> RouteSpec:
    return RouteSpec(action, "crm", "GET", ("customers",), "customer", verb, action, Shape())


@dataclass(frozen=True)
class World:
    upstreams: dict[str, UpstreamSpec]
    digest: str = "sha256:catalogue"


def world(*resources: ResourceSpec) -> World:
    actions = {
        "customer:read": Verb.READ,
        "customer:list": Verb.LIST,
        "customer:update": Verb.UPDATE,
    }
    crm = UpstreamSpec(
        name="crm",
        prefix="/crm",
        base="embedded:",
        credential=None,
        headers=(),
        connect_seconds=1,
        answer_seconds=1,
        max_answer_bytes=1000,
        routes=tuple(route(verb, action) for action, verb in actions.items()),
        resources={r.name: r for r in resources or (CUSTOMER,)},
    )
    return World({"crm": crm})


def ground() -> Known:
    return known(world())


def files(policy: str, *, model: str = MODEL, vocabulary: str = VOCABULARY) -> dict[str, bytes]:
    return {
        "model.conf": model.encode(),
        "policy.csv": policy.encode(),
        "vocabulary.yaml": vocabulary.encode(),
    }


def bundle(policy: str, *, model: str = MODEL) -> Bundle:
    made, findings = build(files(policy, model=model), ground())
    assert made is not None, [str(finding) for finding in findings]
    return made


def party(who: str = PERSON, *held: str, **attributes: str | int | bool) -> Party:
    """`held` as `role:a@branch:north`, or `role:a` for everywhere."""
    roles = [RoleHeld(*text.split("@")) if "@" in text else RoleHeld(text) for text in held]
    return Party(who, frozenset(roles), attributes)


def principal(*parties: Party, purposes: frozenset[str] = frozenset({"service"})) -> Principal:
    application, person = (parties[0], parties[1]) if len(parties) > 1 else (parties[0], None)
    return Principal(application, person, purposes, ("test",))


def access(
    who: Principal, action: str = "customer:read", purpose: str | None = "service", time: datetime = NOW
) -> Access:
    return Access("req_1", who, action, purpose, ResourceRef("crm", "customer", "7"), time)


def facts(floors: Floors | None = None, /, **values: FactValue) -> Facts:
    return Facts(values, floors or Floors())


# --- seeded random policies ---------------------------------------------------------------------------------------------------

ROLES = ("role:a", "role:b", "role:c", "role:d")
UNITS = ("branch:north", "branch:south")
ACTS = ("customer:read", "customer:update", "show:clear", "show:masked", "show:token", "set")


def condition(dice: Random, depth: int = 2) -> str:
    """A condition in the allowed language; some fail on some facts, as an administrator's would."""
    if depth and dice.random() < 0.4:
        one, other = condition(dice, depth - 1), condition(dice, depth - 1)
        return dice.choice(
            (f"{one} and {other}", f"({one}) || {other}", f"not ({one})", f"!({one}) && ({other})")
        )
    return dice.choice(
        (
            "True",
            "True",
            "False",
            "r.rec.owner == r.sub.id",
            "r.rec.owner != r.sub.id",
            f"r.rec.level {dice.choice(('<', '<=', '>', '>=', '==', '!='))} {dice.randrange(4)}",
            '"hot" in r.rec.tags',
            "r.rec.owner not in r.rec.tags",
            'r.rec.region in ["east", "west"]',
            "r.rec.region == None",
            f"r.env.hour < {dice.randrange(24)}",
            "0 < r.rec.level < 3",
            "r.rec.level >= 1",
            "r.rec.owner < r.rec.level",
            "r.sub.grade >= 2",
            "r.sub.alone == False",
            'r.pur != "audit"',
            "r.rec.unit == r.dom",
        )
    )


def policy(dice: Random, rows: int, *, deny: float = 0.4) -> str:
    """Rules over a handful of names, so that many of them meet; links from lower to higher letters, so that there is no circle."""
    lines = ["p, role:d, *, crm/customer, customer:list, -, *, True, allow"]
    for cls in ("contact", "internal"):
        lines.append(f"p, role:d, *, crm/customer, show:clear, {cls}, service, {condition(dice, 0)}, allow")
    for _ in range(rows):
        act = dice.choice(ACTS)
        effect = "deny" if dice.random() < deny else "allow"
        if effect == "deny" and act.startswith("show:"):
            act = dice.choice(("show:clear", "show:*"))
        if effect == "deny" and act.startswith("customer:"):
            act = dice.choice((act, "customer:*"))
        field = "-"
        if not act.startswith("customer:"):
            field = dice.choice(("/phone", "/name", "contact", "identity", "internal"))
            field = "*" if effect == "deny" and dice.random() < 0.3 else field
        columns = (
            dice.choice(ROLES),
            dice.choice(("*", "*", "*", *UNITS)),
            "*" if effect == "deny" and dice.random() < 0.2 else "crm/customer",
            act,
            field,
            dice.choice(("*", "*", "service", "audit")),
            condition(dice),
            effect,
        )
        lines.append("p, " + ", ".join(columns))
    for member, role in (
        ("role:a", "role:b"),
        ("role:b", "role:c"),
        ("role:c", "role:d"),
        (PERSON, "role:b"),
    ):
        if dice.random() < 0.7:
            lines.append(f"g, {member}, {role}, {dice.choice(('*', '*', *UNITS))}")
    return "\n".join(_unique(lines)) + "\n"


def _unique(lines: list[str]) -> list[str]:
    """Neither the same row twice nor its opposite: the lint refuses both."""
    kept: dict[str, str] = {}
    for line in lines:
        kept.setdefault(line.rpartition(",")[0] if line.startswith("p") else line, line)
    return list(kept.values())


def some_bundle(dice: Random, deny: float) -> Bundle:
    """A random policy that the lint accepts (it refuses chains that leave a unit and come back)."""
    while True:
        made, _findings = build(files(policy(dice, dice.randrange(6, 20), deny=deny)), ground())
        if made is not None:
            return made


def some_party(dice: Random) -> Party:
    held = [
        f"{dice.choice(ROLES)}{dice.choice(('', '', '@branch:north', '@branch:south'))}"
        for _ in range(dice.randrange(1, 4))
    ]
    attributes = dice.choice(({}, {"grade": 1}, {"grade": 3}, {"grade": "x"}))
    return party(dice.choice((PERSON, "app:shop")), *held, **attributes)


def some_facts(dice: Random) -> Facts:
    values: dict[str, FactValue] = {
        "unit": dice.choice((*UNITS, "branch:elsewhere", None)),
        "owner": dice.choice((PERSON, "hot", None)),
        "level": dice.choice((0, 1, 2, 3, "2", True, None)),
        "tags": dice.choice((("hot", "new"), (), None, "hot", "hotter")),
        "region": dice.choice(("east", "north", None)),
    }
    for name in list(values):
        if dice.random() < 0.1:
            del values[name]
    unfit = frozenset(name for name in values if name != "unit" and dice.random() < 0.05)
    return Facts({name: value for name, value in values.items() if name not in unfit}, unfit=unfit)

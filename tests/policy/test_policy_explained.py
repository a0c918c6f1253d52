"""An explanation says what the engine says, names what nearly was, and each way that it names does allow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from gateway import catalogue
from gateway.policy.bundle import Rules
from gateway.policy.decider import Engine, prepare
from gateway.policy.load import load
from gateway.policy.why.explain import explain
from gateway.policy.why.explanation import Change, Column, Explanation, Kind, Near, Posed, Why
from gateway.policy.why.otherwise import posed_so
from gateway.words.access import ResourceRef
from gateway.words.decision import DecidedBy, Disclosure, Facts, FactValue, Floors, Reason, Rule
from gateway.words.principal import Party, Principal
from tests.policy import worlds


def some_question(dice: Random) -> Posed:
    parties = (worlds.some_party(dice), worlds.some_party(dice))[: dice.randrange(1, 3)]
    if len(parties) == 1 or parties[0].id == parties[1].id:
        parties = parties[:1]
    asked = worlds.access(
        worlds.principal(*parties, purposes=frozenset({"service", "audit"})),
        dice.choice(("customer:read", "customer:read", "customer:update", "customer:list")),
        dice.choice(("service",) * 6 + ("audit",) * 3 + (None,)),
        datetime(2026, 11, 2, tzinfo=UTC) + timedelta(hours=dice.randrange(24)),
    )
    known = worlds.some_facts(dice)
    if dice.random() < 0.05:
        known = replace(
            known, floors=dice.choice((Floors(erased=True), Floors(refused=frozenset({"service"}))))
        )
    return Posed(asked, worlds.CUSTOMER, known)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(2))
def test_an_explanation_says_what_the_engine_says(seed: int) -> None:
    dice = Random(f"explained {seed}")
    seen: dict[Reason, int] = {}
    ways = changed = 0
    columns: dict[Column, int] = {}
    for _ in range(16):
        bundle = worlds.some_bundle(dice, dice.choice((0.2, 0.5, 0.7)))
        engine = Engine(bundle)
        for _ in range(12):
            posed = some_question(dice)
            said = explain(engine, posed)
            decision = prepare(Engine(bundle), posed.access, posed.resource, 0).decide(posed.facts)
            seen[decision.reason] = seen.get(decision.reason, 0) + 1
            assert said.allowed is decision.allowed
            if posed.access.purpose is None or decision.by is DecidedBy.FLOOR:
                assert not said.allowed
                continue
            assert said.whole
            denying = [v for v in said.verdicts if v.reason is not Reason.RULE_ALLOWED]
            verdict = denying[0] if denying else said.verdicts[-1]
            assert (verdict.reason, verdict.rule) == (decision.reason, decision.rule)
            assert {f.pattern: f.shown for f in said.fields} == {
                spec.pattern: decision.read.of(spec.pattern) for spec in posed.resource.fields
            }
            assert {f.pattern for f in said.fields if f.settable} == decision.write
            for near in said.near:
                columns[near.column] = columns.get(near.column, 0) + 1
                if " customer:" in near.rule.text:
                    assert not applies_to(engine, near, posed)
                    if near.change is not None:
                        changed += 1
                        assert applies_to(engine, near, posed_so(posed, near.change, bundle))
            for way in said.ways:
                ways += 1
                so = posed
                for change in way:
                    so = posed_so(so, change, bundle)
                assert prepare(Engine(bundle), so.access, so.resource, 0).decide(so.facts).allowed
    assert min(seen.get(r, 0) for r in (Reason.RULE_ALLOWED, Reason.RULE_DENIED, Reason.NO_RULE)) >= 8, seen
    assert min(columns.get(column, 0) for column in Column) >= 8, columns
    assert (ways >= 60, changed >= 60) == (True, True), (ways, changed)


def applies_to(engine: Engine, near: Near, posed: Posed) -> bool:
    """Whether the rule matches for that party, by an engine that has this rule alone, as an allow, and by that party alone."""
    (line,) = [line for line in engine.bundle.rules.lines if line.rule == near.rule]
    lonely = Engine(replace(engine.bundle, rules=Rules([replace(line, allows=True)])))
    (at,) = [n for n, party in enumerate(posed.access.principal.parties) if party.id == near.party]
    asking = lonely.question(
        posed.access.principal, posed.access.action, posed.access.purpose or "-", posed.resource
    )
    prepared = prepare(lonely, posed.access, posed.resource, 0)
    asked = prepared._asked(posed.facts)  # type: ignore[union-attr] # a purpose is held
    plan = asking.plan(asked[0].dom).parties[at]  # type: ignore[attr-defined] # the compiled one
    return bool(plan.record.allowed(plan.vector(asked[at])))


# ── stories of the shipped policy ────────────────────────────────────────────────────────────────────────────────────

CATALOGUE = catalogue.load(worlds.ROOT / "policies" / "catalogue", allowed_hosts=frozenset())
SHIPPED = load(worlds.ROOT / "policies", CATALOGUE)
RESOURCES = CATALOGUE.upstreams["crm"].resources
LI, ZHANG, ANNA = (
    f"person:https://id.demo.example#{name}" for name in ("li.wei", "zhang.min", "anna.schmidt")
)
SHANGHAI = {"unit": "branch:shanghai", "level": "standard", "owner": "agent.lin", "tags": ("renewal",)}


def shipped(
    person: str,
    action: str = "customer:read",
    purpose: str = "service",
    *,
    application: str = "app:desk",
    held: frozenset[str] = frozenset({"service"}),
    unfit: frozenset[str] = frozenset(),
    **facts: FactValue,
) -> Explanation:
    principal = Principal(Party(application), Party(person), held, ("test",))
    resource = RESOURCES[action.partition(":")[0]]
    access = replace(worlds.access(principal, action, purpose), ref=ResourceRef("crm", resource.name, "42"))
    known = {**SHANGHAI, **facts}
    return explain(Engine(SHIPPED), Posed(access, resource, Facts(known, unfit=unfit)))


def text_of(rule: Rule | None) -> str:
    assert rule is not None
    (line,) = [row.text for row in SHIPPED.rows if row.line == rule.line]
    assert line == rule.text
    return line


def test_a_deny_that_beats_an_allow_is_named_with_the_allow_and_with_what_would_lift_it() -> None:
    said = shipped(LI, level="vip")
    assert (said.decision.reason, text_of(said.decision.rule)[:14]) == (Reason.RULE_DENIED, "p, role:agent,")
    assert [(h.party, h.allows) for h in said.rules] == [("app:desk", True), (LI, True), (LI, False)]
    assert {change.name for way in said.ways for change in way} == {"level", "owner"}
    assert (Change(Kind.FACT, "owner", LI),) in said.ways


def test_a_default_deny_names_the_role_that_would_do() -> None:
    said = shipped(LI, "customer:create")
    assert said.decision.reason is Reason.NO_RULE
    near, ceiling = said.near
    assert (ceiling.wanted, ceiling.party) == ("role:app-desk", LI)
    assert (near.column, near.wanted, near.found) == (Column.ROLE, "role:supervisor", {"role:supervisor": ()})
    assert said.ways[0] == (Change(Kind.ROLE, "role", "role:supervisor", LI, "branch:shanghai"),)


def test_a_role_that_is_held_in_another_unit_is_said_to_be() -> None:
    said = shipped(ZHANG, "customer:create", unit="branch:beijing")
    near = next(near for near in said.near if near.party == ZHANG)
    assert near.found == {"role:supervisor": ("branch:shanghai",)}
    assert (Change(Kind.FACT, "unit", "branch:shanghai"),) in said.ways


def test_the_purpose_to_state_comes_before_all_other_ways() -> None:
    said = shipped(LI, purpose="complaint", held=frozenset({"service", "complaint"}))
    assert said.ways[0] == (Change(Kind.PURPOSE, "purpose", "service"),)
    held = shipped(LI, purpose="complaint", held=frozenset({"complaint"}))
    assert held.ways[0] == (Change(Kind.CREDENTIAL, "purpose", "service"),)


def test_the_one_part_of_a_condition_that_failed_is_named_with_what_stood_there() -> None:
    said = shipped(
        LI.replace("li.wei", "sun.lei"),
        "message:update",
        application="app:demo-supervisor",
        author_kind="staff",
        author=ZHANG,
    )
    near = next(n for n in said.near if n.column is Column.CONDITION)
    assert (near.wanted, near.found["r.rec.author"]) == ("r.rec.author == r.sub.id", ZHANG)


@pytest.mark.parametrize(
    ("role", "unit", "purpose", "condition", "near"),
    [
        ("role:a", "*", "*", 'r.rec.level == "vip" and r.rec.region == "east"', []),
        ("role:a", "*", "audit", 'r.rec.level == "vip"', []),
        ("role:b", "*", "*", 'r.rec.level == "vip"', []),
        ("role:b", "*", "audit", "True", []),
        ("role:a", "branch:south", "audit", "True", []),
        ("role:a", "*", "*", 'r.rec.level == "vip" and r.rec.region == "west"', [Column.CONDITION]),
        ("role:a", "*", "audit", 'r.rec.region == "west"', [Column.PURPOSE]),
        ("role:b", "*", "*", 'r.rec.region == "west"', [Column.ROLE]),
        ("role:a", "branch:south", "*", 'r.rec.region == "west"', [Column.UNIT]),
    ],
)
def test_nearly_is_by_exactly_one_thing(
    role: str, unit: str, purpose: str, condition: str, near: list[Column]
) -> None:
    policy = f"p, {role}, {unit}, crm/customer, customer:read, -, {purpose}, {condition}, allow\n"
    asked = worlds.access(worlds.principal(worlds.party(worlds.PERSON, "role:a")))
    known = worlds.facts(unit="branch:north", level="gold", region="west")
    said = explain(Engine(worlds.bundle(policy)), Posed(asked, worlds.CUSTOMER, known))
    assert [one.column for one in said.near] == near
    assert all(one.change is not None for one in said.near)


def test_a_change_that_breaks_another_part_of_the_condition_is_not_named() -> None:
    """Another day of the week is another date."""
    policy = 'p, role:a, *, crm/customer, customer:read, -, *, r.env.weekday == 7 and r.env.date == "2026-11-02", allow\n'
    asked = worlds.access(worlds.principal(worlds.party(worlds.PERSON, "role:a")))
    said = explain(Engine(worlds.bundle(policy)), Posed(asked, worlds.CUSTOMER, worlds.facts()))
    (near,) = said.near
    assert (near.wanted, near.found, near.change) == ("r.env.weekday == 7", {"r.env.weekday": 1}, None)
    assert said.ways == ()


def test_two_things_may_have_to_change() -> None:
    said = shipped(LI, "customer:create", "audit", held=frozenset({"audit"}))
    assert [{change.kind for change in way} for way in said.ways][:1] == [{Kind.CREDENTIAL, Kind.ROLE}]


def test_each_field_says_why_it_is_shown_as_it_is() -> None:
    said = shipped(LI)
    fields = {field.pattern: field for field in said.fields}
    assert (fields["/name"].shown, fields["/name"].why) == (Disclosure.CLEAR, Why.RULE)
    assert (fields["/phone"].shown, fields["/phone"].why) == (Disclosure.MASKED, Why.NARROWED)
    assert [(p.party, p.shown) for p in fields["/phone"].parties] == [
        ("app:desk", Disclosure.CLEAR),
        (LI, Disclosure.MASKED),
    ]
    withheld = fields["/id_number"]
    assert (withheld.shown, withheld.why) == (Disclosure.WITHHELD, Why.NARROWED)
    assert withheld.parties[1].why is Why.DEFAULT
    assert (fields["/id"].settable, fields["/id"].set_why) == (False, Why.SERVER_SET)


def test_what_denies_below_every_rule_has_no_way_around() -> None:
    principal = Principal(Party("app:desk"), Party(LI), frozenset({"service"}), ("test",))
    posed = Posed(worlds.access(principal), RESOURCES["customer"], Facts(dict(SHANGHAI), Floors(erased=True)))
    said = explain(Engine(SHIPPED), posed)
    assert (said.decision.reason, said.decision.by, said.ways) == (Reason.ERASED, DecidedBy.FLOOR, ())


def test_a_value_that_is_no_fact_is_said_to_be_none_and_never_shown() -> None:
    said = shipped(LI, unfit=frozenset({"level"}))
    assert said.decision.reason is Reason.ENGINE_ERROR
    assert [(seen.name, seen.value, seen.fit) for seen in said.facts] == [
        ("level", None, False),
        ("owner", "agent.lin", True),
        ("unit", "branch:shanghai", True),
    ]
    assert [h.failed for h in said.rules if not h.allows] == [True]


def test_what_pycasbin_alone_can_read_is_not_explained_by_half() -> None:
    model = worlds.MODEL.rstrip() + ' && regexMatch(r.sub.id, "^person:.*$")\n'
    head, _, tail = model.rpartition(" && eval(p.cond)")
    bundle = worlds.bundle(
        "p, role:a, *, crm/customer, customer:read, -, *, True, allow\n",
        model=f"{head}{tail.rstrip()} && eval(p.cond)\n",
    )
    asked = worlds.access(worlds.principal(worlds.party(worlds.PERSON, "role:b")))
    said = explain(Engine(bundle), Posed(asked, worlds.CUSTOMER, worlds.facts(unit="branch:north")))
    assert (said.whole, said.allowed, said.rules, said.near) == (False, False, (), ())

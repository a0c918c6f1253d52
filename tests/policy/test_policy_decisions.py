"""Step 5 as the corridor asks it: floors, purposes, parties that meet, errors that deny, and the rule that is named."""

from __future__ import annotations

from datetime import datetime

import pytest

from gateway.policy import PolicyDecider
from gateway.policy.decider import Engine, prepare
from gateway.rooms import Decider, Prepared
from gateway.words.control import CONTROL_KEY
from gateway.words.decision import DecidedBy, Decision, Disclosure, Facts, Floors, Reason
from gateway.words.principal import Party, Principal, RoleHeld
from tests.policy import worlds
from tests.policy.worlds import CUSTOMER, access, bundle, facts, party, principal

KIM = worlds.PERSON
READ = "p, role:a, *, crm/customer, customer:read, -, service, True, allow\n"
CLEAR = "p, role:a, *, crm/customer, show:clear, contact, service, True, allow\n"


def decide(policy: str, who: Principal, known: Facts | None = None, **asked: object) -> Decision:
    decider = PolicyDecider(bundle(policy))
    return decider.prepare(access(who, **asked), CUSTOMER, 7).decide(known or facts())


def test_the_room_fits_the_corridors_protocols() -> None:
    decider: Decider = PolicyDecider(bundle(READ))
    prepared: Prepared = decider.prepare(access(principal(party(KIM, "role:a"))), CUSTOMER, 7)
    assert prepared.decide(facts()).fence == 7


def test_without_a_bundle_everything_is_denied() -> None:
    prepared = PolicyDecider().prepare(access(principal(party(KIM, "role:a"))), CUSTOMER, 7)
    decision = prepared.decide(facts())
    assert (decision.allowed, decision.reason) == (False, Reason.NO_BUNDLE)
    assert prepared.early() == decision
    assert prepared.searchable() == frozenset()


def test_a_decision_names_rule_line_bundle_engine_roles_and_facts() -> None:
    known = facts(unit="branch:north")
    decision = decide("# first line\n" + READ + CLEAR, principal(party(KIM, "role:a")), known)
    assert decision.allowed
    assert (decision.rule.file, decision.rule.line) == ("policy.csv", 2)
    assert decision.rule.text == READ.strip()
    assert decision.bundle.startswith("sha256:")
    assert (decision.engine, decision.roles) == ("gatehouse-policy/1", ("role:a",))
    assert decision.facts is known
    assert decision.by is DecidedBy.BUNDLE


def test_what_no_rule_allows_is_denied_without_a_rule() -> None:
    decision = decide(READ, principal(party(KIM, "role:b")))
    assert (decision.allowed, decision.reason, decision.rule) == (False, Reason.NO_RULE, None)


def test_a_deny_beats_an_allow_of_another_role_and_is_named() -> None:
    deny = "p, role:b, *, crm/customer, customer:*, -, *, True, deny\n"
    decision = decide(READ + deny, principal(party(KIM, "role:a", "role:b")))
    assert (decision.reason, decision.rule.line) == (Reason.RULE_DENIED, 2)
    assert decision.read.of("/phone") is Disclosure.WITHHELD


def test_a_role_counts_only_on_records_of_the_unit_it_is_held_in() -> None:
    who = principal(party(KIM, "role:a@branch:north"))
    assert decide(READ, who, facts(unit="branch:north")).allowed
    assert not decide(READ, who, facts(unit="branch:south")).allowed
    assert not decide(READ, who, facts()).allowed


def test_a_link_gives_a_role_only_in_its_unit_with_what_it_inherits() -> None:
    links = f"g, {KIM}, role:b, branch:north\ng, role:b, role:a, *\n"
    who = principal(party(KIM))
    assert decide(READ + links, who, facts(unit="branch:north")).allowed
    assert not decide(READ + links, who, facts(unit="branch:south")).allowed


def test_application_and_person_must_both_be_allowed_and_the_narrower_view_holds() -> None:
    rules = (
        READ
        + CLEAR
        + "p, role:a, *, crm/customer, set, contact, service, True, allow\n"
        + "p, role:a, *, crm/customer, set, identity, service, True, allow\n"
        + "p, role:a, *, crm/customer, show:masked, identity, service, True, allow\n"
        + "p, role:b, *, crm/customer, customer:read, -, service, True, allow\n"
        + "p, role:b, *, crm/customer, show:masked, contact, service, True, allow\n"
        + "p, role:b, *, crm/customer, show:token, identity, service, True, allow\n"
        + "p, role:b, *, crm/customer, set, contact, service, True, allow\n"
    )
    shop = party("app:shop", "role:b")
    both = decide(rules, principal(shop, party(KIM, "role:a")))
    assert both.allowed
    assert both.read.of("/phone") is Disclosure.MASKED
    assert both.read.of("/name") is Disclosure.WITHHELD  # masked with token: nothing
    assert both.write == frozenset({"/phone"})
    assert not decide(rules, principal(shop, party(KIM))).allowed
    assert not decide(rules, principal(party("app:shop"), party(KIM, "role:a"))).allowed


def test_a_field_that_the_upstream_sets_itself_is_never_settable() -> None:
    rules = READ + "p, role:a, *, crm/customer, set, public, service, True, allow\n"
    assert decide(rules, principal(party(KIM, "role:a"))).write == frozenset()


def test_a_deny_on_show_narrows_only_that_field() -> None:
    rules = READ + CLEAR + "p, role:a, *, crm/customer, show:masked, contact, service, True, allow\n"
    rules += "p, role:a, *, crm/customer, show:clear, *, service, r.env.hour >= 20, deny\n"
    who = principal(party(KIM, "role:a"))
    by_day = datetime.fromisoformat("2026-11-02T19:59:00+08:00")
    by_night = datetime.fromisoformat("2026-11-02T12:00:00+00:00")
    assert decide(rules, who, time=by_day).read.of("/phone") is Disclosure.CLEAR
    assert decide(rules, who, time=by_night).read.of("/phone") is Disclosure.MASKED


@pytest.mark.parametrize(
    ("purpose", "held", "allowed"),
    [
        ("service", {"service"}, True),
        ("service", {"audit"}, False),
        ("service", set(), False),
        ("espionage", {"espionage"}, False),
        (None, {"service"}, False),
        ("*", {"*"}, False),
        ("-", {"-"}, False),
    ],
)
def test_a_purpose_must_be_known_and_held(purpose: str | None, held: set[str], allowed: bool) -> None:
    rules = READ.replace("service", "*")
    who = principal(party(KIM, "role:a"), purposes=frozenset(held))
    decision = decide(rules, who, purpose=purpose)
    assert decision.allowed == allowed
    if not allowed:
        assert (decision.reason, decision.by) == (Reason.PURPOSE_NOT_HELD, DecidedBy.FLOOR)


def test_a_control_resource_needs_no_purpose() -> None:
    rules = READ + "p, role:a, *, gatehouse/key, key:create, -, *, True, allow\n"
    who = principal(party(KIM, "role:a"), purposes=frozenset())
    prepared = PolicyDecider(bundle(rules)).prepare(access(who, "key:create", None), CONTROL_KEY, 1)
    assert prepared.decide(facts()).allowed


@pytest.mark.parametrize(
    ("floors", "reason"),
    [
        (Floors(erased=True), Reason.ERASED),
        (Floors(refused=frozenset({"service"})), Reason.REFUSED_BY_CUSTOMER),
        (Floors(refused=frozenset({"customer:read"})), Reason.REFUSED_BY_CUSTOMER),
    ],
)
def test_no_rule_lifts_a_floor(floors: Floors, reason: Reason) -> None:
    decision = decide(READ, principal(party(KIM, "role:a")), facts(floors))
    assert (decision.allowed, decision.reason, decision.by) == (False, reason, DecidedBy.FLOOR)


@pytest.mark.parametrize("reference", [False, True])
def test_a_condition_that_fails_denies_and_says_so(reference: bool) -> None:
    rules = READ + "p, role:a, *, crm/customer, customer:read, -, service, r.rec.level > 3, allow\n"
    engine = Engine(bundle(rules), reference=reference)
    prepared = prepare(engine, access(principal(party(KIM, "role:a"))), CUSTOMER, 1)
    assert prepared.decide(facts(level=1)).allowed
    assert prepared.decide(facts(level="high")).reason is Reason.ENGINE_ERROR
    assert prepared.decide(facts()).reason is Reason.ENGINE_ERROR


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize(
    "condition",
    [
        '"opted-out" in r.rec.tags',
        '"opted-in" not in r.rec.tags',
        'r.rec.region == "east"',
        'r.rec.region != "west"',
        "r.rec.region != None",
        'r.rec.region in ["east", "west"]',
        'not (r.rec.region not in ["east"])',
        "r.rec.region == r.rec.region and False or r.rec.region == r.rec.level",
        'r.rec.level == 1 and "opted-out" in r.rec.tags or r.rec.region == r.sub.id',
    ],
)
def test_no_deny_is_escaped_by_a_value_that_is_no_fact(condition: str, reference: bool) -> None:
    rules = READ + CLEAR + f"p, role:b, *, crm/customer, customer:*, -, *, {condition}, deny\n"
    engine = Engine(bundle(rules), reference=reference)
    unfit = Facts({"level": 1, "unit": "branch:north"}, unfit=frozenset({"tags", "region"}))
    asks = prepare(engine, access(principal(party(KIM, "role:a", "role:b"))), CUSTOMER, 1)
    assert (asks.decide(unfit).allowed, asks.decide(unfit).reason) == (False, Reason.ENGINE_ERROR)
    other = prepare(engine, access(principal(party(KIM, "role:a"))), CUSTOMER, 1)
    assert other.decide(unfit).allowed  # whose rules do not ask is not touched, and can repair it
    assert other.decide(unfit).facts is unfit


@pytest.mark.parametrize("reference", [False, True])
def test_a_condition_that_is_settled_without_the_unfit_value_is_answered(reference: bool) -> None:
    deny = 'p, role:a, *, crm/customer, customer:*, -, *, r.rec.level == 1 and "x" in r.rec.tags, deny\n'
    engine = Engine(bundle(READ + deny), reference=reference)
    prepared = prepare(engine, access(principal(party(KIM, "role:a"))), CUSTOMER, 1)
    assert prepared.decide(Facts({"level": 2}, unfit=frozenset({"tags"}))).allowed
    assert not prepared.decide(Facts({"level": 1}, unfit=frozenset({"tags"}))).allowed


@pytest.mark.parametrize("reference", [False, True])
def test_a_field_whose_rule_asks_for_an_unfit_value_is_withheld_and_not_set(reference: bool) -> None:
    rules = READ + CLEAR + 'p, role:a, *, crm/customer, show:*, contact, *, "x" in r.rec.tags, deny\n'
    rules += 'p, role:a, *, crm/customer, set, contact, service, "x" not in r.rec.tags, allow\n'
    engine = Engine(bundle(rules), reference=reference)
    prepared = prepare(engine, access(principal(party(KIM, "role:a"))), CUSTOMER, 1)
    fit, unfit = prepared.decide(Facts()), prepared.decide(Facts(unfit=frozenset({"tags"})))
    assert (fit.read.of("/phone"), fit.write) == (Disclosure.CLEAR, {"/phone"})
    assert unfit.allowed
    assert (unfit.read.of("/phone"), unfit.write) == (Disclosure.WITHHELD, frozenset())


@pytest.mark.parametrize("reference", [False, True])
def test_a_unit_that_is_no_fact_denies_everywhere(reference: bool) -> None:
    engine = Engine(bundle(READ), reference=reference)
    prepared = prepare(engine, access(principal(party(KIM, "role:a"))), CUSTOMER, 1)
    assert prepared.decide(facts()).allowed
    assert prepared.decide(Facts(unfit=frozenset({"unit"}))).reason is Reason.ENGINE_ERROR


class Agreeable(str):
    """A text that equals everything."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


@pytest.mark.parametrize(
    "values",
    [
        {"owner": Agreeable("x")},
        {"owner": {"a": 1}},
        {"tags": (1,)},
        {"unit": 7},
        {"unit": ""},
        {"unit": "*"},
    ],
)
def test_facts_that_are_no_plain_data_deny(values: dict[str, object]) -> None:
    rules = 'p, role:a, *, crm/customer, customer:read, -, service, r.rec.owner == "lin" or "x" not in r.rec.tags, allow\n'
    decision = decide(rules, principal(party(KIM, "role:a")), Facts(values))
    assert (decision.allowed, decision.reason) == (False, Reason.ENGINE_ERROR)


@pytest.mark.parametrize(
    "who",
    [
        Party("role:a"),
        Party("kim"),
        Party(KIM, frozenset({RoleHeld(KIM)})),
        Party(KIM, frozenset({RoleHeld("app:shop")})),
        Party(KIM, frozenset({RoleHeld("role:a", "")})),
        Party(KIM, frozenset({RoleHeld("role:a", "-")})),
        Party(KIM, frozenset({RoleHeld("role:a", "\0")})),
    ],
)
def test_nobody_gets_a_role_by_being_named_like_it(who: Party) -> None:
    rules = READ + f"g, {KIM}, role:a, *\ng, app:shop, role:a, *\n"
    decision = decide(rules, principal(who))
    assert (decision.allowed, decision.reason) == (False, Reason.ENGINE_ERROR)


def test_a_time_without_a_zone_denies() -> None:
    naive = datetime.fromisoformat("2026-11-02T10:00:00")
    assert decide(READ, principal(party(KIM, "role:a")), time=naive).reason is Reason.ENGINE_ERROR


def test_a_set_fact_is_never_searched_for_a_part_of_a_text() -> None:
    rules = 'p, role:a, *, crm/customer, customer:read, -, service, "vip" in r.rec.tags, allow\n'
    who = principal(party(KIM, "role:a"))
    assert decide(rules, who, facts(tags=("vip",))).allowed
    assert decide(rules, who, facts(tags="vip")).allowed
    assert not decide(rules, who, facts(tags="not-a-vip-yet")).allowed
    assert not decide(rules, who, facts()).allowed


def test_parties_that_share_a_question_are_still_told_apart_by_conditions() -> None:
    rules = "p, role:a, *, crm/customer, customer:read, -, service, r.rec.owner == r.sub.id, allow\n"
    decider = PolicyDecider(bundle(rules))
    other = "person:https://id.example#lee"
    for who, owner, allowed in (
        (KIM, KIM, True),
        (other, KIM, False),
        (other, other, True),
        (KIM, other, False),
    ):
        prepared = decider.prepare(access(principal(party(who, "role:a"))), CUSTOMER, 1)
        assert prepared.decide(facts(owner=owner)).allowed == allowed


def test_an_attribute_cannot_take_the_place_of_the_id() -> None:
    rules = "p, role:a, *, crm/customer, customer:read, -, service, r.rec.owner == r.sub.id, allow\n"
    who = party(KIM, "role:a", id="lin", alone=False)
    assert not decide(rules, principal(who), facts(owner="lin")).allowed


def test_early_says_what_no_fact_can_change() -> None:
    conditional = (
        "p, role:b, branch:north, crm/customer, customer:read, -, service, r.rec.level == 1, allow\n"
    )
    decider = PolicyDecider(bundle(READ.replace("True", "False") + conditional))
    nobody = decider.prepare(access(principal(party(KIM, "role:c"))), CUSTOMER, 1)
    assert nobody.early().reason is Reason.NO_RULE
    maybe = decider.prepare(access(principal(party(KIM, "role:b@branch:north"))), CUSTOMER, 1)
    assert maybe.early() is None
    wrong_unit = decider.prepare(access(principal(party(KIM, "role:b@branch:south"))), CUSTOMER, 1)
    assert wrong_unit.early().reason is Reason.NO_RULE


def test_early_names_the_deny_that_meets_every_record() -> None:
    rules = READ + "p, role:a, *, *, customer:*, -, *, True, deny\n"
    prepared = PolicyDecider(bundle(rules)).prepare(access(principal(party(KIM, "role:a"))), CUSTOMER, 1)
    assert (prepared.early().reason, prepared.early().rule.line) == (Reason.RULE_DENIED, 2)


def sees_all(policy: str, *held: str) -> bool:
    prepared = PolicyDecider(bundle(policy)).prepare(access(principal(party(KIM, *held))), CUSTOMER, 1)
    return prepared.sees_all()


def test_nothing_is_hidden_only_from_whom_a_rule_without_condition_allows_everywhere() -> None:
    assert sees_all(READ, "role:a")
    assert not sees_all(READ, "role:c")
    assert not sees_all(READ, "role:a@branch:north")
    assert not sees_all(READ.replace("True", "r.rec.level == 1"), "role:a")
    assert not sees_all(READ.replace("*,", "branch:north,", 1), "role:a")
    # a deny that might match, and a condition that might fail, which is a denial
    assert not sees_all(READ + READ.replace("True, allow", "r.rec.level == 1, deny"), "role:a")
    assert not sees_all(READ + READ.replace("True", "r.rec.level > 3"), "role:a")
    assert sees_all(READ + READ.replace("True", 'r.env.date == "2026-11-02"'), "role:a")


def searchable(policy: str, *held: str) -> frozenset[str]:
    prepared = PolicyDecider(bundle(policy)).prepare(access(principal(party(KIM, *held))), CUSTOMER, 1)
    return prepared.searchable()


def test_a_field_is_searchable_only_where_it_is_clear_on_every_record() -> None:
    own = 'r.rec.owner == r.sub.id and r.rec.region == "east"'
    assert searchable(READ + CLEAR, "role:a") == {"/phone"}
    assert searchable(READ, "role:a") == frozenset()
    # clear only on some records of those that may be read
    assert searchable(READ + CLEAR.replace("True", "r.rec.level == 1"), "role:a") == frozenset()
    assert searchable(READ + CLEAR.replace("*,", "branch:north,", 1), "role:a") == frozenset()
    # the field's condition is part of the record's: wherever the record may be read it held
    implied = READ.replace("True", own) + CLEAR.replace("True", "r.rec.owner == r.sub.id")
    assert searchable(implied, "role:a") == {"/phone"}
    assert (
        searchable(READ.replace("True", "r.rec.owner == r.sub.id") + CLEAR.replace("True", own), "role:a")
        == frozenset()
    )
    # a deny that might match, or a condition that might fail
    night = "p, role:a, *, crm/customer, show:*, contact, *, r.env.hour == 3, deny\n"
    assert searchable(READ + CLEAR + night, "role:a") == frozenset()
    fails = CLEAR.replace("True", "r.rec.level > 3")
    assert searchable(READ + CLEAR + fails, "role:a") == frozenset()
    # a second way to read the record without seeing the field
    second = READ.replace("role:a", "role:b").replace("True", "r.rec.level == 1")
    assert (
        searchable(
            READ.replace("True", "r.rec.level == 2") + CLEAR.replace("True", "r.rec.level == 2") + second,
            "role:a",
            "role:b",
        )
        == frozenset()
    )


def test_a_bundle_beyond_the_compiler_runs_on_pycasbin_and_says_so() -> None:
    model = worlds.MODEL.replace(" && eval(p.cond)", ' && regexMatch(r.who, "^role:[a-z]+$") && eval(p.cond)')
    made = bundle(READ + CLEAR + f"g, {KIM}, role:a, *\n", model=model)
    by_role = PolicyDecider(made).prepare(access(principal(party(KIM, "role:a"))), CUSTOMER, 1)
    decision = by_role.decide(facts())
    assert (decision.allowed, decision.engine.partition("/")[0]) == (True, "pycasbin")
    assert decision.read.of("/phone") is Disclosure.CLEAR
    by_link = PolicyDecider(made).prepare(access(principal(party(KIM))), CUSTOMER, 1)
    assert not by_link.decide(facts()).allowed


def test_an_extra_part_of_the_model_takes_away_in_both_engines() -> None:
    model = worlds.MODEL.replace(" && eval(p.cond)", " && r.env.hour < 20 && eval(p.cond)")
    made = bundle(READ, model=model)
    for reference in (False, True):
        for text, allowed in (("2026-11-02T19:00:00+08:00", True), ("2026-11-02T20:00:00+08:00", False)):
            question = access(principal(party(KIM, "role:a")), time=datetime.fromisoformat(text))
            engine = Engine(made, reference=reference)
            assert prepare(engine, question, CUSTOMER, 1).decide(facts()).allowed == allowed


def test_a_question_prepared_before_a_swap_keeps_its_bundle() -> None:
    decider = PolicyDecider(bundle(READ))
    question = access(principal(party(KIM, "role:a")))
    before = decider.prepare(question, CUSTOMER, 1)
    decider.swap(bundle(READ.replace("role:a", "role:b")))
    assert before.decide(facts()).allowed
    assert not decider.prepare(question, CUSTOMER, 2).decide(facts()).allowed


ALONE = READ + "p, role:a, *, *, customer:*, -, *, r.sub.alone == True, deny\n"


def test_early_weighs_who_asks() -> None:
    decider = PolicyDecider(bundle(ALONE))
    desk = party("app:desk", "role:a")
    alone = decider.prepare(access(principal(desk)), CUSTOMER, 1)
    assert (alone.early().reason, alone.early().rule.line) == (Reason.RULE_DENIED, 2)
    assert alone.collection() == alone.early()
    with_kim = decider.prepare(access(principal(desk, party(KIM, "role:a"))), CUSTOMER, 1)
    assert with_kim.early() is None
    assert with_kim.decide(facts()).allowed


@pytest.mark.parametrize(
    ("condition", "settled"),
    [
        ("r.env.hour >= 0", True),
        ("r.env.hour < 0", False),
        ('r.pur == "service" and r.env.hour >= 0', True),
        ('r.pur == "service" and r.rec.level == "vip"', False),
        ('r.pur == "service" or r.rec.level == "vip"', False),  # one part, and it asks for the record
        ('r.dom == "-"', False),  # a record has another unit than none
        ("r.sub.grade < 1", False),  # cannot be answered: met with the record, and denies it there
    ],
)
def test_early_weighs_a_deny_that_asks_nothing_of_the_record(condition: str, settled: bool) -> None:
    rules = READ + f"p, role:a, *, *, customer:*, -, *, {condition}, deny\n"
    prepared = PolicyDecider(bundle(rules)).prepare(access(principal(party(KIM, "role:a"))), CUSTOMER, 1)
    assert (prepared.early() is not None) == settled


def test_early_weighs_allows_that_ask_something_besides_the_record() -> None:
    rules = "".join(
        f"p, role:{role}, *, crm/customer, customer:read, -, service, {condition}, allow\n"
        for role, condition in (
            ("a", "r.rec.level == 1 and r.env.hour < 0"),
            ("a", "r.sub.grade < 1"),
            ("b", "r.rec.level == 1 and r.env.hour >= 0"),
        )
    )
    decider = PolicyDecider(bundle(rules))
    never = decider.prepare(access(principal(party(KIM, "role:a"))), CUSTOMER, 1)
    assert (never.early().reason, never.early().rule) == (Reason.NO_RULE, None)
    sometimes = decider.prepare(access(principal(party(KIM, "role:a", "role:b"))), CUSTOMER, 1)
    assert sometimes.early() is None
    in_one_unit = decider.prepare(access(principal(party(KIM, "role:a", "role:b@branch:north"))), CUSTOMER, 1)
    assert in_one_unit.early() is None

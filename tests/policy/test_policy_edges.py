"""Step 5 at its edges: attributes, lists as a whole, who shares a question with whom, floors."""

from __future__ import annotations

import pytest

from gateway.policy import PolicyDecider
from gateway.policy.decider import Engine, PreparedQuestion
from gateway.words.decision import DecidedBy, Decision, Disclosure, Floors, Reason
from gateway.words.principal import Party
from tests.policy import worlds
from tests.policy.worlds import CUSTOMER, access, bundle, facts, party, principal

KIM = worlds.PERSON
READ = "p, role:a, *, crm/customer, customer:read, -, service, True, allow\n"
CLEAR = "p, role:a, *, crm/customer, show:clear, contact, service, True, allow\n"
GRADED = "p, role:a, *, crm/customer, customer:read, -, service, r.sub.grade == 3, allow\n"


def asked(policy: str, *parties: Party) -> PreparedQuestion:
    prepared = PolicyDecider(bundle(policy)).prepare(access(principal(*parties)), CUSTOMER, 7)
    assert isinstance(prepared, PreparedQuestion)
    return prepared


@pytest.mark.parametrize(
    ("grade", "allowed"), [(3, True), (2, False), ("3", False), (3.0, False), ([3], False), (None, False)]
)
def test_a_declared_attribute_counts_where_it_is_plain_and_no_other_value_does(
    grade: object, allowed: bool
) -> None:
    who = party(KIM, "role:a", **({} if grade is None else {"grade": grade}))  # type: ignore[arg-type]  # what a token may hold
    assert asked(GRADED, who).decide(facts()).allowed is allowed


def test_an_attribute_that_nobody_declared_is_not_there() -> None:
    made = Engine(bundle(READ)).subject(party(KIM, "role:a", grade=3, rank=9), alone=True)
    assert made == {"grade": 3, "id": KIM, "alone": True}


def test_a_list_as_a_whole_shows_what_is_clear_on_every_record_and_sets_nothing() -> None:
    prepared = asked(READ + CLEAR, party(KIM, "role:a"))
    whole = prepared.collection()
    assert (whole.allowed, whole.reason, whole.by, whole.rule) == (
        True,
        Reason.RULE_ALLOWED,
        DecidedBy.BUNDLE,
        None,
    )
    shown = {spec.pattern for spec in CUSTOMER.fields if whole.read.of(spec.pattern) is Disclosure.CLEAR}
    assert shown == set(prepared.searchable()) == {"/phone", "/email"} & {s.pattern for s in CUSTOMER.fields}
    assert whole.write == frozenset()
    assert whole.roles == ("role:a",)


def test_a_list_of_which_nothing_could_be_allowed_is_denied_as_each_record_is() -> None:
    prepared = asked(READ, party(KIM, "role:b"))
    assert prepared.early() == prepared.collection()
    denied: Decision = prepared.collection()
    assert (denied.allowed, denied.reason, denied.fence) == (False, Reason.NO_RULE, 7)


def test_who_is_in_no_link_shares_a_question_with_whoever_holds_the_same_and_nobody_else() -> None:
    engine = Engine(bundle(READ + f"g, {KIM}, role:b, *\n"))

    def question(who: Party, action: str = "customer:read", purpose: str = "service") -> object:
        return engine.question(principal(who), action, purpose, CUSTOMER)

    one = question(party("person:https://id.example#1", "role:a"))
    assert question(party("person:https://id.example#2", "role:a")) is one
    others = (
        question(party("app:shop", "role:a")),
        question(party("person:https://id.example#1", "role:c")),
        question(party(KIM, "role:a")),
        question(party("person:https://id.example#1", "role:a"), action="customer:update"),
        question(party("person:https://id.example#1", "role:a"), purpose="marketing"),
    )
    assert len({id(other) for other in (one, *others)}) == 6


@pytest.mark.parametrize(
    ("floors", "reason"),
    [
        (Floors(erased=True), Reason.ERASED),
        (Floors(refused=frozenset({"service"})), Reason.REFUSED_BY_CUSTOMER),
        (Floors(refused=frozenset({"customer:read"})), Reason.REFUSED_BY_CUSTOMER),
        (Floors(refused=frozenset({"marketing"})), None),
        (Floors(erased=True, refused=frozenset({"service"})), Reason.ERASED),
    ],
)
def test_a_floor_is_named_as_what_decided(floors: Floors, reason: Reason | None) -> None:
    decision = asked(READ, party(KIM, "role:a")).decide(facts(floors))
    assert decision.allowed is (reason is None)
    if reason is not None:
        assert (decision.reason, decision.by, decision.rule) == (reason, DecidedBy.FLOOR, None)
        assert decision.roles == ("role:a",)

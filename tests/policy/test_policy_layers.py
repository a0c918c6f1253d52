"""The layers around the rules: floors above them, grants below. Each is a list; nothing that joins one changes what the other says."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from gateway.policy import PolicyDecider
from gateway.policy.layers import Granted
from gateway.words.access import Access
from gateway.words.decision import DecidedBy, Disclosure, Facts, FieldView, Floors, Reason
from gateway.words.filter import UNKNOWN
from gateway.words.resource import ResourceSpec
from tests.policy.worlds import CUSTOMER, access, bundle, facts, party, principal

KIM = "person:https://id.example#kim"
READ = "p, role:a, *, crm/customer, customer:read, -, service, True, allow\n"
OTHERS = READ.replace("role:a", "role:b")
VIP = OTHERS + 'p, role:a, *, crm/customer, customer:read, -, service, r.rec.level == "vip", deny\n'
SOON = "p, role:a, *, crm/customer, customer:read, -, service, r.rec.level > 3, allow\n"
GRANT = Granted("grant_1", FieldView({"/name": Disclosure.CLEAR}), frozenset({"/note"}))


@dataclass
class Given:
    """Somebody's grants: one for the records of an owner."""

    owner: str
    possible: bool = True
    asked: list[Facts] = field(default_factory=list)

    def may(self, access: Access, resource: ResourceSpec) -> bool:
        return self.possible

    def on(self, access: Access, resource: ResourceSpec, facts: Facts) -> Granted | None:
        self.asked.append(facts)
        return GRANT if facts.values.get("owner") == self.owner else None


def prepared(policy: str, *grants: Given, action: str = "customer:read", resource: ResourceSpec = CUSTOMER):  # type: ignore[no-untyped-def]
    decider = PolicyDecider(bundle(policy), grants)
    return decider.prepare(access(principal(party(KIM, "role:a")), action), resource, 7)


def test_a_hold_keeps_a_record_from_being_destroyed_and_from_nothing_else() -> None:
    ended = replace(CUSTOMER, destroyed_by=frozenset({"customer:update"}))
    rules = READ + READ.replace("customer:read", "customer:update")
    held = facts(Floors(held=True))
    denied = prepared(rules, action="customer:update", resource=ended).decide(held)
    assert (denied.allowed, denied.reason, denied.by) == (False, Reason.ON_HOLD, DecidedBy.FLOOR)
    assert prepared(rules, action="customer:update", resource=ended).decide(facts()).allowed
    assert prepared(rules, resource=ended).decide(held).allowed


def test_a_grant_lifts_a_default_deny_on_its_record_and_shows_what_was_approved() -> None:
    asked = prepared(VIP, Given("li"))
    assert asked.early() is None
    lifted = asked.decide(facts(owner="li"))
    assert (lifted.allowed, lifted.reason, lifted.by, lifted.grant) == (
        True,
        Reason.GRANT_ALLOWED,
        DecidedBy.GRANT,
        "grant_1",
    )
    assert (lifted.read, lifted.write, lifted.rule, lifted.fence) == (GRANT.read, GRANT.write, None, 7)
    other = asked.decide(facts(owner="wang"))
    assert (other.allowed, other.reason, other.by, other.grant) == (
        False,
        Reason.NO_RULE,
        DecidedBy.BUNDLE,
        None,
    )


@pytest.mark.parametrize(
    ("policy", "known", "reason"),
    [
        (VIP, facts(owner="li", level="vip"), Reason.RULE_DENIED),
        (SOON, facts(owner="li", level="high"), Reason.ENGINE_ERROR),
        (VIP, facts(Floors(erased=True), owner="li"), Reason.ERASED),
        (VIP, facts(Floors(refused=frozenset({"service"})), owner="li"), Reason.REFUSED_BY_CUSTOMER),
        (READ, facts(owner="li"), Reason.RULE_ALLOWED),
    ],
)
def test_a_grant_is_not_asked_where_a_floor_or_a_rule_has_spoken(
    policy: str, known: Facts, reason: Reason
) -> None:
    given = Given("li")
    decision = prepared(policy, given).decide(known)
    assert (decision.reason, decision.grant, given.asked) == (reason, None, [])


def test_what_a_rule_denies_beforehand_stays_denied_whatever_was_granted() -> None:
    always = VIP.replace('r.rec.level == "vip"', "True")
    assert prepared(always, Given("li")).early().reason is Reason.RULE_DENIED
    asked = prepared(VIP, Given("li", possible=False))
    assert asked.early().reason is Reason.NO_RULE
    assert not asked.decide(facts(owner="li")).allowed


def test_where_something_could_be_granted_no_rule_says_what_a_list_may_leave_out_or_search() -> None:
    shown = READ + READ.replace("customer:read, -", "show:clear, internal")
    assert prepared(shown).searchable()
    granting = prepared(shown, Given("li"))
    assert granting.searchable() == frozenset()
    assert granting.within(named=True) is UNKNOWN
    assert granting.collection().read.by_pattern == {}


def test_a_source_of_grants_that_breaks_denies() -> None:
    class Broken(Given):
        def on(self, access: Access, resource: ResourceSpec, facts: Facts) -> Granted | None:
            raise RuntimeError

    decision = prepared(VIP, Broken("li")).decide(facts(owner="li"))
    assert (decision.allowed, decision.reason) == (False, Reason.ENGINE_ERROR)

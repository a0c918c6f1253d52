"""What a caller is told of a denial depends on his question and his roles: no fact, no record and nobody else has a part in it."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from random import Random

import pytest

from gateway.policy import told as room
from gateway.policy.decider import Engine, PolicyDecider, prepare, told
from gateway.text import Language
from gateway.text.problems import problem
from gateway.words.access import ResourceRef
from gateway.words.decision import Reason
from gateway.words.errors import Denied
from gateway.words.told import Cause
from tests.policy import worlds

FACTS = re.compile(r"owner|level|tags|region|hot|east|vip|r\.rec|branch:elsewhere")


@pytest.mark.parametrize("seed", range(2))
def test_two_worlds_that_differ_in_what_is_hidden_are_told_alike(seed: int) -> None:
    dice = Random(f"told {seed}")
    differing: set[tuple[Reason, Reason]] = set()
    pairs = 0
    for _ in range(25):
        engine = Engine(worlds.some_bundle(dice, dice.choice((0.2, 0.5))))
        for _ in range(10):
            parties = (worlds.some_party(dice), worlds.party("app:desk", "role:a", "role:b"))[
                : dice.randrange(1, 3)
            ]
            who = worlds.principal(*parties, purposes=frozenset({"service", "audit"}))
            action = dice.choice(("customer:read", "customer:update", "customer:list"))
            asked = worlds.access(who, action, dice.choice(("service", "audit", None)))
            answers = []
            for record in ("7", "8"):
                here = replace(asked, ref=ResourceRef("crm", "customer", record))
                decision = prepare(engine, here, worlds.CUSTOMER, 3).decide(worlds.some_facts(dice))
                if not decision.allowed:
                    error = Denied(decision, told=told(engine, here, worlds.CUSTOMER))
                    answers.append((decision, problem(error, Language.ENGLISH, "req_1").body))
            if len(answers) == 2:
                pairs += 1
                (one, first), (other, second) = answers
                differing.add((one.reason, other.reason))
                assert first == second
                assert not FACTS.search(first.decode())
    assert pairs >= 60
    assert len([pair for pair in differing if pair[0] is not pair[1]]) >= 2, differing


def test_the_room_that_makes_it_is_given_no_facts() -> None:
    source = inspect.getsource(room)
    assert "Facts" not in source
    assert {name for name in ("decide", "facts", "searchable") if f".{name}(" in source} == set()


POLICY = """\
p, role:a, *, crm/customer, customer:read, -, audit, True, allow
p, role:a, *, crm/customer, customer:update, -, service, r.rec.level == "vip", allow
p, role:b, *, crm/customer, customer:read, -, *, True, allow
p, role:c, *, crm/customer, customer:*, -, *, True, deny
"""


@pytest.mark.parametrize(
    ("parties", "action", "purposes", "cause", "others"),
    [
        ([("app:desk", "role:a")], "customer:read", {"service", "audit"}, Cause.OTHER_PURPOSE, ("audit",)),
        ([("app:desk", "role:a")], "customer:read", {"service"}, Cause.ROLES, ()),
        ([("app:desk", "role:a")], "customer:update", {"service"}, Cause.DEPENDS, ()),
        ([("app:desk", "role:c")], "customer:read", {"service"}, Cause.FORBIDDEN, ()),
        (
            [("app:desk", "role:d"), (worlds.PERSON, "role:b")],
            "customer:read",
            {"service"},
            Cause.APPLICATION,
            (),
        ),
        ([("app:desk", "role:b"), (worlds.PERSON, "role:d")], "customer:read", {"service"}, Cause.ROLES, ()),
        ([("app:desk", "role:b")], "customer:read", set(), Cause.PURPOSE_NOT_HELD, ()),
    ],
)
def test_the_cause_is_what_he_can_do_something_about(
    parties: list[tuple[str, str]], action: str, purposes: set[str], cause: Cause, others: tuple[str, ...]
) -> None:
    who = worlds.principal(*(worlds.party(*one) for one in parties), purposes=frozenset(purposes))
    said = told(Engine(worlds.bundle(POLICY)), worlds.access(who, action), worlds.CUSTOMER)
    assert (said.cause, said.purposes) == (cause, others)
    reasons = {Cause.FORBIDDEN: Reason.RULE_DENIED, Cause.PURPOSE_NOT_HELD: Reason.PURPOSE_NOT_HELD}
    assert said.reason is reasons.get(cause, Reason.NO_RULE)


def test_a_purpose_that_is_not_his_and_a_role_that_he_has_not_are_not_told() -> None:
    who = worlds.principal(worlds.party("app:desk", "role:a"), purposes=frozenset({"service"}))
    said = told(Engine(worlds.bundle(POLICY)), worlds.access(who), worlds.CUSTOMER)
    assert (said.purposes, said.roles) == ((), ("role:a",))


def test_without_a_bundle_nothing_is_told_but_that() -> None:
    who = worlds.principal(worlds.party("app:desk"))
    said = PolicyDecider().told(worlds.access(who), worlds.CUSTOMER)
    assert (said.reason, said.cause) == (Reason.NO_BUNDLE, Cause.UNDECIDED)


WHO_OR_WHEN = """\
p, role:a, *, crm/customer, customer:read, -, *, True, allow
p, role:a, *, crm/customer, customer:*, -, *, r.sub.alone == True, deny
p, role:b, *, crm/customer, customer:read, -, *, r.env.hour < 0, allow
"""


@pytest.mark.parametrize(
    ("parties", "cause", "reason"),
    [
        ([("app:desk", "role:a")], Cause.WHO_OR_WHEN, Reason.RULE_DENIED),
        ([("app:desk", "role:b")], Cause.WHO_OR_WHEN, Reason.NO_RULE),
        # The application may, for whoever may: a rule that it asks for somebody is no ceiling of it.
        ([("app:desk", "role:a"), (worlds.PERSON, "role:d")], Cause.ROLES, Reason.NO_RULE),
        ([("app:desk", "role:a"), (worlds.PERSON, "role:b")], Cause.WHO_OR_WHEN, Reason.NO_RULE),
    ],
)
def test_what_hangs_on_who_asks_and_when_is_told_as_that(
    parties: list[tuple[str, str]], cause: Cause, reason: Reason
) -> None:
    who = worlds.principal(*(worlds.party(*one) for one in parties))
    said = told(Engine(worlds.bundle(WHO_OR_WHEN)), worlds.access(who), worlds.CUSTOMER)
    assert (said.cause, said.reason) == (cause, reason)
    error = Denied(
        prepare(Engine(worlds.bundle(WHO_OR_WHEN)), worlds.access(who), worlds.CUSTOMER, 1).early(), told=said
    )
    assert (b"Gatehouse-Person" in problem(error, Language.ENGLISH, "req_1").body) == (
        cause is Cause.WHO_OR_WHEN
    )

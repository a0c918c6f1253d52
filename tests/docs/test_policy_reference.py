"""docs/policy-reference.md has every name that there is, and each of its examples does what it says."""

from __future__ import annotations

import importlib
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.policy import PolicyDecider
from gateway.policy.bundle import SET, SHOW_CLEAR, SHOW_MASKED, SHOW_TOKEN, Bundle
from gateway.policy.condition import ENV_NAMES, SUBJECT_NAMES
from gateway.policy.engine import open_engine
from gateway.policy.engine.functions import TWO_TEXTS
from gateway.policy.engine.rules import ALLOW, DENY
from gateway.policy.load import build
from gateway.policy.model import FUNCTIONS
from gateway.words.access import Access, ResourceRef
from gateway.words.control import CONTROL_ACTIONS
from gateway.words.decision import Decision, Disclosure, Facts, Floors
from gateway.words.principal import Party, Principal, RoleHeld
from gateway.words.resource import Verb
from tests.policy.worlds import MODEL, ROOT, files

made: Any = importlib.import_module("tools.policy_reference_page")
said: Any = importlib.import_module("tools.policy_sentences")
GROUND = made.catalogued()
VOCABULARY = (
    (ROOT / "policies" / "vocabulary.yaml").read_text().replace("attributes: []", "attributes: [grade]")
)
READ = made.row("crm/customer", "customer:read") + "\n"
KIM = "person:https://id.example#kim"


def bundle(policy: str, model: str = MODEL) -> Bundle:
    found, findings = build(files(policy, model=model, vocabulary=VOCABULARY), GROUND)
    assert found is not None, [str(finding) for finding in findings]
    return found


def decide(
    policy: str,
    resource: str,
    action: str,
    *,
    asked: Any = None,
    who: str = "app:desk",
    model: str = MODEL,
) -> Decision:
    """asked: what the page says of the question, by the names that it uses."""
    given = dict(asked or {})
    roles = frozenset({RoleHeld("role:clerk")})
    attributes = {name[4:]: given.pop(name) for name in list(given) if name.startswith("sub.")}
    facts = {name[4:]: given.pop(name) for name in list(given) if name.startswith("rec.")}
    application = Party(who, roles, attributes)
    person = Party(KIM, roles, attributes) if given.pop("person", False) else None
    # 1 November 2026 is a Sunday; the shipped clock is eight hours before UTC's.
    time = datetime(2026, 11, given.pop("day", 2), given.pop("hour", 12), tzinfo=UTC) - (
        datetime(2026, 1, 1, 8, tzinfo=UTC) - datetime(2026, 1, 1, tzinfo=UTC)
    )
    purpose = given.pop("pur", "service")
    assert given == {}
    principal = Principal(application, person, frozenset({"service", "complaint"}), ("test",))
    upstream, name = resource.split("/")
    access = Access("req_1", principal, action, purpose, ResourceRef(upstream, name, "7"), time)
    prepared = PolicyDecider(bundle(policy, model)).prepare(access, GROUND.resources[resource], 1)
    return prepared.decide(Facts(facts, Floors()))


def test_the_page_is_as_it_is_made() -> None:
    page = (ROOT / "docs" / "policy-reference.md").read_text()
    assert page == made.page(), "run `python -m tools.policy_reference_page`"


def test_every_name_has_its_sentence_and_every_sentence_its_name() -> None:
    assert set(made.FUNCTIONS) == TWO_TEXTS | {"g", "eval"}
    assert {"regexMatch"} == FUNCTIONS
    assert set(made.SUBJECT) == SUBJECT_NAMES
    assert set(made.ENVIRONMENT) == ENV_NAMES
    assert set(made.CONTROL) == frozenset().union(*CONTROL_ACTIONS.values())
    assert set(made.RIGHTS) == {SHOW_CLEAR, SHOW_MASKED, SHOW_TOKEN, SET}
    assert set(said.SHOWN.values()) | {Disclosure.WITHHELD} == set(Disclosure)
    assert set(made.VERBS) == set(Verb)
    assert set(made.EFFECTS) == {ALLOW, DENY}
    assert set(made.facts(GROUND)) == GROUND.facts
    assert set(made.actions(GROUND)) == {(r, a) for r, every in GROUND.actions.items() for a in every}


@pytest.mark.parametrize("name", made.FUNCTIONS)
def test_each_function_holds_for_the_one_and_not_for_the_other(name: str) -> None:
    function = made.FUNCTIONS[name]
    model = (
        "[request_definition]\nr = obj\n[policy_definition]\np = rule\n[role_definition]\ng = _, _\n"
        f"[policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = {function.example}\n"
    )
    engine, _part = open_engine(model.encode(), (made.RULE + made.LINKS).encode())
    assert [engine.decide([value]).allowed for value in (function.yes, function.no)] == [True, False]


def test_the_matchers_own_function_narrows_it() -> None:
    model = MODEL.rstrip("\n").replace("eval(p.cond)", f"{made.NARROWING.example} && eval(p.cond)") + "\n"
    for who, allowed in ((made.NARROWING.yes, True), (made.NARROWING.no, False)):
        assert decide(READ, "crm/customer", "customer:read", who=who, model=model).allowed is allowed


@pytest.mark.parametrize("name", made.conditions(GROUND))
def test_each_condition_holds_for_the_one_and_not_for_the_other(name: str) -> None:
    asked = made.conditions(GROUND)[name]
    assert name.replace("NAME", "grade") in asked.example
    action = next(one for one in sorted(GROUND.actions[asked.resource]) if one.endswith(":read"))
    policy = made.row(asked.resource, action, condition=asked.example) + "\n"
    outcomes = [
        decide(policy, asked.resource, action, asked=values).allowed for values in (asked.yes, asked.no)
    ]
    assert outcomes == [True, False]


@pytest.mark.parametrize(("resource", "action"), made.actions(GROUND))
def test_each_action_is_allowed_by_its_row_and_no_other_is(resource: str, action: str) -> None:
    policy = made.row(resource, action) + "\n"
    allowed = {one for one in GROUND.actions[resource] if decide(policy, resource, one).allowed}
    assert allowed == {action}


@pytest.mark.parametrize("name", made.RIGHTS)
def test_each_right_does_what_it_says_to_one_field(name: str) -> None:
    rule = made.row("crm/customer", *made.RIGHTS[name].example.split(", "))
    decision = decide(READ + rule + "\n", "crm/customer", "customer:read")
    assert decision.read.of("/phone") is said.SHOWN.get(name, Disclosure.WITHHELD)
    assert ("/phone" in decision.write) is (name == SET)
    assert decision.read.of("/name") is Disclosure.WITHHELD


def test_each_deny_of_many_denies_them() -> None:
    clear = made.row("crm/customer", "show:clear", "/phone") + "\n"
    every = READ + clear + made.row("crm/customer", "customer:*", effect="deny") + "\n"
    assert decide(READ + clear, "crm/customer", "customer:read").read.of("/phone") is Disclosure.CLEAR
    assert not decide(every, "crm/customer", "customer:read").allowed
    shown = READ + clear + made.row("crm/customer", "show:*", "*", effect="deny") + "\n"
    assert decide(shown, "crm/customer", "customer:read").read.of("/phone") is Disclosure.WITHHELD
    assert set(made.DENIED) == {"customer:*", "show:*"}


def test_a_deny_beats_an_allow() -> None:
    both = (
        READ + made.row("crm/customer", "customer:read", condition='r.pur == "service"', effect="deny") + "\n"
    )
    outcomes = [decide(policy, "crm/customer", "customer:read").allowed for policy in (READ, both)]
    assert outcomes == [True, False]

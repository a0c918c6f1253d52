"""What a list is narrowed to and what the engine allows are the same records: no allowed one is ever left out, and none is taken
that is denied where the filter says that it is exact."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections import Counter

import pytest

from gateway.catalogue import of_record
from gateway.catalogue.pointers import value_at
from gateway.policy.decider import Engine, PolicyDecider, PreparedQuestion, prepare
from gateway.policy.known import known
from gateway.policy.load import build
from gateway.words.access import ResourceRef
from gateway.words.decision import Facts
from gateway.words.filter import NOTHING, UNKNOWN, Filter, Within, holds
from gateway.words.filtertext import written
from gateway.words.json import Json, JsonObject
from gateway.words.record import ClosedRecord
from tests.campaign import counts
from tests.policy.listed_worlds import ANYTHING, TEXTS, WITHOUT_UNIT, Asked, asked, record
from tests.policy.worlds import NOW, PERSON, UNITS, access, files, party, principal, world

RECORDS = 60


def prepared(one: Asked) -> PreparedQuestion:
    question = PolicyDecider(one.bundle).prepare(
        access(one.who, "customer:list", "service", one.time), one.resource, 0
    )
    assert isinstance(question, PreparedQuestion)
    return question


@pytest.mark.campaign
@pytest.mark.parametrize(
    "resource", [TEXTS, ANYTHING, WITHOUT_UNIT], ids=["texts", "anything", "without unit"]
)
def test_a_filter_takes_what_the_engine_allows(resource) -> None:
    dice = counts.dice(f"list filters {[f.pattern for f in resource.fields]}{resource is TEXTS}")
    seen: Counter[str] = Counter()
    while seen["policies"] < counts.count(70, 4_000):
        one = asked(dice, resource)
        if one is None:
            seen["refused"] += 1
            continue
        question = prepared(one)
        bounds = [question.within(named=True), question.within(named=False)]
        seen["policies"] += 1
        seen["exact"] += bounds[0].exact
        for _ in range(RECORDS):
            fields = record(dice, stored=False)
            made = ClosedRecord(ResourceRef("crm", "customer", "7"), fields)
            allowed = question.decide(of_record(resource, made, Facts())).allowed
            for bound in bounds:
                taken = holds(bound.filter, lambda pointer, fields=fields: value_at(fields, pointer))
                assert taken or not allowed, (one.text, one.who, one.time, fields, bound.filter)
                assert allowed or not taken or not bound.exact, (
                    one.text,
                    one.who,
                    one.time,
                    fields,
                    bound.filter,
                )
                seen[f"{'allowed' if allowed else 'denied'}, {'taken' if taken else 'left out'}"] += 1
    print(f"proof: {dict(seen)}")
    # worth something only if each of them came up, and if more was left out than was taken for nothing
    assert min(seen["allowed, taken"], seen["denied, left out"], seen["denied, taken"], seen["exact"]) > 30, (
        seen
    )
    assert seen["denied, left out"] > seen["denied, taken"], seen


VALUES: tuple[Json, ...] = (
    *(None, "", "a", "A", "a ", "b", "张", "a" * 4096, "a" * 4097, 0, 1, 2, True, False, 1.0, 2.5, -1),
    *(2**53 - 1, 2**53, -(2**53) + 1, -(2**53), 2**70, [], ["a"], ["a", 1], {}),
)
LITERALS = ('"a"', '"张"', "0", "1", "2", "True", "False", "None")
RELATIONS = (
    *(f"r.rec.level {op} {{}}" for op in ("==", "!=", "<", "<=", ">", ">=")),
    *("{} < r.rec.level", "{} >= r.rec.level", "r.rec.level in [{}, None]", "r.rec.level not in [{}]"),
)


@pytest.mark.parametrize("relation", RELATIONS)
def test_every_comparison_on_every_value_is_the_engines(relation: str) -> None:
    for resource, literals in ((ANYTHING, LITERALS), (TEXTS, LITERALS[:2])):
        for literal in literals:
            for form in ("{}", "not ({})"):
                condition = form.format(relation.format(literal))
                text = f"p, role:a, *, crm/customer, customer:list, -, *, {condition}, allow\n"
                made, findings = build(files(text), known(world(resource)))
                assert made is not None, (condition, [str(finding) for finding in findings])
                question = prepared(Asked(text, made, resource, principal(party("app:x", "role:a")), NOW))
                bound = question.within(named=True)
                # nothing says of any value at all that it is a fact: an order needs it not, and what is equal is one
                assert bound.exact or resource is ANYTHING, condition
                for value in VALUES:
                    fields: JsonObject = {"level": value}
                    record = ClosedRecord(ResourceRef("crm", "customer", "7"), fields)
                    allowed = question.decide(of_record(resource, record, Facts())).allowed
                    taken = holds(bound.filter, {"/level": value}.get)
                    assert taken or not allowed, (condition, value)
                    assert taken == allowed or not bound.exact, (condition, value)


OWNED = """\
p, role:a, *, crm/customer, customer:list, -, service, r.rec.owner == r.sub.id and r.rec.level == r.sub.grade, allow
p, role:a, branch:north, crm/customer, customer:list, -, service, r.env.hour >= 10 and r.env.hour < 12, allow
"""


def test_who_asks_is_named_only_where_he_may_be() -> None:
    made, _ = build(files(OWNED), known(world(TEXTS)))
    assert made is not None
    who = principal(party("app:x", "role:a"), party(PERSON, "role:a", grade="g7"))
    question = prepared(Asked(OWNED, made, TEXTS, who, NOW))
    named, unnamed = (repr(said(question.within(named=value).filter)) for value in (True, False))
    assert PERSON in named
    assert "g7" in named
    assert not {part for part in (PERSON, "g7", "app:x") if part in unnamed}
    assert unnamed == "['and']"
    assert not question.within(named=False).exact


def said(what: Filter) -> object:
    """What a filter compares with, which its own text keeps to itself."""
    return json.loads(urlsafe_b64decode(written(what) + "==="))


def test_the_hour_is_that_of_the_question() -> None:
    made, _ = build(files(OWNED), known(world(TEXTS)))
    assert made is not None
    who = principal(party("app:x", "role:a"))
    taken = []
    for hour in (1, 2, 4):  # 9, 10 and 12 on the vocabulary's clock
        question = prepared(Asked(OWNED, made, TEXTS, who, NOW.replace(hour=hour)))
        taken.append(holds(question.within(named=True).filter, {"/unit": UNITS[0]}.get))
    assert taken == [False, True, False]


def test_of_pycasbins_own_evaluation_nothing_is_known() -> None:
    made, _ = build(files(OWNED), known(world(TEXTS)))
    assert made is not None
    engine = Engine(made, reference=True)
    question = prepare(engine, access(principal(party("app:x", "role:a")), "customer:list"), TEXTS, 0)
    assert question.within(named=True) == UNKNOWN


def test_a_refused_question_is_possible_on_no_record() -> None:
    question = PolicyDecider().prepare(access(principal(party("app:x"))), TEXTS, 0)
    assert question.within(named=True) == Within(NOTHING, exact=True)

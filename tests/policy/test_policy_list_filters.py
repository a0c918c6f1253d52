"""What a list is narrowed to and what the engine allows are the same records: no allowed one is ever left out, and none is taken
that is denied where the filter says that it is exact."""

from __future__ import annotations

from collections import Counter

import pytest

from gateway.catalogue import of_record
from gateway.catalogue.pointers import value_at
from gateway.policy.decider import PolicyDecider, PreparedQuestion
from gateway.words.access import ResourceRef
from gateway.words.decision import Facts
from gateway.words.filter import holds
from gateway.words.record import ClosedRecord
from tests.campaign import counts
from tests.policy.listed_worlds import ANYTHING, TEXTS, WITHOUT_UNIT, Asked, asked, record
from tests.policy.worlds import access

RECORDS = 60


def prepared(world: Asked) -> PreparedQuestion:
    question = PolicyDecider(world.bundle).prepare(
        access(world.who, "customer:list", "service", world.time), world.resource, 0
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
    while seen["policies"] < counts.count(150, 4_000):
        world = asked(dice, resource)
        if world is None:
            seen["refused"] += 1
            continue
        question = prepared(world)
        bounds = [question.within(named=True), question.within(named=False)]
        seen["policies"] += 1
        seen["exact"] += bounds[0].exact
        for _ in range(RECORDS):
            fields = record(dice, stored=False)
            made = ClosedRecord(ResourceRef("crm", "customer", "7"), fields)
            allowed = question.decide(of_record(resource, made, Facts())).allowed
            for bound in bounds:
                taken = holds(bound.filter, lambda pointer, fields=fields: value_at(fields, pointer))
                assert taken or not allowed, (world.text, world.who, world.time, fields, bound.filter)
                assert allowed or not taken or not bound.exact, (
                    world.text,
                    world.who,
                    world.time,
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

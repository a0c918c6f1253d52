"""What may be a value has no place in an entry's pointers, and the reconciler finds it there all the same."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from audit import AuditEvent
from gateway.corridor import entries
from gateway.corridor.pointers import Pointers
from gateway.words.access import ResourceRef
from gateway.words.decision import Disclosure, Facts
from gateway.words.json import Json
from gateway.words.record import SealedChange, View
from gateway.words.resource import FieldClass, FieldSpec, Verb
from tests.gate.house import RESOURCE, ByHand, EvidenceByHand, House, call

PHONE, OTHER = "13800001234", "13911112222"
SPECS = (
    FieldSpec("/name", FieldClass.INTERNAL),
    FieldSpec("/tags/*", FieldClass.INTERNAL),
    FieldSpec("/by_phone/*/seen", FieldClass.INTERNAL),
    FieldSpec("/messages/*/key", FieldClass.INTERNAL, element_id="key"),
    FieldSpec("/messages/*/body", FieldClass.MESSAGE_BODY, element_id="key"),
    FieldSpec("/lines/*/amount", FieldClass.INTERNAL),
    FieldSpec("/odd~1name", FieldClass.INTERNAL),
)
KIND = replace(RESOURCE, fields=SPECS)
DOCUMENT: dict[str, Json] = {
    "name": "n",
    "tags": ["a"],
    "by_phone": {OTHER: {"seen": 1}, PHONE: {"seen": 2}, "a/b~c": {"seen": 3}},
    "messages": [{"key": 7, "body": "seven"}, {"key": "m1", "body": "one"}, {"key": "m1", "body": "again"}],
    "lines": [{"amount": 10}, {"amount": 20}],
    "odd/name": "o",
}
RAW = {
    f"/by_phone/{PHONE}/seen": 2,
    "/by_phone/a~1b~0c/seen": 3,
    "/messages/m1/body": "one",
    "/messages/7/body": "seven",
    "/lines/1/amount": 20,
}


@pytest.fixture
def pointers() -> Pointers:
    return Pointers(KIND, EvidenceByHand())


@pytest.mark.parametrize(("raw", "value"), RAW.items())
def test_a_name_that_no_pattern_names_is_a_token_and_is_found_again(
    pointers: Pointers, raw: str, value: object
) -> None:
    said = pointers.said(raw)
    above, token, leaf = said[1:].split("/")
    assert (above, leaf) == (raw.split("/")[1], raw.split("/")[-1])
    assert token.startswith("at_")
    assert len(token) == 27
    assert pointers.member(DOCUMENT, said) == pointers.member(DOCUMENT, raw) == value


def test_names_of_the_catalogue_stay_as_they_are(pointers: Pointers) -> None:
    for known in ("/name", "/tags", "/messages", "/odd~1name", "/messages/*/body"):
        assert pointers.said(known) == known
    assert pointers.member(DOCUMENT, "/odd~1name") == "o"
    assert pointers.said("/unknown").startswith("/at_")


def test_a_token_stands_for_one_name_in_one_place() -> None:
    def said(kind: Any, pointer: str) -> str:
        return Pointers(kind, EvidenceByHand()).said(pointer).split("/")[2]

    made = [said(KIND, f"/by_phone/{PHONE}/seen"), said(KIND, f"/messages/{PHONE}/body")]
    made += [said(replace(KIND, name="other"), f"/by_phone/{PHONE}/seen"), said(KIND, "/by_phone/x/seen")]
    assert len(set(made)) == 4
    assert said(KIND, f"/by_phone/{PHONE}/seen") == made[0]


def test_what_is_gone_is_not_found(pointers: Pointers) -> None:
    for raw in RAW:
        for document in ({}, {"by_phone": {OTHER: {"seen": 2}}, "messages": [], "lines": "none"}):
            assert pointers.member(document, pointers.said(raw)) is None


async def test_no_entry_holds_a_name_that_may_be_a_value(house: House) -> None:
    asking = call(Verb.UPDATE, "a")
    what = ByHand(KIND).address(asking, await house.keys.identify(asking))
    decision = house.policy.prepare(what.access, KIND, 0).decide(Facts())
    document, ref = dict(DOCUMENT), ResourceRef("shelf", "thing", "a")
    shown = dict.fromkeys(RAW, Disclosure.CLEAR)
    view = View(ref=ref, decision=decision, document={}, shown=shown, subject=None, alarms=())
    change = SealedChange(document, tuple(RAW), {"/messages/m1/body": "d" * 64}, False, None)
    evidence = EvidenceByHand()
    intent = entries.intent(what, decision, change, None, None, evidence)
    served = entries.served(what, decision, [view], evidence)
    outcome = entries.outcome(what, decision, 1, {}, view, evidence)
    for event in (intent, served, outcome):
        text = body(event)
        assert not [name for name in (PHONE, "a~1b", "/m1", "/7/", "/1/") if name in text], text

    part = intent.records[0].body
    pointers = Pointers(KIND, evidence)
    assert {entries.value_digest(pointers.member(DOCUMENT, p), evidence) for p in part["plain"]} == set(
        part["plain"].values()
    )
    assert set(part["set"]) == set(part["plain"]) | set(part["sealed"])
    assert len(part["set"]) == len(RAW)


async def test_an_outcome_names_the_record_that_was_made_though_nothing_of_it_is_shown(house: House) -> None:
    asking = call(Verb.CREATE)
    what = ByHand(KIND).address(asking, await house.keys.identify(asking))
    decision = house.policy.prepare(what.access, KIND, 0).decide(Facts())
    made = entries.outcome(what, decision, 1, {}, None, EvidenceByHand(), created="new")
    assert [part.body for part in made.records] == [{"reference": "new", "subject": None}]
    assert entries.outcome(what, decision, 1, {}, None, EvidenceByHand()).records == ()


def body(event: AuditEvent) -> str:
    return orjson.dumps([part.body for part in event.records]).decode()

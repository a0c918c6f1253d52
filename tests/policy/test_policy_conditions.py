"""A condition means to us what it means to pycasbin, and text that is no condition is never more than refused."""

from __future__ import annotations

import logging
from random import Random

import casbin
import pytest
from casbin import util
from casbin.core_enforcer import CoreEnforcer
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.policy.condition import Asked, Malformed, parse
from gateway.policy.facts import plain
from gateway.words.decision import Facts, FactValue
from tests.policy import worlds

# Pieces of conditions, and of what somebody would try in one.
PIECES = (
    *(
        "r.",
        "rec",
        ".",
        "sub",
        "id",
        "==",
        "in",
        "not",
        "(",
        ")",
        "[",
        "]",
        "'",
        '"',
        "a",
        "1",
        " ",
        "and",
        "or",
    ),
    *("!", "&&", "||", "lambda", ":", "#", "\\", "\x00", "𝔯", "True", ",", "**", "eval"),
)
VALUES: st.SearchStrategy[FactValue] = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 4), st.sampled_from(["hot", "east", "x", "2"])
)


def theirs(text: str, asked: Asked) -> object:
    """What pycasbin makes of the text, its rewriting included; the exception's type where it raises."""
    expression = CoreEnforcer._get_expression(util.escape_assertion(text), {})
    names = {
        "r_rec": dict(asked.rec),
        "r_sub": dict(asked.sub),
        "r_env": dict(asked.env),
        "r_pur": asked.pur,
        "r_dom": asked.dom,
    }
    try:
        return expression.eval(names)
    except TypeError:
        return TypeError


@settings(max_examples=250, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    rec=st.fixed_dictionaries({"owner": VALUES, "level": VALUES, "region": VALUES, "unit": VALUES}),
    tags=st.one_of(st.none(), st.lists(st.sampled_from(["hot", "x"]), max_size=3).map(tuple)),
    grade=st.one_of(st.none(), st.integers(0, 3), st.text(max_size=2)),
    hour=st.integers(0, 23),
    unfit=st.frozensets(st.sampled_from(["owner", "level", "tags"]), max_size=1),
)
def test_a_random_condition_gives_what_pycasbin_gives(
    seed: int,
    rec: dict[str, FactValue],
    tags: FactValue,
    grade: int | str | None,
    hour: int,
    unfit: frozenset[str],
) -> None:
    text = worlds.condition(Random(seed), depth=3)
    condition = parse(text)
    values = {name: value for name, value in (rec | {"tags": tags}).items() if name not in unfit}
    names = ("owner", "level", "region", "unit", "tags")
    facts = plain(Facts(values, unfit=unfit), names, frozenset({"tags"}))
    sub = {"id": "hot", "grade": grade, "alone": False}
    asked = Asked(facts, sub, {"hour": hour, "weekday": 1, "date": "2026-11-02"}, "service", "east")
    expected = theirs(text, asked)
    try:
        assert condition.test(asked) is expected
    except TypeError:
        assert expected is TypeError
        assert not condition.total


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(PIECES),
            max_size=25,
        ).map("".join),
    )
)
def test_any_text_is_a_condition_or_malformed_and_nothing_else(text: str) -> None:
    try:
        condition = parse(text)
    except Malformed:
        return
    facts = Facts(dict.fromkeys(condition.facts))
    asked = Asked(plain(facts, condition.facts, condition.sets), {"id": "x", "alone": True}, {}, "-", "-")
    try:
        assert isinstance(condition.test(asked), bool)
    except (TypeError, KeyError):
        assert condition.facts or condition.attributes or "r.env" in text


@pytest.mark.parametrize(
    ("text", "conjuncts"),
    [
        ("True", frozenset()),
        ("True and r.dom == 'x'", frozenset({"r.dom == 'x'"})),
        ('r.dom == "x" && (r.pur != "y" && True)', frozenset({"r.dom == 'x'", "r.pur != 'y'"})),
        ("r.dom == 'x' or True", frozenset({"r.dom == 'x' or True"})),
        ("False", frozenset({"False"})),
    ],
)
def test_a_condition_knows_its_parts(text: str, conjuncts: frozenset[str]) -> None:
    assert parse(text).conjuncts == conjuncts


def test_pycasbin_writes_no_request_into_a_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        made = casbin.Enforcer(
            str(worlds.ROOT / "policies" / "model.conf"), str(worlds.ROOT / "policies" / "policy.csv")
        )
        sub = {"id": "planted-value", "alone": False}
        assert not made.enforce(sub, "planted-value", *["x"] * 8, {}, {})
    assert "planted-value" not in caplog.text

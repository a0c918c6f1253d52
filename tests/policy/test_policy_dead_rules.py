"""What is said to be dead is dead, and what only looks so is left alone."""

from __future__ import annotations

import pytest

from gateway.policy.bundle import Bundle
from gateway.policy.finding import Finding, Severity
from gateway.policy.known import known
from gateway.policy.lint.dead import Dead
from gateway.policy.lint.terms import implies, never, term_of
from gateway.words.resource import FieldClass, FieldSpec
from tests.policy import worlds


def dead(policy: str, *, model: str = worlds.MODEL) -> list[tuple[str, int]]:
    """The ids of what is found, with their lines."""
    return [(finding.rule, finding.line) for finding in findings(worlds.bundle(policy, model=model))]


def findings(bundle: Bundle) -> list[Finding]:
    found = list(Dead(bundle, worlds.ground()).findings())
    assert all(finding.severity is Severity.WARNING for finding in found)
    return found


def p(condition: str = "True", **columns: str) -> str:
    """One rule; each test shows the column that matters."""
    row = {
        "role": "role:a",
        "unit": "*",
        "res": "crm/customer",
        "act": "customer:read",
        "field": "-",
        "pur": "service",
        "cond": condition,
        "eft": "allow",
    } | columns
    return "p, " + ", ".join(row.values()) + "\n"


@pytest.mark.parametrize(
    "condition",
    [
        "False",
        "not True",
        "r.env.hour >= 21 and r.env.hour < 8",
        "r.env.hour < 0",
        "r.env.hour in [3, 4] and r.env.hour not in [3, 4]",
        "r.env.weekday == 6 and r.env.weekday == 7",
        "r.env.weekday > 7 or r.env.weekday < 1",
        'r.pur == "audit"',
        'not (r.pur != "audit")',
        'r.rec.level == "vip" and r.rec.level == "gold"',
        "r.rec.level == 1 && r.rec.level != 1",
        "r.rec.level == 1 && !(r.rec.level == True)",
        "r.rec.level > 3 and r.rec.level < 4",
        "r.rec.level > 3 and r.rec.level < 5 and r.rec.level != 4",
        "3 < r.rec.level < 4",
        "5 < r.rec.level <= 5",
        "r.rec.level < None",
        'r.rec.level < 3 and r.rec.level > "a"',
        'r.rec.owner > "m" and r.rec.owner < "c"',
        'r.rec.owner >= "m" and r.rec.owner <= "m" and r.rec.owner != "m"',
        "r.rec.owner == r.sub.id and r.sub.id != r.rec.owner",
        "r.rec.owner != r.rec.owner",
        "r.rec.owner < r.rec.level and r.rec.owner >= r.rec.level",
        '"hot" in r.rec.tags and "hot" not in r.rec.tags',
        "r.sub.alone == True and r.sub.alone == False",
        "r.sub.alone != True and r.sub.alone != False",
        'r.rec.unit == "branch:north" and r.dom == "branch:south"',
        'r.rec.unit == None and r.dom == "branch:south"',
        'r.dom == "branch:north" and r.rec.unit != "branch:north"',
        '1 == 2 or "a" < 1',
        "r.rec.level in [1, 2] and r.rec.level in [3, 4]",
        "r.rec.level in [1, 2] and r.rec.level > 2",
        "(r.rec.level == 1 or r.rec.level == 2) and (r.rec.level == 3 or r.rec.level == 4)",
    ],
)
def test_a_condition_that_cannot_be_true_is_found(condition: str) -> None:
    assert ("never-true", 2) in dead(p(act="customer:list") + p(condition)), condition
    assert ("never-true", 2) in dead(p(act="customer:list") + p(condition, eft="deny")), condition


@pytest.mark.parametrize(
    "condition",
    [
        "r.env.hour >= 21 or r.env.hour < 8",
        "r.env.hour >= 8 and r.env.hour <= 8",
        "r.env.weekday == 6 or r.env.weekday == 7",
        'r.pur == "service"',
        "r.rec.level == 1 and r.rec.level == True",
        "r.rec.level > 3 and r.rec.level < 5",
        "r.rec.level >= 3 and r.rec.level <= 4 and r.rec.level != 3",
        "r.rec.level != 1 and r.rec.level != None",
        'r.rec.level == "vip" or r.rec.level == "gold"',
        'r.rec.owner > "c" and r.rec.owner < "m"',
        'r.rec.owner >= "m" and r.rec.owner <= "m"',
        '"hot" in r.rec.tags and "cold" not in r.rec.tags',
        "r.rec.owner == r.sub.id and r.rec.region != r.sub.id",
        "r.rec.owner <= r.rec.level and r.rec.owner >= r.rec.level",
        "r.sub.alone != True",
        'r.rec.unit == "branch:north" and r.dom == "branch:north"',
        'r.rec.unit == None and r.dom == "-"',
        "not (1 < r.rec.level < 3)",
        # it may be that this is never true: what is not proven is not said
        "r.rec.owner == r.sub.id and r.rec.region == r.sub.id and r.rec.owner != r.rec.region",
    ],
)
def test_a_condition_that_can_be_true_is_left_alone(condition: str) -> None:
    assert dead(p(act="customer:list") + p(condition)) == []


def test_what_excludes_each_other_may_stand_in_two_columns() -> None:
    assert dead(p('r.dom == "branch:south"', unit="branch:north")) == [("never-true", 1)]
    assert dead(p('r.rec.unit == "branch:south"', unit="branch:north")) == [("never-true", 1)]
    assert dead(p('r.rec.unit == "branch:north"', unit="branch:north")) == []
    assert dead(p('r.pur == "audit"', pur="*")) == []
    # a question about personal data names its purpose; one about the log need not
    assert dead(p('r.pur == "-"', pur="*")) == [("never-true", 1)]
    assert dead(p('r.pur == "-"', pur="*", res="gatehouse/audit", act="audit:read")) == []


def test_a_part_that_the_model_adds_counts() -> None:
    by_day = worlds.MODEL.replace(" && eval(p.cond)", " && r.env.hour < 20 && eval(p.cond)")
    assert dead(p("r.env.hour >= 20"), model=by_day) == [("never-true", 1)]
    assert dead(p("r.env.hour >= 19"), model=by_day) == []


def test_too_many_cases_are_not_looked_at() -> None:
    either = [f"(r.rec.level == {n} or r.rec.level == {n + 100})" for n in range(7)]
    assert never(term_of(" and ".join(either[:6])), {})
    assert not never(term_of(" and ".join(either)), {})
    assert term_of(" and ".join(either)).true is None
    few, fewer = (term_of(" or ".join(f"r.rec.level == {n}" for n in range(m))) for m in (9, 8))
    assert implies(fewer, few, {})
    assert not implies(
        few, term_of("not (" + " or ".join(f"r.rec.level == {n}" for n in range(100, 108)) + ")"), {}
    )


def test_a_unit_is_nothing_on_a_resource_without_one() -> None:
    key = {"res": "gatehouse/key", "act": "key:list", "pur": "*"}
    assert dead(p(unit="branch:north", **key)) == [("unit-absent", 1)]
    assert dead(p(unit="branch:north", **key, eft="deny") + p()) == [("unit-absent", 1)]
    assert dead(p(**key)) == []
    assert dead(p('r.dom == "branch:north"', **key)) == [("never-true", 1)]
    assert dead(p(unit="branch:north")) == []
    # a deny of every resource holds on those that have one
    assert dead(p() + p(unit="branch:north", res="*", act="customer:list", eft="deny")) == []


def test_what_the_upstream_alone_sets_nobody_may_set() -> None:
    assert dead(p(act="set", field="public")) == [("never-settable", 1)]
    assert dead(p(act="set", field="/id")) == [("never-settable", 1)]
    assert dead(p(act="set", field="contact")) == []
    assert dead(p(act="set", field="financial")) == []  # no field of the class: `class-absent` says it
    assert dead(p() + p(act="set", field="public", eft="deny")) == []
    more = FieldSpec("/nick", FieldClass.PUBLIC)
    wider = worlds.CUSTOMER.__class__(
        **{
            name: getattr(worlds.CUSTOMER, name)
            for name in worlds.CUSTOMER.__dataclass_fields__
            if name != "fields"
        },
        fields=(*worlds.CUSTOMER.fields, more),
    )
    made = worlds.bundle(p(act="set", field="public"))
    assert list(Dead(made, known(worlds.world(wider))).findings()) == []


ABOVE = "g, role:a, role:b, *\n"


@pytest.mark.parametrize(
    ("allow", "deny", "links"),
    [
        (p("r.rec.level == 1"), p(eft="deny"), ""),
        (
            p('r.rec.level == 1 and r.rec.owner == "x"'),
            p('r.rec.owner == "x" and r.rec.level == 1', eft="deny"),
            "",
        ),
        (p('r.rec.level == 1 and r.rec.owner == "x"'), p("r.rec.level == 1", eft="deny"), ""),
        (p("r.env.hour < 8"), p("r.env.hour < 12", eft="deny"), ""),
        (p("r.rec.level == 1"), p("r.rec.level in [1, 2]", eft="deny"), ""),
        (p("r.rec.level == 1"), p("r.rec.level > 0", eft="deny"), ""),
        (p(pur="service"), p(pur="*", eft="deny"), ""),
        (p('r.pur == "audit"', pur="*"), p('r.pur != "service"', pur="*", eft="deny"), ""),
        (p(unit="branch:north"), p(unit="*", eft="deny"), ""),
        (p(unit="branch:north"), p('r.dom == "branch:north"', unit="*", eft="deny"), ""),
        (p(), p(res="*", eft="deny"), ""),
        (p(), p(act="customer:*", eft="deny"), ""),
        (p(act="show:clear", field="contact"), p(act="show:*", field="*", eft="deny"), ""),
        (p(act="show:masked", field="/phone"), p(act="show:*", field="contact", eft="deny"), ""),
        (p(act="set", field="/phone"), p(act="set", field="contact", res="*", eft="deny"), ""),
        (p("r.rec.level == 1"), p(role="role:b", eft="deny"), ABOVE),
        (p(unit="branch:north"), p(role="role:b", eft="deny"), "g, role:a, role:b, branch:north\n"),
        (p("r.rec.level == 1"), p(role="role:c", eft="deny"), ABOVE + "g, role:b, role:c, *\n"),
    ],
)
def test_an_allow_that_a_deny_always_beats_is_found(allow: str, deny: str, links: str) -> None:
    other = p(act="customer:list", role="role:d")
    assert dead(other + allow + deny + links) == [("shadowed", 2)]
    assert dead(other + deny + allow + links) == [("shadowed", 3)]


@pytest.mark.parametrize(
    ("allow", "deny", "links"),
    [
        (p(), p("r.rec.level == 1", eft="deny"), ""),
        (p("r.rec.level == 1"), p("r.rec.level == 2", eft="deny"), ""),
        (p("r.rec.level == 1"), p('r.rec.level == 1 and r.rec.owner == "x"', eft="deny"), ""),
        (p("r.env.hour < 12"), p("r.env.hour < 8", eft="deny"), ""),
        (p(pur="*"), p(pur="service", eft="deny"), ""),
        (p(unit="*"), p(unit="branch:north", eft="deny"), ""),
        (p(unit="branch:south"), p(unit="branch:north", eft="deny"), ""),
        (p(), p(act="customer:update", eft="deny"), ""),
        (p(act="show:masked", field="contact"), p(act="show:clear", field="contact", eft="deny"), ""),
        (p(act="show:clear", field="contact"), p(act="show:*", field="/phone", eft="deny"), ""),
        (p(act="show:clear", field="/name"), p(act="show:*", field="contact", eft="deny"), ""),
        (p(), p(role="role:b", eft="deny"), ""),
        (p(), p(role="role:b", eft="deny"), "g, role:b, role:a, *\n"),
        # only within one unit is the one an heir of the other
        (p(unit="*"), p(role="role:b", eft="deny"), "g, role:a, role:b, branch:north\n"),
        (p("r.rec.level != 1"), p("r.rec.level > 1", eft="deny"), ""),
        (p('r.rec.owner == "x"'), p("r.sub.alone == True", eft="deny"), ""),
    ],
)
def test_an_allow_that_sometimes_holds_is_left_alone(allow: str, deny: str, links: str) -> None:
    other = p(act="customer:list", role="role:d")
    assert dead(other + allow + deny + links) == []


def test_a_rule_that_another_makes_needless_is_found() -> None:
    narrow = p("r.rec.level == 1")
    assert dead(narrow + p()) == [("implied", 1)]
    assert dead(p() + narrow) == [("implied", 2)]
    assert dead(p("1 == 1") + p()) == [("implied", 2)]
    assert dead(p("r.rec.level == 1") + p("r.rec.level == 1 and True")) == [("implied", 2)]
    assert dead(p() + p(role="role:b") + ABOVE) == [("implied", 1)]
    assert dead(p(act="show:clear", field="/phone") + p(act="show:clear", field="contact")) == [
        ("implied", 1)
    ]
    denies = p(eft="deny", unit="branch:north") + p(eft="deny", act="customer:*")
    assert dead(p(role="role:d") + denies) == [("implied", 2)]
    assert dead(p(role="role:b") + p("r.rec.level == 1") + p("r.rec.level == 2")) == []
    assert dead(p(role="role:b") + p()) == []


def test_three_that_say_the_same_leave_one() -> None:
    thrice = p("r.rec.level == 1") + p("(r.rec.level == 1)") + p("((r.rec.level == 1))")
    assert dead(thrice) == [("implied", 2), ("implied", 3)]


def test_on_pycasbin_rules_are_not_compared_with_each_other() -> None:
    by_role = worlds.MODEL.replace(
        " && eval(p.cond)", ' && regexMatch(r.role, "^role:[a-z]$") && eval(p.cond)'
    )
    both = p("r.rec.level == 1") + p(eft="deny") + p("False", act="customer:list")
    assert dead(both, model=by_role) == [("never-true", 3)]
    assert dead(both) == [("shadowed", 1), ("never-true", 3)]

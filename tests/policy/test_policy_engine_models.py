"""The kinds of model that people write, each asked everything: the answers are pycasbin's, and what they should be."""

from __future__ import annotations

from datetime import datetime
from itertools import product
from typing import Any

import pytest

from gateway.policy.engine import Policy, StockEngine, Undecidable
from gateway.policy.engine.verdict import Engine
from tests.policy.test_policy_engine_refused import model

BOTH = "some(where (p.eft == allow)) && !some(where (p.eft == deny))"
NOT_DENIED = "!some(where (p.eft == deny))"
FOUR = "sub, obj, act, eft"
ROLES = "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act"
WHO = ("alice", "bob", "root", "admin", "")
WHAT = ("data1", "data2", "/a", "/a/1", "/a/1/b", "data1\n", "")
HOW = ("read", "write", "GET", "GETX", "")
OLD = {"Age": 70, "Dept": "d1", "Owner": "alice", "Home": {"City": "x"}}

# name → (model, policy, values of each column, requests that are allowed)
MODELS: dict[str, tuple[str, str, tuple[Any, ...], list[list[Any]]]] = {
    "lists": (
        model(),
        "p, alice, data1, read\np, bob, data2, write\n",
        (WHO, WHAT, HOW),
        [["bob", "data2", "write"]],
    ),
    "a root": (
        model('r.sub == p.sub && r.obj == p.obj && r.act == p.act || r.sub == "root"'),
        "p, alice, data1, read\n",
        (WHO, WHAT, HOW),
        [["root", "nothing", "nobody"], ["alice", "data1", "read"]],
    ),
    "roles": (
        model(ROLES, roles="g = _, _"),
        "p, admin, data1, read\ng, alice, admin\n",
        (WHO, WHAT, HOW),
        [["alice", "data1", "read"]],
    ),
    "roles and denies": (
        model(ROLES, BOTH, FOUR, "g = _, _"),
        "p, admin, data1, read, allow\np, bob, data1, read, deny\ng, alice, admin\ng, bob, admin\n",
        (WHO, WHAT, HOW),
        [["alice", "data1", "read"]],
    ),
    "only denies": (
        model(ROLES, NOT_DENIED, FOUR, "g = _, _"),
        "p, bob, data1, read, deny\np, alice, data1, read, allow\n",
        (WHO, WHAT, HOW),
        [["x", "y", "z"]],
    ),
    "resource roles": (
        model("g(r.sub, p.sub) && g2(r.obj, p.obj) && r.act == p.act", roles="g = _, _\ng2 = _, _"),
        "p, admin, files, read\ng, alice, admin\ng2, data1, files\ng2, data2, data1\n",
        (WHO, WHAT, HOW),
        [["alice", "data1", "read"], ["alice", "data2", "read"]],
    ),
    "domains": (
        model(
            "g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj",
            rule="sub, dom, obj",
            roles="g = _, _, _",
            request="sub, dom, obj",
        ),
        "p, admin, d1, data1\np, admin, d2, data2\ng, alice, admin, d1\ng, bob, admin, d2\n",
        (WHO, ("d1", "d2", "", "x", 1, None), WHAT),
        [["alice", "d1", "data1"]],
    ),
    "domains of the rule": (
        model(
            '(g(r.sub, p.sub, p.dom) || g(r.sub, p.sub, "*")) && (p.dom == r.dom || p.dom == "*")',
            rule="sub, dom",
            roles="g = _, _, _",
            request="sub, dom",
        ),
        "p, admin, d1\np, staff, *\ng, alice, admin, d1\ng, bob, staff, *\ng, carol, admin, *\n",
        ((*WHO, "carol"), ("d1", "d2", "*", "")),
        [["alice", "d1"], ["bob", "d2"], ["carol", "d1"]],
    ),
    "paths": (
        model("r.sub == p.sub && keyMatch2(r.obj, p.obj) && regexMatch(r.act, p.act)"),
        "p, alice, /a/:id, GET\np, bob, /a/*, (GET)|(read)\np, alice, /a/:x/b, .*\n",
        (WHO, WHAT, HOW),
        [["alice", "/a/1", "GETX"], ["bob", "/a/1/b", "read"]],
    ),
    "stars": (
        model("keyMatch(r.obj, p.obj) && keyMatch(r.act, p.act)"),
        "p, x, /a/*, *\np, x, data1, re*\n",
        (WHO, WHAT, HOW),
        [["x", "/a/1", "y"]],
    ),
    "names in paths": (
        model("keyMatch4(r.obj, p.obj) || keyMatch3(r.obj, p.act) || keyMatch5(r.obj, p.sub)"),
        "p, /a/*, /{x}/2/{x}, /b/{y}\n",
        (WHO, ("/1/2/1", "/1/2/3", "/b/c", "/b/c/d", "/a/x?y=1", "/a"), HOW),
        [["x", "/1/2/1", "y"], ["x", "/b/c", "y"], ["x", "/a/x?y=1", "y"]],
    ),
    "globs": (
        model("globMatch(r.obj, p.obj)"),
        "p, x, /a/*, y\np, x, data?, y\n",
        (WHO, WHAT, HOW),
        [["x", "/a/1", "y"], ["x", "data1", "y"]],
    ),
    "networks": (
        model("ipMatch(r.sub, p.sub)"),
        "p, 10.0.0.0/8, x, y\np, ::1, x, y\np, house, x, y\n",
        (("10.1.1.1", "11.1.1.1", "::1", "house", 5, True), WHAT, HOW),
        [["10.1.1.1", "x", "y"], ["::1", "x", "y"]],
    ),
    "attributes": (
        model("r.sub.Owner == r.obj && r.sub.Age >= 18"),
        "\n",
        ((OLD, {"Owner": "bob", "Age": 1}, {}, "alice", None), WHO, HOW),
        [[OLD, "alice", "x"]],
    ),
    "conditions": (
        model("eval(p.sub) && r.obj == p.obj && r.act == p.act"),
        "p, r.sub.Age > 18 && r.sub.Dept == 'd1', data1, read\np, r.sub.Home.City in ('x', 'y'), data1, write\n",
        ((OLD, {"Age": 1, "Dept": "d1"}, {"Age": "x"}, {}, None), WHAT, HOW),
        [[OLD, "data1", "read"], [OLD, "data1", "write"]],
    ),
    "conditions last": (
        model("r.obj == p.obj && r.act == p.act && eval(p.sub)", BOTH, FOUR),
        "p, r.sub.Age > 18, data1, read, allow\np, r.sub.Dept == 'd1', data1, read, deny\np, True, data2, read, allow\n",
        ((OLD, {"Age": 40, "Dept": "d2"}, {"Age": 40}, {}, None), WHAT, HOW),
        [[{"Age": 40, "Dept": "d2"}, "data1", "read"], [None, "data2", "read"]],
    ),
    "two conditions": (
        model("eval(p.sub) && eval(p.obj) && r.act == p.act"),
        "p, r.sub.Age > 18, r.obj.Kind == 'a', read\np, r.sub.Age > 60, r.obj.Kind == 'b', read\n",
        ((OLD, {"Age": 20}, {}), ({"Kind": "a"}, {"Kind": "b"}, {}, "a"), HOW),
        [[OLD, {"Kind": "b"}, "read"]],
    ),
    "the order of the file": (
        model(ROLES, "priority(p.eft) || deny", FOUR, "g = _, _"),
        "p, alice, data1, read, deny\np, admin, data1, read, allow\ng, alice, admin\ng, bob, admin\n",
        (WHO, WHAT, HOW),
        [["bob", "data1", "read"]],
    ),
    "a column of priorities": (
        model(ROLES, "priority(p.eft) || deny", "priority, sub, obj, act, eft", "g = _, _"),
        "p, 10, admin, data1, read, deny\np, 1, alice, data1, read, allow\np, 2, admin, data1, read, deny\ng, alice, admin\n",
        (WHO, WHAT, HOW),
        [["alice", "data1", "read"]],
    ),
    "priorities under another effect": (
        model(ROLES, BOTH, "sub, obj, act, eft, priority", "g = _, _"),
        "p, admin, data1, read, allow, 3\np, alice, data1, read, allow, 1\np, admin, data1, read, allow, 2\ng, alice, admin\n",
        (WHO, WHAT, HOW),
        [["alice", "data1", "read"]],
    ),
    "subjects before their roles": (
        model(ROLES, "subjectPriority(p.eft) || deny", FOUR, "g = _, _"),
        "p, root, data1, read, deny\np, admin, data1, read, deny\np, alice, data1, read, allow\ng, admin, root\ng, alice, admin\n",
        (WHO, WHAT, HOW),
        [["alice", "data1", "read"]],
    ),
    "in": (
        model('r.sub == p.sub && r.obj in ("data1", "data2") && p.act in (r.act, "*")'),
        "p, alice, x, read\np, bob, x, *\n",
        (WHO, WHAT, HOW),
        [["alice", "data1", "read"], ["bob", "data2", "write"]],
    ),
    "more lines than one": (
        model("r.sub == p.sub && \\\n  r.obj == p.obj # and that is all"),
        "p, alice, data1, read\n",
        (WHO, WHAT, HOW),
        [["alice", "data1", "x"]],
    ),
    "levels": (
        model('(r.act == "read" && r.sub >= r.obj) || (r.act == "write" && r.sub <= r.obj)'),
        "\n",
        ((1, 2, 2.5, True, None, "x"), (1, 3, "y", []), HOW),
        [[2, 1, "read"], [1, 3, "write"]],
    ),
    "neither": (
        model("!(r.sub == p.sub) && !g(r.sub, 'admin')", roles="g = _, _"),
        "p, bob, x, y\ng, alice, admin\n",
        (WHO, WHAT, HOW),
        [["root", "x", "y"]],
    ),
    "more branches than have an index": (
        model(" && ".join(f"(r.sub == p.sub || r.obj == '{n}')" for n in range(5))),
        "p, alice, x, y\n",
        (WHO, WHAT, HOW),
        [["alice", "x", "y"]],
    ),
}


def said(engine: Engine, request: list[Any]) -> object:
    try:
        return tuple(engine.decide(request))
    except Undecidable:
        return "error"


@pytest.mark.parametrize("name", MODELS)
def test_everything_that_can_be_asked(name: str) -> None:
    text, policy, values, allowed = MODELS[name]
    ours, theirs = Policy(text, policy).engine, StockEngine(text, policy)
    for request in product(*values):
        assert said(ours, list(request)) == said(theirs, list(request)), request
    for wanted in allowed:
        assert ours.decide(wanted).allowed, wanted


def test_a_backslash_is_not_remarked_upon() -> None:
    text = model(r"r.sub == p.sub && regexMatch(r.obj, '^\d+$')")
    assert Policy(text, "p, alice, x, y\n").engine.decide(["alice", "42", "z"]).allowed
    assert not Policy(text, "p, alice, x, y\n").engine.decide(["alice", "4a", "z"]).allowed


def test_the_rule_that_decided_is_named() -> None:
    text, policy, _values, _allowed = MODELS["roles and denies"]
    ours = Policy(text, policy).engine
    assert ours.decide(["bob", "data1", "read"]) == (False, ("bob", "data1", "read", "deny"))
    assert ours.decide(["alice", "data1", "read"]) == (True, ("admin", "data1", "read", "allow"))
    assert ours.decide(["alice", "data1", "write"]) == (False, None)


def test_many_roles_cost_as_little_as_few_rules() -> None:
    """Whoever holds a thousand roles is looked up by the roles that stand at the rule, and the other way about."""
    text = model(ROLES, BOTH, FOUR, "g = _, _")
    rows = [
        f"p, role{n}, data1, read, {'deny' if n == 700 else 'allow'}\np, role{n}, data{n}, read, allow"
        for n in range(1000)
    ]
    links = [f"g, alice, role{n}" for n in range(1000) if n != 700] + [
        "g, bob, role700",
        "g, bob, role3",
        "g, carol, role9",
    ]
    policy = "\n".join([*rows, *links]) + "\n"
    ours = Policy(text, policy).engine
    assert ours.decide(["alice", "data1", "read"]) == (True, ("role999", "data1", "read", "allow"))
    assert ours.decide(["alice", "data5", "read"]) == (True, ("role5", "data5", "read", "allow"))
    assert ours.decide(["bob", "data1", "read"]) == (False, ("role700", "data1", "read", "deny"))
    assert ours.decide(["carol", "data1", "read"]) == (True, ("role9", "data1", "read", "allow"))


@pytest.mark.parametrize(
    ("now", "allowed"), [("2026-06-01", True), ("2025-06-01", False), ("2027-06-01", False)]
)
def test_times_are_the_machines(now: str, allowed: bool) -> None:
    text = model("r.sub == p.sub && timeMatch(p.obj, p.act)")
    policy = "p, alice, 2026-01-01 00:00:00, 2026-12-31 00:00:00\np, bob, _, _\np, carol, x, _\n"
    ours = Policy(text, policy, now=lambda: datetime.fromisoformat(now)).engine
    assert ours.decide(["alice", "x", "y"]).allowed is allowed
    assert ours.decide(["bob", "x", "y"]).allowed
    with pytest.raises(Undecidable):
        ours.decide(["carol", "x", "y"])


def test_a_rule_is_written_in_the_place_of_another() -> None:
    text, policy, _values, _allowed = MODELS["the order of the file"]
    ours = Policy(text, policy)
    ours.replace(("alice", "data1", "read", "deny"), ("alice", "data1", "read", "allow"))
    whole = Policy(text, policy.replace("read, deny", "read, allow")).engine
    for request in product(WHO, WHAT, HOW):
        assert said(ours.engine, list(request)) == said(whole, list(request))


def test_columns_and_attributes_may_be_chinese() -> None:
    text = model("r.人 == p.人 && r.物.级 > 1", request="人, 物", rule="人")
    policy = "p, 李伟\n"
    ours, theirs = Policy(text, policy).engine, StockEngine(text, policy)
    for request in (["李伟", {"级": 2}], ["李伟", {"级": 1}], ["张敏", {"级": 2}], ["李伟", {}]):
        assert said(ours, request) == said(theirs, request)
    assert ours.decide(["李伟", {"级": 2}]).allowed


def test_a_link_orders_subjects_anew() -> None:
    text, policy, _values, _allowed = MODELS["subjects before their roles"]
    ours = Policy(text, policy)
    ours.remove("g", ("alice", "admin"))
    whole = Policy(text, policy.replace("g, alice, admin\n", "")).engine
    for request in product(WHO, WHAT, HOW):
        assert said(ours.engine, list(request)) == said(whole, list(request))

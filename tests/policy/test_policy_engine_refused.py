"""What pycasbin reads in a dangerous way is refused at load; what it makes of the same files is shown beside each."""

from __future__ import annotations

import pytest

from gateway.policy.engine import Policy, StockEngine, Undecidable, Unfit, open_engine

DENYING = "some(where (p.eft == allow)) && !some(where (p.eft == deny))"


def model(
    matcher: str = "r.sub == p.sub && r.obj == p.obj && r.act == p.act",
    effect: str = "some(where (p.eft == allow))",
    rule: str = "sub, obj, act",
    roles: str = "",
    request: str = "sub, obj, act",
    more: str = "",
) -> str:
    roles = f"[role_definition]\n{roles}\n" if roles else ""
    return (
        f"[request_definition]\nr = {request}\n[policy_definition]\np = {rule}\n{roles}"
        f"[policy_effect]\ne = {effect}\n[matchers]\nm = {matcher}\n{more}"
    )


def keys(model_text: str, policy: str) -> list[tuple[str, int]]:
    with pytest.raises(Unfit) as refused:
        Policy(model_text, policy)
    return [(fault.key.removeprefix("engine."), fault.line) for fault in refused.value.faults]


ALLOWED = ["alice", "data1", "read"]
RULE = "p, alice, data1, read, allow\n"
FOUR = "sub, obj, act, eft"
LINKS = "".join(f"g, role{n}, role{n + 1}\n" for n in range(10))

# name → (model, policy, a request that pycasbin allows, the fault, its line)
OPEN = {
    "an empty policy under deny-override": (
        model(effect="!some(where (p.eft == deny))", rule=FOUR),
        "\n",
        ALLOWED,
        "no-rules",
        1,
    ),
    "an empty policy and empty texts": (model(), "\n", ["", "", ""], "no-rules", 1),
    "an empty policy and a pattern": (model("regexMatch(r.obj, p.obj)"), "\n", ALLOWED, "no-rules", 1),
    "an empty policy and a second way": (
        model('r.sub == p.sub || r.sub == "root"'),
        "\n",
        ["root", "x", "y"],
        "no-rules",
        1,
    ),
    "a deny with a capital": (
        model(effect=DENYING, rule=FOUR),
        RULE + "p, alice, data1, read, Deny\n",
        ALLOWED,
        "effect-value",
        2,
    ),
    "a deny with a comment": (
        model(effect=DENYING, rule=FOUR),
        RULE + "p, alice, data1, read, deny # no\n",
        ALLOWED,
        "effect-value",
        2,
    ),
    "a kind that nobody declared": (
        model(effect=DENYING, rule=FOUR),
        RULE + "P, alice, data1, read, deny\n",
        ALLOWED,
        "kind-unknown",
        2,
    ),
    "a column that is not called eft": (
        model(effect=DENYING, rule="sub, obj, act, effect"),
        RULE + "p, alice, data1, read, deny\n",
        ALLOWED,
        "effect-without-column",
        6,
    ),
    "a short row behind": (model(), "p, alice, data1, read\np, bob, data1\n", ALLOWED, "column-count", 2),
    "a link with a domain that no one asks for": (
        model("g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act", roles="g = _, _"),
        "p, admin, data1, read\ng, alice, admin, house1\n",
        ALLOWED,
        "column-count",
        2,
    ),
    "a role for a time": (
        model("g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act", roles="g = _, _, (_, _)"),
        "p, admin, data1, read\ng, alice, admin, 2000-01-01 00:00:00, 2001-01-01 00:00:00\n",
        ALLOWED,
        "conditional-role",
        6,
    ),
    "a deny ten links away": (
        model("g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act", DENYING, FOUR, "g = _, _"),
        "p, role0, data1, read, allow\np, role10, data1, read, deny\n" + LINKS,
        ["role0", "data1", "read"],
        "too-far",
        1,
    ),
    "a literal that is rewritten": (
        model('r.sub == p.sub && r.obj != "r.secret"'),
        "p, alice, x, y\n",
        ["alice", "r.secret", "z"],
        "literal-rewritten",
        8,
    ),
    "a negation within a literal": (
        model('r.sub == p.sub && r.obj != "stop!"'),
        "p, alice, x, y\n",
        ["alice", "stop!", "z"],
        "literal-rewritten",
        8,
    ),
    "a second expression": (
        model("r.sub == p.sub; r.obj == p.obj"),
        "p, alice, x, y\n",
        ALLOWED,
        "no-expression",
        8,
    ),
    "a constraint": (
        model(more='[constraint_definition]\nc = sod("a", "b")\n'),
        "p, alice, data1, read\n",
        ALLOWED,
        "section-unknown",
        9,
    ),
    "a second matcher": (
        model("r.sub == p.sub && r.obj == p.obj", more="m = r.sub == p.sub\n"),
        "p, alice, x, read\n",
        ALLOWED,
        "option-twice",
        9,
    ),
    "a matcher behind a gap": (
        model(more="m3 = r.sub == p.sub\n"),
        "p, alice, data1, read\n",
        ALLOWED,
        "option-after-gap",
        9,
    ),
    "an attribute of Python's": (
        model("r.sub.items != p.sub"),
        "p, alice, data1, read\n",
        [{"items": "alice"}, "x", "y"],
        "attribute",
        8,
    ),
    "a rule that leaves its brackets": (
        model("eval(p.sub) && r.obj == p.obj"),
        "p, r.act == '1') or (True, data1, read\n",
        ALLOWED,
        "brackets",
        1,
    ),
    "a row without its columns": (
        model(),
        "p, alice, data1, read\np, (alice, data1, read\n",
        ALLOWED,
        "brackets",
        2,
    ),
}


@pytest.mark.parametrize("name", OPEN)
def test_what_pycasbin_would_allow_by_is_refused(name: str) -> None:
    text, policy, request, key, line = OPEN[name]
    if key != "brackets":
        assert StockEngine(text, policy).decide(request).allowed, "pycasbin does not fail open any more"
    assert keys(text, policy) == [(key, line)]
    for engine in ("compiled", "pycasbin"):
        with pytest.raises(Unfit):
            open_engine(text.encode(), policy.encode(), engine=engine)


# Where pycasbin raises at each decision, or evaluates something else than what stands there.
RAISES = {
    "a function of code": (model("keyGet(r.obj, p.obj) == 'x'"), "p, a, b, c\n", "function-unknown"),
    "a role without a definition": (model("g(r.sub, p.sub)"), "p, a, b, c\n", "function-unknown"),
    "a name that no column has": (model("r.subject == p.sub"), "p, a, b, c\n", "name-unknown"),
    "a name of another section": (model("r2.sub == p.sub"), "p, a, b, c\n", "name-unknown"),
    "an assignment": (model("r.sub = p.sub"), "p, a, b, c\n", "no-expression"),
    "a lambda": (model("(lambda: True)()"), "p, a, b, c\n", "method"),
    "a text that is formatted": (model('f"{1:1000000000}" == p.sub'), "p, a, b, c\n", "not-allowed"),
    "a method": (model('r.sub.startswith("a")'), "p, a, b, c\n", "method"),
    "a class": (model("r.sub.__class__ == p.sub"), "p, a, b, c\n", "attribute"),
    "an attribute of a column": (model("p.sub.name == r.sub"), "p, a, b, c\n", "attribute-of-text"),
    "eval of the request": (model("eval(r.sub)"), "p, a, b, c\n", "eval"),
    "eval with a blank": (model("eval( p.sub )"), "p, a, b, c\n", "eval"),
    "eval within a rule": (model("eval(p.sub)"), "p, eval(p.obj), b, c\n", "eval"),
    "a comment within a rule": (model("eval(p.sub)"), "p, True # always, b, c\n", "no-expression"),
    "identity of texts": (model("r.sub is p.sub"), "p, a, b, c\n", "identity"),
    "an effect with other blanks": (
        model(effect="some(where(p.eft == allow))"),
        "p, a, b, c\n",
        "effect-unknown",
    ),
    "priorities that are none": (
        model(rule="priority, sub, obj, act"),
        "p, first, a, b, c\n",
        "priority-value",
    ),
    "a letter that looks like another": (model(request="\uff53ub, obj, act"), "p, a, b, c\n", "column-name"),
    "half a line's end": (model("r.sub == p.sub\r && True"), "p, a, b, c\n", "no-option"),
    "columns that are none": (model(request="sub, obj, act ; asked"), "p, a, b, c\n", "column-name"),
    "roles in a circle": (
        model("g(r.sub, p.sub)", "subjectPriority(p.eft) || deny", FOUR, "g = _, _"),
        RULE + "g, a, b\ng, b, a\n",
        "hierarchy-cycle",
    ),
    "four in a link": (model("g(r.sub, p.sub)", roles="g = _, _, _, _"), "p, a, b, c\n", "role-shape"),
    "subjects without roles": (
        model(effect="subjectPriority(p.eft) || deny", rule=FOUR),
        RULE,
        "subject-priority-without-roles",
    ),
}


@pytest.mark.parametrize("name", RAISES)
def test_what_nobody_could_decide_by_is_refused(name: str) -> None:
    text, policy, key = RAISES[name]
    assert [found for found, _line in keys(text, policy)] == [key]


def test_a_section_by_its_number_is_decided_by_the_one_effect() -> None:
    more = "[request_definition]\nr2 = sub\n[policy_definition]\np2 = sub, eft\n[matchers]\nm2 = r2.sub == p2.sub\n"
    policy = "p, bob, data1, read\np2, alice, allow\n"
    ours, theirs = Policy(model(more=more), policy, "2"), StockEngine(model(more=more), policy, "2")
    for name in ("alice", "bob"):
        assert ours.engine.decide([name]) == theirs.decide([name])
    assert ours.engine.decide(["alice"]) == (True, ("alice", "allow"))
    with pytest.raises(Unfit) as refused:
        Policy(model(more=more + "[policy_effect]\ne2 = !some(where (p2.eft == deny))\n"), policy, "2")
    assert [fault.key for fault in refused.value.faults] == ["engine.effect-of-section"]
    with pytest.raises(Unfit):
        Policy(model(more=more), policy, "3")


def test_a_model_that_asks_for_no_rule_needs_none() -> None:
    text = model("r.sub == r.obj.Owner")
    ours, theirs = Policy(text, "\n"), StockEngine(text, "\n")
    for request in (["alice", {"Owner": "alice"}, "x"], ["bob", {"Owner": "alice"}, "x"]):
        assert ours.engine.decide(request) == theirs.decide(request)
    with pytest.raises(Undecidable):
        ours.engine.decide(["alice", "data1", "x"])


def test_what_is_no_difference() -> None:
    """A person who is named like a role has it, and a pattern is anchored at its start alone: both as pycasbin."""
    text = model("g(r.sub, p.sub) && regexMatch(r.act, p.act)", roles="g = _, _")
    policy = "p, admin, data1, GET\ng, alice, admin\n"
    for request in (
        ["admin", "x", "GET"],
        ["alice", "x", "GETX"],
        ["bob", "x", "GET"],
        ["alice", "x", "XGET"],
    ):
        assert Policy(text, policy).engine.decide(request) == StockEngine(text, policy).decide(request)
    assert Policy(text, policy).engine.decide(["admin", "x", "GETX"]).allowed


def test_a_report_ends_after_twenty() -> None:
    assert len(keys(model(), "q, a\n" * 1000)) == 20


def test_the_last_rule_is_not_taken_away() -> None:
    ours = Policy(model(), "p, a, b, c\n")
    with pytest.raises(Unfit):
        ours.remove("p", ("a", "b", "c"))
    assert ours.engine.decide(["a", "b", "c"]).allowed
    with pytest.raises(Unfit):
        ours.add("p", ("a", "b"))
    with pytest.raises(KeyError):
        Policy(model(), "p, a, b, c\np, d, e, f\n").remove("p", ("x", "y", "z"))

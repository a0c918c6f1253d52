"""What is not portable, and the same written so that it is: one pair for each kind, with what the requests come to here.

Held to Casbin in Go and in Node outside of this suite; docs/policy-engine.md says which versions, and what came of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SHAPE = """[request_definition]
r = {request}
[policy_definition]
p = {rule}
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = {matcher}
"""
Request = list[Any]
Apart = tuple[Request, bool | None]


def shaped(matcher: str, rule: str = "sub, act", request: str = "sub, act") -> str:
    return SHAPE.format(matcher=matcher, rule=rule, request=request)


@dataclass(frozen=True)
class Example:
    """kind: what is found in the first pair of files and not in the second, which decides the requests alike.

    apart: a request that the first pair decides otherwise elsewhere, where none of the others shows it, and what it comes to here
    (None: an error).
    """

    kind: str
    line: int
    file: str
    model: str
    policy: str
    portable_model: str
    portable_policy: str
    requests: tuple[Request, ...]
    apart: Apart | None = None


YOUNG: Request = [{"Age": 10, "Name": "bo", "T": False, "Tags": []}, "read"]
OLD: Request = [{"Age": 20, "Name": "al", "T": True, "Tags": ["a"]}, "read"]
PEOPLE = (YOUNG, OLD)
NOBODY: Apart = ([{}, "read"], None)


def matched(kind: str, one: str, other: str, apart: Apart | None = None) -> Example:
    row = "p, x, read\n"
    joined = [shaped(f"r.act == p.act && {part}") for part in (one, other)]
    return Example(kind, 8, "model", joined[0], row, joined[1], row, PEOPLE, apart)


def ruled(kind: str, one: str, other: str, apart: Apart | None = None) -> Example:
    model = shaped("r.act == p.act && eval(p.sub)")
    rows = [f"# people\np, {part}, read\n" for part in (one, other)]
    return Example(kind, 2, "policy", model, rows[0], model, rows[1], PEOPLE, apart)


def tried(
    kind: str, function: str, one: str, other: str, *values: str, apart: tuple[str, bool] | None = None
) -> Example:
    model = shaped(f"{function}(r.sub, p.sub) && r.act == p.act")
    rows = [f"p, {part}, read\n" for part in (one, other)]
    asked = tuple([value, "read"] for value in values)
    return Example(
        kind, 1, "policy", model, rows[0], model, rows[1], asked, apart and ([apart[0], "read"], apart[1])
    )


def spelled(kind: str, model: str, portable: str, line: int, rows: str = "p, alice, read\n") -> Example:
    return Example(kind, line, "model", model, rows, portable, rows, (["alice", "read"], ["bob", "read"]))


PLAIN = shaped("r.sub == p.sub && r.act == p.act")
ALICE = "p, alice, read\n"
TWO = PLAIN.replace("[policy_d", "r2 = sub, act\n[policy_d").replace("[policy_e", "p2 = sub, act\n[policy_e")
TWO += "m2 = r2.sub == p2.sub\n"
NAMES = (["alice", "read"], ["bob", "read"])

EXAMPLES = (
    matched(
        "portable-words", "(r.sub.Age > 18 or r.sub.Name == 'x')", "(r.sub.Age > 18 || r.sub.Name == 'x')"
    ),
    ruled("portable-words", "not (r.sub.Age > 18)", "r.sub.Age <= 18"),
    ruled("portable-constants", "True", "1 == 1"),
    matched("portable-constants", "r.sub.T == True", "r.sub.T == (1 == 1)"),
    matched(
        "portable-in",
        "r.sub.Name in ('al', 'x') && r.sub.Age > 0",
        "(r.sub.Name == 'al' || r.sub.Name == 'x')",
    ),
    ruled("portable-in", "'a' in r.sub.Tags && r.sub.Age > 0", "r.sub.Name == 'al'"),
    matched("portable-chain", "15 < r.sub.Age < 30", "15 < r.sub.Age && r.sub.Age < 30"),
    matched("portable-python", "(1 if r.sub.Age > 18 else 0) == 1", "r.sub.Age > 18"),
    matched("portable-operator", "r.sub.Age // 3 == 6", "r.sub.Age >= 18 && r.sub.Age < 21"),
    ruled("portable-operator", "-r.sub.Age % 3 == 1", "r.sub.Age == 20"),
    matched("portable-touching", "r.sub.Age>-5", "r.sub.Age > -5"),
    matched("portable-touching", "!!(r.sub.Age > 18)", "r.sub.Age > 18"),
    matched("portable-negation", "!r.sub.Age == 10", "r.sub.Age > 10"),
    matched("portable-brackets", 'r.sub["Age"] == 20', "r.sub.Age == 20"),
    matched("portable-number", "r.sub.Age == 2e1", "r.sub.Age == 20"),
    matched("portable-number", "r.sub.Age == 0x14", "r.sub.Age == 20"),
    matched("portable-literal", '"al" == "\\u0061l" && r.sub.Age == 20', '"al" == "al" && r.sub.Age == 20'),
    matched("portable-literal", 'r.sub.Name < "b\'" && r.sub.Age > 18', "r.sub.Name < 'b' && r.sub.Age > 18"),
    matched("portable-number-text", 'r.sub.Age == "20"', 'r.sub.Age == "age-20"'),
    Example(
        "portable-date",
        8,
        "model",
        shaped("r.sub == '2026-11-02'"),
        ALICE,
        shaped("r.sub == p.sub"),
        "p, 2026-11-02, read\n",
        (["2026-11-02", "read"], ["x", "read"]),
    ),
    matched("portable-absent", "r.sub.Name != 'bo'", "r.sub.Name == 'al'", NOBODY),
    ruled("portable-absent", "!(r.sub.Age == 10)", "r.sub.Age > 10", NOBODY),
    matched("portable-absent", "r.sub.Age == r.sub.Age", "1 == 1", NOBODY),
    matched("portable-function", "timeMatch('_', '_')", "1 == 1"),
    tried("portable-regex", "regexMatch", "^\\d+$", "^[0-9]+$", "12", "x", apart=("\u0661\u0662", True)),
    tried("portable-regex", "regexMatch", "^(?P<all>x|y)$", "^(x|y)$", "x", "z"),
    tried(
        "portable-regex",
        "keyMatch2",
        "/a\\d/:id",
        "/a[0-9]/:id",
        "/a1/2",
        "/ab/2",
        apart=("/a\u0661/2", True),
    ),
    tried("portable-unanchored", "regexMatch", "GET$", "^GET$", "GET", "PUT", apart=("XGET", False)),
    tried(
        "portable-unanchored",
        "regexMatch",
        "^GET$|PUT$",
        "^(GET|PUT)$",
        "GET",
        "PUT",
        "HEAD",
        apart=("XPUT", False),
    ),
    tried("portable-path", "keyMatch2", "/a/:x-:y", "/a/:x", "/a/1-2", "/b/1-2"),
    tried("portable-path", "keyMatch3", "/a/x{y}", "/a/{xy}", "/a/x1", "/b"),
    tried("portable-path", "keyMatch4", "/{x}/{y}/{x}", "/{x}/a/{x}", "/1/a/1", "/1/a/2"),
    tried("portable-address", "ipMatch", "10.0.0.0/255.0.0.0", "10.0.0.0/8", "10.1.2.3", "11.1.2.3"),
    ruled("portable-quote", 'r.sub.Name == "al"', "r.sub.Name == 'al'"),
    ruled("portable-comma", "(keyMatch(r.sub.Name, 'a*'))", "r.sub.Name == 'al'"),
    Example("portable-blank", 1, "policy", PLAIN, "p, alice , read\n", PLAIN, ALICE, NAMES),
    spelled("portable-semicolon", shaped("r.sub == p.sub && r.act != ';'"), shaped("r.sub == p.sub"), 8),
    spelled("portable-bar", shaped("r.sub == p.sub && r.act != 'a|b'"), shaped("r.sub == p.sub"), 8),
    spelled("portable-section", PLAIN + "[request_definition]\n", PLAIN, 9),
    spelled(
        "portable-section", TWO, TWO.replace("[matchers", "e2 = some(where (p.eft == allow))\n[matchers"), 11
    ),
)

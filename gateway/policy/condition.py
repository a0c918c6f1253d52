"""Step 5, inside: a rule's condition, from its text to a closure over plain data.

The language is the part of Casbin's `eval(...)` that is decidable by looking: comparisons of the request's facts with literals and
each other, joined by `and`, `or`, `not` (or `&&`, `||`, `!`). No call, no arithmetic, no subscript, no other attribute: what is not listed
here is refused at load, so nothing in a policy can loop, grow, or reach into Python. pycasbin evaluates the same text to the same value.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_TEXT = 500
MAX_NODES = 120
MAX_NUMBER = 1_000_000_000

_STRING = re.compile(r"\"[^\"]*\"|'[^']*'")
_PREFIXED = re.compile(r"\w[\"']")
# What may stand in a string literal. Casbin rewrites `p.`, `r.`, `&&`, `||`, `!`, `#` and `eval(` even inside literals, and splits a
# row at commas and brackets whatever the quotes: none of their characters is allowed, and `.` only where no `p` or `r` precedes it.
_LITERAL = re.compile(r"[\w:./@ *+=-]*\Z")
_REWRITTEN = re.compile(r"\b[pr]\d*\.")
_WRITTEN = re.compile(r"\br\.(?=\w)")
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")

_DICT_METHODS = frozenset(name for name in dir(dict) if not name.startswith("_"))
SUBJECT_NAMES = frozenset({"id", "alone"})
"""What every party has; attributes that the vocabulary declares come besides."""
ENV_NAMES = frozenset({"hour", "weekday", "date"})

Plain = None | bool | int | str | tuple[str, ...]


class Malformed(Exception):
    """The text is no condition; the message says why, for a finding. Never leaves the room."""


class Uncomparable(Exception):
    """A fact's value has not the type that the condition needs: the question becomes an engine error, a denial."""


@dataclass(
    slots=True
)  # not frozen: one is made for each record and party, and freezing would double what that costs
class Asked:
    """What a condition may look at, made plain. Lives for one decision and is never kept.

    rec: the record's facts, as `facts.plain` gives them. sub: the party's id, whether the application acts alone, and attributes.
    env: hour 0 to 23, weekday 1 (Monday) to 7, date `YYYY-MM-DD`, local to the policy's clock.
    pur: the purpose or `-`. dom: the record's unit or `-`.
    """

    rec: Mapping[str, Any]
    sub: Mapping[str, str | int | bool | None]
    env: Mapping[str, str | int]
    pur: str
    dom: str


Test = Callable[[Asked], bool]
Value = Callable[[Asked], Plain]


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition made ready.

    parts:      normal text of each part joined by a top-level `and`, in the order in which they are asked; empty for `True`.
    facts, attributes: names it looks at. sets: facts that stand right of `in`. scalars: facts used in any other way.
    total:      it cannot fail on any record: it orders nothing and asks for no fact (a record may hold there what is none).
    test:       raises TypeError where an order is asked of values that have none.
    """

    text: str
    parts: tuple[str, ...]
    facts: frozenset[str]
    attributes: frozenset[str]
    sets: frozenset[str]
    scalars: frozenset[str]
    total: bool
    test: Test = field(repr=False, compare=False)

    @property
    def conjuncts(self) -> frozenset[str]:
        """The parts, whatever their order: a condition with fewer of the same is implied."""
        return frozenset(self.parts)

    @property
    def always(self) -> bool:
        """True for the condition that holds for every record."""
        return not self.parts


@dataclass(slots=True)
class _Seen:
    facts: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    sets: set[str] = field(default_factory=set)
    scalars: set[str] = field(default_factory=set)
    total: bool = True


def valid_fact_name(name: str) -> bool:
    """True when a fact of that name reads the same for us and for Casbin (a dict's method names and `r`, `p` do not)."""
    return (
        bool(_NAME.match(name)) and name not in _DICT_METHODS and not re.fullmatch(r"[pr]\d*|func_.*", name)
    )


def parse(text: str) -> Condition:
    """Gives the condition of a policy row. Raises Malformed with the reason."""
    return condition_of(text, tree_of(text))


def tree_of(text: str) -> ast.expr:
    """Gives the condition's expression, of the right characters and size. Raises Malformed with the reason."""
    if not text or len(text) > MAX_TEXT:
        raise Malformed(f"a condition has 1 to {MAX_TEXT} characters")
    bare = _STRING.sub('""', text)
    if not bare.isascii() or not bare.isprintable() or "#" in bare or "\\" in text or _PREFIXED.search(bare):
        raise Malformed(
            "outside plain string literals only printable ASCII without `#` and backslash may stand"
        )
    for literal in _STRING.findall(text):
        inner = literal[1:-1]
        if not _LITERAL.match(inner) or _REWRITTEN.search(inner) or not inner:
            raise Malformed("Casbin would rewrite or split this string literal, or it is empty")
    try:
        # mode eval and not exec: `a; b`, `x = 1` and the like are no expressions
        tree = ast.parse(casbin_spelling(text).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
        raise Malformed("it is no expression") from exc
    nodes = list(ast.walk(tree))
    if len(nodes) > MAX_NODES:
        raise Malformed(f"it has more than {MAX_NODES} parts")
    # Casbin rewrites the text `r.` alone: of `r .pur` or `(r).pur` it would raise, where we would read a name.
    if sum(isinstance(node, ast.Name) for node in nodes) != len(_WRITTEN.findall(bare)):
        raise Malformed("`r` is not followed by its dot")
    return tree


def casbin_spelling(text: str) -> str:
    """Gives the text as pycasbin rewrites it before parsing (core_enforcer._get_expression)."""
    text = text.replace("&&", "and").replace("||", "or")
    return re.sub(r"!(?!=)", "not ", text)


def condition_of(text: str, tree: ast.expr) -> Condition:
    """Gives the condition of a text that was read already. Raises Malformed with the reason."""
    seen = _Seen()
    test = _boolean(tree, seen)
    both = seen.sets & seen.scalars
    if both:
        raise Malformed(f"`r.rec.{min(both)}` is used as a set and as a single value")
    return Condition(
        text=text,
        parts=tuple(_conjuncts(tree)),
        facts=frozenset(seen.facts),
        attributes=frozenset(seen.attributes),
        sets=frozenset(seen.sets),
        scalars=frozenset(seen.scalars),
        total=seen.total,
        test=test,
    )


def _conjuncts(tree: ast.expr) -> list[str]:
    if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And):
        return [part for value in tree.values for part in _conjuncts(value)]
    if isinstance(tree, ast.Constant) and tree.value is True:
        return []
    return [ast.unparse(tree)]


def _boolean(node: ast.expr, seen: _Seen) -> Test:
    """A truth: the only thing that may stand at the root, and beside `and`, `or`, `not` (pycasbin raises on other results)."""
    match node:
        case ast.Constant(value=bool() as value):
            return lambda _asked: value
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _boolean(operand, seen)
            return lambda asked: not inner(asked)
        case ast.BoolOp(op=op, values=values):
            return _joined(isinstance(op, ast.And), [_boolean(value, seen) for value in values])
        case ast.Compare(left=left, ops=ops, comparators=others):
            pairs = zip([left, *others], ops, others, strict=False)
            tests = [_compared(a, op, b, seen) for a, op, b in pairs]
            return tests[0] if len(tests) == 1 else _joined(True, tests)
    raise Malformed(f"`{ast.unparse(node)[:60]}` is no truth: compare it with something")


def _joined(conjunction: bool, tests: list[Test]) -> Test:
    if len(tests) == 2:
        first, second = tests
        if conjunction:
            return lambda asked: first(asked) and second(asked)
        return lambda asked: first(asked) or second(asked)
    parts = tuple(tests)
    if conjunction:
        return lambda asked: all(test(asked) for test in parts)
    return lambda asked: any(test(asked) for test in parts)


_PLAIN_OPS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def _compared(left: ast.expr, op: ast.cmpop, right: ast.expr, seen: _Seen) -> Test:
    one = _value(left, seen)
    if isinstance(op, ast.In | ast.NotIn):
        members = _members(right, seen)
        if isinstance(op, ast.In):
            return lambda asked: one(asked) in members(asked)
        return lambda asked: one(asked) not in members(asked)
    compare = _PLAIN_OPS.get(type(op))
    if compare is None:
        raise Malformed("only ==, !=, <, <=, >, >=, in, not in compare")
    if not isinstance(op, ast.Eq | ast.NotEq):
        seen.total = False
    other = _value(right, seen)
    if isinstance(right, ast.Constant) and isinstance(op, ast.Eq):
        constant = right.value
        return lambda asked: one(asked) == constant
    if isinstance(right, ast.Constant) and isinstance(op, ast.NotEq):
        constant = right.value
        return lambda asked: one(asked) != constant
    return lambda asked: bool(compare(one(asked), other(asked)))


def _members(node: ast.expr, seen: _Seen) -> Callable[[Asked], tuple[Plain, ...]]:
    """Right of `in`: a literal list, or a fact that is a set (absent: the empty one; never a substring test)."""
    match node:
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            literals = tuple(_literal(element) for element in elements)
            if not literals:
                raise Malformed("nothing is in an empty list")
            return lambda _asked: literals
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id="r"), attr="rec"), attr=name):
            _fact(name, seen)
            seen.sets.add(name)
            return lambda asked: asked.rec[
                name
            ]  # `facts.plain` made it a tuple, or what nothing can be asked of
    raise Malformed("right of `in` stands a list of literals or a fact of the record")


def _literal(node: ast.expr) -> None | bool | int | str:
    match node:
        case ast.Constant(value=bool() | None | str() as value):
            return value
        case ast.Constant(value=int(value)) if value <= MAX_NUMBER:
            return value
    raise Malformed("a literal is a string, a whole number, True, False or None")


def _value(node: ast.expr, seen: _Seen) -> Value:
    match node:
        case ast.Constant():
            literal = _literal(node)
            return lambda _asked: literal
        case ast.Attribute(value=ast.Name(id="r"), attr="pur"):
            return lambda asked: asked.pur
        case ast.Attribute(value=ast.Name(id="r"), attr="dom"):
            return lambda asked: asked.dom
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id="r"), attr=what), attr=name):
            return _looked_up(what, name, seen)
    raise Malformed(
        f"`{ast.unparse(node)[:60]}` is none of r.rec.…, r.sub.…, r.env.…, r.pur, r.dom or a literal"
    )


def _looked_up(what: str, name: str, seen: _Seen) -> Value:
    match what:
        case "rec":
            _fact(name, seen)
            seen.scalars.add(name)
            return lambda asked: asked.rec[name]
        case "sub":
            if not valid_fact_name(name):
                raise Malformed(f"`{name}` is no attribute's name")
            seen.attributes.add(name)
            return lambda asked: asked.sub[name]
        case "env" if name in ENV_NAMES:
            return lambda asked: asked.env[name]
    raise Malformed(f"`r.{what}.{name}` is nothing that a request has")


def _fact(name: str, seen: _Seen) -> None:
    if not valid_fact_name(name):
        raise Malformed(f"`{name}` is no fact's name: in Casbin it would be a method")
    seen.facts.add(name)
    seen.total = False

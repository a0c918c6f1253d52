"""What of a matcher, or of a rule's condition, Go's govaluate or Node's jsep reads otherwise than Python.

Twice over the same text: its signs (what an expression tree no longer shows: quotes, spelling of numbers, signs that touch), then its
tree.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gateway.policy.engine.spelling import LITERAL, Unreadable, escaped, parsed, spelled
from gateway.policy.portable.remark import Found

# Go's lexer puts a backslash before anything but itself away, Node's knows JavaScript's; the quotes and the backslash are the same in all.
_ESCAPE = re.compile(r"\\[^\\\"']")
# govaluate.tryParseTime: a text that reads so becomes a number, the seconds since 1970.
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d(?:[ T]\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|\d{1,2}:\d\d[AP]M"
    r"|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?:[A-Z]{3,4} |[+-]\d{4} )?\d{4}"
)
_PLAIN_NUMBER = re.compile(r"\d+(?:\.\d+)?\Z")
_NUMBER = re.compile(r"(?<![\w.])(?:\d[\w.]*|\.\d[\w.]*)")
_SIGNS = re.compile(r"[^\w\s()\[\]\"'.,]+")
_SINGLE = frozenset("- ! ~ + * / // % ** & | ^ >> << && || == != > >= < <=".split())  # noqa: SIM905 - as a reader knows them
"""What Go may meet in one run of signs; two of them beside each other it takes for one that it does not know."""
MOST_EXACT = 2**53
"""Whole numbers beyond are rounded where every number is a float."""
NOT_IN_GO = frozenset({"timeMatch"})


def of_expression(text: str) -> list[Found]:
    """Gives what is not portable about an expression, each thing once; nothing where it is none (which is told elsewhere)."""
    try:
        tree = parsed(text)
    except Unreadable:
        return []
    found = [*_signs(text), *_tree(tree, spelled(escaped(text)))]
    return list(dict.fromkeys(found))


def literals(text: str) -> Iterator[tuple[str, str]]:
    """Gives the text literals: as they are written, and what stands between the quotes."""
    for written in LITERAL.findall(text):
        yield written, written[1:-1]


def _signs(text: str) -> Iterator[Found]:
    for written, inner in literals(text):
        other = "'" if written[0] == '"' else '"'
        if _ESCAPE.search(inner) or other in inner:
            yield "portable-literal", written
        if _DATE.fullmatch(inner):
            yield "portable-date", written
    bare = LITERAL.sub('""', text)
    for word in re.findall(r"\b(?:and|or|not|is)\b", bare):
        yield "portable-words", word
    for number in _NUMBER.findall(bare):
        if not _PLAIN_NUMBER.match(number) or float(number) > MOST_EXACT:
            yield "portable-number", number
    for run in _SIGNS.findall(bare):
        if run not in _SINGLE:
            yield "portable-touching", run


def _tree(tree: ast.expr, rewritten: str) -> Iterator[Found]:
    told = {
        id(node)
        for part in ast.walk(tree)
        if isinstance(part, ast.Compare)
        for op, node in zip(part.ops, part.comparators, strict=True)
        if isinstance(op, ast.In | ast.NotIn)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=bool() | None):
                yield "portable-constants", ast.unparse(node)
            case ast.Compare():
                yield from _compared(node)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                if isinstance(operand, ast.Compare) and not _bracketed(node, operand, rewritten):
                    yield "portable-negation", _shown(node)
                if _asks(operand):
                    yield "portable-absent", _shown(node)
            case ast.UnaryOp(op=ast.Invert()):
                yield "portable-operator", _shown(node)
            case ast.BinOp(op=op, right=right):
                divides = isinstance(op, ast.Div) and not (isinstance(right, ast.Constant) and right.value)
                if divides or not isinstance(op, ast.Add | ast.Sub | ast.Mult | ast.Div):
                    yield "portable-operator", _shown(node)
            case ast.List() | ast.Tuple() | ast.Subscript() if id(node) not in told:
                yield "portable-brackets", _shown(node)
            case ast.IfExp() | ast.Dict() | ast.Set() | ast.comprehension() | ast.Starred():
                yield "portable-python", _shown(node)
            case ast.Call(func=ast.Name(id=name)) if name in NOT_IN_GO or name == "globMatch":
                yield "portable-function", name


def _compared(node: ast.Compare) -> Iterator[Found]:
    if len(node.ops) > 1:
        yield "portable-chain", _shown(node)
    before = node.left
    for op, after in zip(node.ops, node.comparators, strict=True):
        if isinstance(op, ast.In | ast.NotIn):
            yield "portable-in", _shown(node)
        among = _asks(before), _asks(after)
        if (isinstance(op, ast.NotEq | ast.NotIn) and any(among)) or (isinstance(op, ast.Eq) and all(among)):
            yield "portable-absent", _shown(node)
        if isinstance(op, ast.Eq | ast.NotEq):
            yield from _as_numbers(before, after)
        before = after


def _as_numbers(one: ast.expr, other: ast.expr) -> Iterator[Found]:
    """JavaScript's `==` takes a text that reads as a number for that number."""
    for literal, beside in ((one, other), (other, one)):
        if isinstance(literal, ast.Constant) and isinstance(literal.value, str):
            text = literal.value.strip()
            if (
                not text or re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", text, re.I)
            ) and not isinstance(beside, ast.Constant):
                yield "portable-number-text", _shown(literal)


def _asks(node: ast.expr) -> bool:
    """It looks at an attribute of the request, which may be absent."""
    return any(isinstance(part, ast.Attribute | ast.Subscript) for part in ast.walk(node))


def _bracketed(outer: ast.UnaryOp, operand: ast.expr, rewritten: str) -> bool:
    line = rewritten.strip().encode()
    return b"(" in line[outer.col_offset : operand.col_offset]


def _shown(node: ast.AST) -> str:
    """As its author wrote the names: pycasbin has put `r_` for `r.`."""
    return re.sub(r"\b([pr]\d*)_", r"\1.", ast.unparse(node))

"""Casbin's text before it is an expression: what pycasbin rewrites, and the string literals that this would change behind an author's back.

pycasbin replaces `p.` and `r.`, `&&`, `||` and `!` wherever they stand, inside of string literals too. The expression that comes out
is parsed here exactly so; a literal that it changes is refused, since it then says something else than what was written.
"""

from __future__ import annotations

import ast
import re
import warnings
from contextlib import nullcontext

MAX_TEXT = 4_000
"""Characters of one matcher or one rule's condition. What people write stays far below."""
MAX_NODES = 600
"""Parts of one expression; bounds the depth of recursion and the work that one evaluation can be."""
MAX_DEPTH = 60

_EVAL = re.compile(r"\beval\((?P<rule>[^)]*)\)")
_NEGATION = re.compile(r"!(?!=)")
LITERAL = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")


class Unreadable(Exception):
    """The text is no expression that could be decided; `why` is a key of the message catalogue, `part` the text that it is about."""

    def __init__(self, why: str, part: str = "") -> None:
        self.why = why
        self.part = part
        super().__init__(why, part)


def escaped(text: str) -> str:
    """Gives the text with `p.` and `r.` made `p_` and `r_`: of each letter only the first number that is found, as pycasbin does."""
    for letter in ("p", "r"):
        found = re.search(rf"\b{letter}(\d*)\.", text)
        if found is not None:
            number = found.group(1)
            text = re.sub(rf"\b{letter}{number}\.", f"{letter}{number}_", text)
    return text


def uncommented(text: str) -> str:
    """Gives what stands before the first `#`, wherever that is."""
    return text.split("#", 1)[0].strip() if "#" in text else text


def spelled(text: str) -> str:
    """Gives an escaped text as pycasbin hands it to Python's parser."""
    return _NEGATION.sub("not ", text.replace("&&", "and").replace("||", "or"))


def evaluated(text: str) -> list[str]:
    """Gives what stands in each `eval(…)` of an escaped matcher, as pycasbin finds it."""
    return _EVAL.findall(text)


def parsed(text: str) -> ast.expr:
    """Gives the expression of a text, comments and all rewriting applied. Raises Unreadable."""
    if len(text) > MAX_TEXT:
        raise Unreadable("engine.too-long")
    if "\x00" in text:
        raise Unreadable("engine.no-expression")
    rewritten = spelled(escaped(text))
    if rewritten != text and LITERAL.findall(text) != LITERAL.findall(rewritten):
        raise Unreadable("engine.literal-rewritten")
    return tree_of(rewritten)


def tree_of(rewritten: str) -> ast.expr:
    """Gives the expression of a text that was rewritten already, of bounded size. Raises Unreadable."""
    bare = LITERAL.sub('""', rewritten)
    if "#" in bare or "\n" in bare:
        # In a rule it would take away the brackets that pycasbin puts around it, and whatever of the matcher follows.
        raise Unreadable("engine.no-expression")
    try:
        # mode eval: of `a; b` pycasbin evaluates `a` alone, of `x = b` it evaluates `b`
        with warnings.catch_warnings() if "\\" in rewritten else nullcontext():
            # what Python thinks of `"\\d"` is not for the reader of a policy
            if "\\" in rewritten:
                warnings.simplefilter("ignore")
            tree = ast.parse(rewritten.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Unreadable("engine.no-expression") from None
    _bounded(tree)
    return tree


def _bounded(tree: ast.expr) -> None:
    level: list[ast.AST] = [tree]
    nodes = depth = 0
    while level:
        nodes, depth = nodes + len(level), depth + 1
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise Unreadable("engine.too-deep")
        level = [child for node in level for child in ast.iter_child_nodes(node)]


def shown(tree: ast.AST) -> str:
    """Gives a part as text for a message, short."""
    text = ast.unparse(tree)
    return text if len(text) <= 60 else text[:57] + "…"

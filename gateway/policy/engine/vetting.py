"""What pycasbin may be given to evaluate where the compiler stops: the same list of names, nothing that could grow or reach into Python."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping

from gateway.policy.engine.functions import TWO_TEXTS, Functions
from gateway.policy.engine.spelling import Unreadable, shown

_MAKERS = frozenset({"list", "tuple", "dict", "set"})
_METHODS = frozenset(name for kind in (dict, list, str, int, float) for name in dir(kind))
_REFUSED = (ast.JoinedStr, ast.Lambda, ast.Pow, ast.Mod, ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)


def vet(
    tree: ast.expr,
    rule: Mapping[str, int],
    known: Collection[str],
    roles: Collection[str],
    functions: Functions,
) -> frozenset[tuple[str, int]]:
    """Gives the (function, column) of patterns that stand in rows. Raises Unreadable for what no engine is given."""
    tries: set[tuple[str, int]] = set()
    made = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    }
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=attr) if (
                id(node) in called or attr in _METHODS or attr.startswith(("_", "func_"))
            ):
                raise Unreadable("engine.attribute", shown(node))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
                if name not in {*roles, *TWO_TEXTS, *_MAKERS, "eval"} or keywords:
                    raise Unreadable("engine.function-unknown", name[:60])
                if name in TWO_TEXTS and name != "timeMatch":
                    tries |= _pattern(name, arguments, rule, functions)
            case ast.Name(id=name) if name not in known and name not in made and id(node) not in called:
                raise Unreadable("engine.name-unknown", name[:60])
        if isinstance(node, _REFUSED):
            raise Unreadable("engine.not-allowed", shown(node))
    return frozenset(tries)


def _pattern(
    name: str, arguments: list[ast.expr], rule: Mapping[str, int], functions: Functions
) -> set[tuple[str, int]]:
    match arguments:
        case [_, ast.Constant(value=value)]:
            functions.refuse(name, value)
            return set()
        case [_, ast.Name(id=column)] if column in rule:
            return {(name, rule[column])}
    raise Unreadable("engine.pattern-of-request", name)

"""An expression of Casbin's, from its tree to a closure over plain data. No text is ever evaluated.

What a tree may hold is listed; what is not listed is refused, or (where pycasbin has it and it is harmless) left to pycasbin. A
closure gives the value that pycasbin's evaluator would give, or raises where that would raise; which exception is all the same.

Of each part is known, besides, under which conditions on the request it cannot fail (`needs`). Where those hold, the order in which
parts are asked makes no difference, and an index may ask them in its own; where they do not, everything is asked in pycasbin's order.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateway.policy.engine.faults import Beyond
from gateway.policy.engine.functions import TWO_TEXTS, Functions
from gateway.policy.engine.operations import BINARY, UNARY
from gateway.policy.engine.parts import (
    ADDRESS,
    ANY,
    FIGURE,
    NAME,
    NONE,
    SHORT,
    TEXT,
    TRUTH,
    WORD,
    Needs,
    Part,
    chosen,
    compared,
    constant,
    joined,
    listed,
    made_of,
    need_of,
    negated,
    signed,
    with_needs,
    worked_out,
)
from gateway.policy.engine.roles import RoleLinks
from gateway.policy.engine.spelling import Unreadable, shown

# A dict's own methods stand before its keys for pycasbin: `r.sub.items` is never what the request says there.
_METHODS = frozenset(name for name in dir(dict) if not name.startswith("_"))
_NEVER = frozenset({"format", "format_map", "mro", "exec", "tb_frame", "gi_frame", "ag_frame", "cr_frame"})
_HARMLESS = (ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.Dict, ast.Set, ast.Slice, ast.Starred)
_MAKERS = frozenset({"list", "tuple", "dict", "set"})


class Expressions:
    """Makes parts of trees, for one model. Raises Unreadable for what is refused, Beyond for what pycasbin alone evaluates."""

    def __init__(
        self,
        *,
        request: Mapping[str, int],
        rule: Mapping[str, int],
        roles: Mapping[str, RoleLinks],
        functions: Functions,
        conditions: Mapping[str, tuple[Any, ...]] | None,
    ) -> None:
        """Takes the names that may stand in a text (`r_sub` → 0), and the conditions by their text: a closure, its constants."""
        self._request = request
        self._rule = rule
        self._roles = roles
        self._functions = functions
        self._conditions = conditions

    def part(self, node: ast.expr) -> Part:
        """Gives the part for a tree."""
        match node:
            case ast.Constant():
                return constant(node)
            case ast.Name(id=name):
                return self._name(name)
            case ast.Attribute(value=value, attr=attr):
                return self._attribute(self.part(value), attr, node)
            case ast.Subscript(value=value, slice=key):
                return self._subscript(self.part(value), self.part(key))
            case ast.BoolOp(op=op, values=values):
                return joined(isinstance(op, ast.And), [self.part(value) for value in values])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return negated(self.part(operand))
            case ast.UnaryOp(op=op, operand=operand):
                return signed(UNARY[type(op)], self.part(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
                return worked_out(type(op), self.part(left), self.part(right))
            case ast.Compare(left=left, ops=ops, comparators=others):
                parts = [self.part(one) for one in (left, *others)]
                tests = [
                    compared(one, op, other) for one, op, other in zip(parts, ops, parts[1:], strict=False)
                ]
                return tests[0] if len(tests) == 1 else joined(True, tests)
            case ast.IfExp(test=test, body=body, orelse=other):
                return chosen(self.part(test), self.part(body), self.part(other))
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                return listed([self.part(element) for element in elements], isinstance(node, ast.Tuple))
            case ast.Call():
                return self._call(node)
        if isinstance(node, _HARMLESS):
            raise Beyond(shown(node))
        raise Unreadable("engine.not-allowed", shown(node))

    def _name(self, name: str) -> Part:
        if name in self._request:
            at = self._request[name]
            return Part(lambda r, _p, _k: r[at], NONE, path=(at,), asks=True)
        if name in self._rule:
            column = self._rule[name]
            return Part(lambda _r, p, _k: p[column], NONE, WORD, columns=frozenset({column}), column=column)
        if name[:3] in ("__s", "__n") and name[3:].isdigit():  # a constant's place, see conditions.py
            number = int(name[3:])
            kind = WORD if name[2] == "s" else FIGURE
            return Part(lambda _r, _p, k: k[number], NONE, kind, constant=True, slot=number)
        raise Unreadable("engine.name-unknown", name[:60])

    def _attribute(self, of: Part, name: str, node: ast.expr) -> Part:
        if name.startswith(("_", "func_")) or name in _NEVER or name in _METHODS:
            raise Unreadable("engine.attribute", shown(node))
        if of.kind is not None:
            raise Unreadable("engine.attribute-of-text", shown(node))
        run = of.run
        if of.path is None:
            return made_of([of], lambda r, p, k: run(r, p, k)[name], None)
        path = (*of.path, name)
        if len(path) == 2:
            at = int(path[0])
            return Part(lambda r, _p, _k: r[at][name], frozenset({(path, ANY)}), path=path, asks=True)
        return Part(lambda r, p, k: run(r, p, k)[name], frozenset({(path, ANY)}), path=path, asks=True)

    @staticmethod
    def _subscript(of: Part, key: Part) -> Part:
        container, at = of.run, key.run
        return made_of([of, key], lambda r, p, k: container(r, p, k)[at(r, p, k)], None)

    def _call(self, node: ast.Call) -> Part:
        if not isinstance(node.func, ast.Name):
            raise Unreadable("engine.method", shown(node))
        name = node.func.id
        if node.keywords or any(isinstance(argument, ast.Starred) for argument in node.args):
            raise Unreadable("engine.not-allowed", shown(node))
        if name == "eval":
            return self._eval(node)
        if name in self._roles:
            if len(node.args) not in (2, 3):
                raise Unreadable("engine.arguments", shown(node))
            return self._linked(self._roles[name], [self.part(argument) for argument in node.args])
        if name in TWO_TEXTS:
            if len(node.args) != 2:
                raise Unreadable("engine.arguments", shown(node))
            return self._matched(name, *(self.part(argument) for argument in node.args))
        if name in _MAKERS:
            raise Beyond(shown(node))
        raise Unreadable("engine.function-unknown", name[:60])

    def _eval(self, node: ast.Call) -> Part:
        match node.args:
            case [ast.Name(id=name)] if name in self._rule and self._conditions is not None:
                column, conditions = self._rule[name], self._conditions
            case _:
                raise Unreadable("engine.eval", shown(node))

        def run(r: Sequence[Any], p: Sequence[str], _k: Sequence[Any]) -> Any:
            condition = conditions[p[column]]
            return condition[0](r, p, condition[1])

        return Part(run, NONE, asks=True, columns=frozenset({column}), evals=frozenset({column}))

    @staticmethod
    def _linked(links: RoleLinks, arguments: list[Part]) -> Part:
        """pycasbin looks both names up in a dict: a list or an object raises. The domain becomes text."""
        held, (one, other) = links.held, (argument.run for argument in arguments[:2])
        needs: Needs | None = NONE
        for argument in arguments[:2]:
            needs = with_needs(needs, need_of(argument, NAME))
        if len(arguments) == 2:
            return made_of(arguments, lambda r, p, k: held(one(r, p, k), other(r, p, k), ""), needs, TRUTH)
        domain = arguments[2].run
        needs = with_needs(needs, arguments[2].needs)
        return made_of(
            arguments, lambda r, p, k: held(one(r, p, k), other(r, p, k), str(domain(r, p, k))), needs, TRUTH
        )

    def _matched(self, name: str, value: Part, pattern: Part) -> Part:
        fits, one, other = self._functions.named(name), value.run, pattern.run
        wanted = {"keyMatch": TEXT, "ipMatch": ADDRESS}.get(name, SHORT)
        fixed = (
            name != "timeMatch" and pattern.kind == WORD and (pattern.constant or pattern.column is not None)
        )
        tries = frozenset({(name, pattern.column)}) if fixed and pattern.column is not None else frozenset()
        if fixed and pattern.constant:
            self._functions.refuse(name, other((), (), ()))
        # A pattern of the policy was read at load and cannot fail any more; one of the request can.
        needs = need_of(value, wanted) if fixed else None
        made = made_of([value, pattern], lambda r, p, k: fits(one(r, p, k), other(r, p, k)), needs, TRUTH)
        return replace(made, tries=made.tries | tries)

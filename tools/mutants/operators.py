"""The small mistakes that could be made in a module, as edits of its syntax tree. Pure; the same order for the same text.

Left alone, since a change there is no change of what runs: annotations, decorators, docstrings, the cause of a raise,
the text of an f-string or of what is raised, `__slots__`, `__all__`, the types in an isinstance().
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_TWO_SIDED = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)
_COUNTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_CALLED = {"any": "all", "all": "any", "min": "max", "max": "min"}
_NOT_RUN = frozenset({"annotation", "returns", "decorator_list", "type_params", "cause", "type_comment"})
_NAMES_ONLY = frozenset({"__slots__", "__all__"})
_OF_TYPES = {"isinstance": 0, "issubclass": 0, "cast": 1}
"""Calls that name a type → which of their two arguments is a value."""
_SHOWN = 110


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mistake. where: the function it is in; what: the change, in source; nth: of those that read alike there.

    first, last: the lines of the statement; a test that ran none of them cannot notice.
    """

    where: str
    what: str
    nth: int
    line: int
    first: int
    last: int

    @property
    def name(self) -> str:
        """What it is known by while the lines around it move."""
        return f"{self.where}: {self.what}" + (f" ({self.nth})" if self.nth > 1 else "")


@dataclass(slots=True)
class Edit:
    """How a mutant is made of the tree, and taken back."""

    holder: Any
    key: Any
    new: Any

    def swap(self) -> None:
        """Puts the new part in the place of the old one; done again, the old one."""
        if isinstance(self.key, str):
            old = getattr(self.holder, self.key)
            setattr(self.holder, self.key, self.new)
        else:
            old = self.holder[self.key]
            self.holder[self.key] = self.new
        self.new = old


@dataclass(frozen=True, slots=True)
class _Site:
    where: str
    statement: ast.stmt
    node: ast.AST
    what: str
    edit: Edit


class Source:
    """A module's text, its mutants in order, and the code of each."""

    def __init__(self, text: str, path: str) -> None:
        self._path = path
        self._tree = ast.parse(text)
        self._edits: dict[str, Edit] = {}
        self.mutants: list[Mutant] = []
        self.loading = frozenset(_loading(self._tree.body))
        """The lines that run as the module is imported: every test runs them, and none by itself."""
        seen: Counter[tuple[str, str]] = Counter()
        for site in _of_body(self._tree.body, "<module>"):
            seen[site.where, site.what] += 1
            first, last = _lines(site.statement)
            line = getattr(site.node, "lineno", site.statement.lineno)
            mutant = Mutant(site.where, site.what, seen[site.where, site.what], line, first, last)
            self.mutants.append(mutant)
            self._edits[mutant.name] = site.edit

    def code(self, mutant: Mutant | None) -> CodeType:
        """Gives the module's code with that mistake in it; None: as it is."""
        if mutant is None:
            return compile(self._tree, self._path, "exec", dont_inherit=True)
        edit = self._edits[mutant.name]
        edit.swap()
        try:
            return compile(ast.fix_missing_locations(self._tree), self._path, "exec", dont_inherit=True)
        finally:
            edit.swap()


def _lines(statement: ast.stmt) -> tuple[int, int]:
    """The lines of a statement; of one that holds others, those of its head."""
    body = getattr(statement, "body", None)
    if isinstance(statement, ast.Match):
        return statement.lineno, statement.cases[-1].body[-1].end_lineno or statement.lineno
    if isinstance(body, list) and body:
        return statement.lineno, max(statement.lineno, body[0].lineno - 1)
    return statement.lineno, statement.end_lineno or statement.lineno


def _loading(body: list[ast.stmt]) -> Iterator[int]:
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from _loading(statement.body)
        else:
            first, last = _lines(statement)
            whole = not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from range(first, ((statement.end_lineno or last) if whole else last) + 1)


def _said(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _change(where: str, statement: ast.stmt, node: ast.AST, holder: Any, key: Any, new: ast.AST) -> _Site:
    if not hasattr(new, "lineno"):  # one that was made; a part that moves up keeps its place
        ast.copy_location(new, node)
    return _Site(where, statement, node, f"{_said(node)} → {_said(new)}", Edit(holder, key, new))


# ── statements ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _of_body(body: list[ast.stmt], where: str) -> Iterator[_Site]:
    for at, statement in enumerate(body):
        yield from _of_statement(statement, body, at, where)


def _of_statement(statement: ast.stmt, body: list[ast.stmt], at: int, where: str) -> Iterator[_Site]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        inside = statement.name if where == "<module>" else f"{where}.{statement.name}"
        for part in ast.iter_child_nodes(statement):
            if isinstance(part, ast.arguments):
                yield from _of_expressions(part, statement, inside)
        yield from _of_body(statement.body, inside)
        return
    if _is_docstring(statement) or _is_of_names(statement):
        return
    if _may_be_dropped(statement):
        gone = ast.copy_location(ast.Pass(), statement)
        yield _Site(where, statement, statement, f"drop `{_said(statement)}`", Edit(body, at, gone))
    if isinstance(statement, ast.Return) and statement.value is not None and not _is_plain(statement.value):
        yield _change(where, statement, statement.value, statement, "value", ast.Constant(None))
    if isinstance(statement, ast.If | ast.While) and _may_be_negated(statement.test):
        denied = ast.UnaryOp(ast.Not(), statement.test)
        yield _change(where, statement, statement.test, statement, "test", denied)
    if isinstance(statement, ast.For):
        yield _change(where, statement, statement.iter, statement, "iter", ast.Tuple([], ast.Load()))
    if isinstance(statement, ast.With | ast.AsyncWith) and not any(i.optional_vars for i in statement.items):
        bare = ast.copy_location(ast.If(ast.Constant(True), statement.body, []), statement)
        head = ", ".join(_said(item) for item in statement.items)
        yield _Site(where, statement, statement, f"without `with {head}`", Edit(body, at, bare))
    for field, value in ast.iter_fields(statement):
        if field in _NOT_RUN:
            continue
        if field in ("body", "orelse", "finalbody"):
            yield from _of_body(value, where)
        elif field == "handlers":
            for handler in value:
                yield from _of_handler(handler, where)
        elif field == "cases":
            for case in value:
                if case.guard is not None:
                    what = f"without the guard `{_said(case.guard)}`"
                    yield _Site(where, case.body[0], case.guard, what, Edit(case, "guard", None))
                    yield from _of_value(case.guard, case, "guard", case.body[0], where)
                yield from _of_body(case.body, where)
        else:
            yield from _of_field(value, statement, field, statement, where)


def _of_handler(handler: ast.ExceptHandler, where: str) -> Iterator[_Site]:
    first = handler.body[0]
    if not (isinstance(first, ast.Raise) and first.exc is None):
        again = ast.copy_location(ast.Raise(), first)
        caught = "" if handler.type is None else f" {_said(handler.type)}"
        yield _Site(
            where, first, handler, f"`except{caught}` only raises again", Edit(handler, "body", [again])
        )
    yield from _of_body(handler.body, where)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_of_names(statement: ast.stmt) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    of_types = isinstance(statement, ast.Assign) and "TypeVar" in ast.unparse(statement.value)
    imports = isinstance(statement, ast.Import | ast.ImportFrom)
    return imports or of_types or bool(names & _NAMES_ONLY)


def _may_be_dropped(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assign):
        return all(isinstance(target, ast.Attribute | ast.Subscript) for target in statement.targets)
    if isinstance(statement, ast.AnnAssign):
        return statement.value is not None and isinstance(statement.target, ast.Attribute | ast.Subscript)
    return isinstance(statement, ast.Expr | ast.Raise | ast.AugAssign | ast.Delete | ast.Continue | ast.Break)


def _is_plain(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and (value.value is None or isinstance(value.value, bool))


def _may_be_negated(test: ast.expr) -> bool:
    if isinstance(test, ast.Compare):
        return len(test.ops) > 1 or not isinstance(test.ops[0], _TWO_SIDED)
    return not (isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not))


# ── expressions ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _of_expressions(node: ast.AST, statement: ast.stmt, where: str) -> Iterator[_Site]:
    for field, value in ast.iter_fields(node):
        if field not in _NOT_RUN:
            yield from _of_field(value, node, field, statement, where)


def _of_field(value: Any, holder: ast.AST, field: str, statement: ast.stmt, where: str) -> Iterator[_Site]:
    if isinstance(value, list):
        for at, one in enumerate(value):
            if isinstance(one, ast.AST):
                yield from _of_value(one, value, at, statement, where)
    elif isinstance(value, ast.AST):
        yield from _of_value(value, holder, field, statement, where)


def _of_value(node: ast.AST, holder: Any, key: Any, statement: ast.stmt, where: str) -> Iterator[_Site]:
    if isinstance(node, ast.JoinedStr | ast.expr_context | ast.pattern):
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and isinstance(statement, ast.Raise):
        return
    for new in _alternatives(node):
        yield _change(where, statement, node, holder, key, new)
    if isinstance(node, ast.comprehension):
        for at, test in enumerate(node.ifs):
            left = node.ifs[:at] + node.ifs[at + 1 :]
            yield _Site(where, statement, test, f"without `if {_said(test)}`", Edit(node, "ifs", left))
    if isinstance(node, ast.Call):
        for at, given in enumerate(node.keywords):
            if given.arg is not None:
                left_out = node.keywords[:at] + node.keywords[at + 1 :]
                what = f"{_said(node.func)}(…) without `{_said(given)}`"
                yield _Site(where, statement, given.value, what, Edit(node, "keywords", left_out))
        if isinstance(node.func, ast.Name) and node.func.id in _OF_TYPES and len(node.args) == 2:
            at = _OF_TYPES[node.func.id]
            yield from _of_value(node.args[at], node.args, at, statement, where)
            return
    yield from _of_expressions(node, statement, where)


def _alternatives(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        for at, op in enumerate(node.ops):
            for other in _COMPARED[type(op)]:
                ops = [*node.ops[:at], other(), *node.ops[at + 1 :]]
                yield ast.Compare(node.left, ops, node.comparators)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        for at in range(len(node.values)):
            left = node.values[:at] + node.values[at + 1 :]
            yield left[0] if len(left) == 1 else ast.BoolOp(node.op, left)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in _COUNTED:
        yield ast.BinOp(node.left, _COUNTED[type(node.op)](), node.right)
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLED:
        yield ast.Call(ast.Name(_CALLED[node.func.id], ast.Load()), node.args, node.keywords)
    elif isinstance(node, ast.Constant):
        yield from _other_constants(node.value)


def _other_constants(value: object) -> Iterator[ast.AST]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int | float):
        yield ast.Constant(value + 1)
    elif isinstance(value, str) and value:
        yield ast.Constant(value + "x")
    elif isinstance(value, bytes) and value:
        yield ast.Constant(value + b"x")

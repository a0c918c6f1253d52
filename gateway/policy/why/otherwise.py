"""Beside step 5: a question with something about it changed, and which values make a condition come out otherwise. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from gateway.policy.bundle import Bundle
from gateway.policy.condition import Asked, Condition, Malformed, casbin_spelling, condition_of
from gateway.policy.why.explanation import Change, Kind, Posed, Said
from gateway.policy.why.reading import holds
from gateway.words.decision import Facts, FactValue
from gateway.words.principal import ANYWHERE, Party, Principal, RoleHeld

MAX_TRIED = 400  # values for one part of a condition


def posed_so(posed: Posed, change: Change, bundle: Bundle) -> Posed:
    """Gives the question with that one thing otherwise. The parties' order and everything else stay."""
    access, principal = posed.access, posed.access.principal
    match change.kind:
        case Kind.PURPOSE | Kind.CREDENTIAL:
            purpose = str(change.value)
            held = replace(principal, purposes=principal.purposes | {purpose})
            return replace(posed, access=replace(access, principal=held, purpose=purpose))
        case Kind.TIME:
            return replace(posed, access=replace(access, time=_moved(access.time, change, bundle)))
        case Kind.ROLE:
            role = RoleHeld(str(change.value), change.unit)
            return _with(posed, change.party, lambda p: replace(p, roles=p.roles | {role}))
        case Kind.ATTRIBUTE:
            value = change.value
            if not isinstance(value, str | int):
                return posed
            return _with(
                posed, change.party, lambda p: replace(p, attributes={**p.attributes, change.name: value})
            )
        case Kind.FACT:
            return replace(posed, facts=_with_fact(posed.facts, change.name, change.value))


def _with(posed: Posed, party: str, made: Callable[[Party], Party]) -> Posed:
    principal = posed.access.principal
    first, *rest = [made(given) if given.id == party else given for given in principal.parties]
    other = Principal(first, rest[0] if rest else None, principal.purposes, principal.proven)
    return replace(posed, access=replace(posed.access, principal=other))


def _with_fact(facts: Facts, name: str, value: FactValue) -> Facts:
    return replace(facts, values={**facts.values, name: value}, unfit=facts.unfit - {name})


def _moved(time: datetime, change: Change, bundle: Bundle) -> datetime:
    local = time.astimezone(bundle.vocabulary.zone)
    match change.name, change.value:
        case "hour", int(hour):
            return local.replace(hour=hour)
        case "weekday", int(weekday):
            return local + timedelta(days=weekday - local.isoweekday())
        case "date", str(day):
            return datetime.combine(date.fromisoformat(day), local.timetz())
    return time


def parts(condition: Condition) -> Sequence[tuple[str, Condition]]:
    """Gives the parts of a condition that are joined by `and` at its top, each with its text, in order."""
    try:
        tree = ast.parse(casbin_spelling(condition.text).strip(), mode="eval").body
        return [(ast.unparse(node), condition_of(ast.unparse(node), node)) for node in _joined(tree)]
    except (SyntaxError, ValueError, RecursionError, MemoryError, Malformed):
        return [(condition.text, condition)]


def _joined(tree: ast.expr) -> Iterator[ast.expr]:
    if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.And):
        for value in tree.values:
            yield from _joined(value)
    else:
        yield tree


def names(condition: Condition, asked: Asked) -> dict[str, Said]:
    """Gives what each name in a condition stood for, by its name in the policy; a value that is no fact as None."""
    found: dict[str, Said] = {}
    for text in sorted(_names(condition.text)):
        value = _value(text, asked)
        found[text] = value if value is None or isinstance(value, bool | int | str | tuple) else None
    return found


def _names(text: str) -> set[str]:
    tree = ast.parse(casbin_spelling(text).strip(), mode="eval").body
    written = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return {name for name in written if name.count(".") == 2 or name in ("r.pur", "r.dom")}


def _value(name: str, asked: Asked) -> object:
    _r, what, *rest = name.split(".")
    given: Mapping[str, Mapping[str, object]] = {"rec": asked.rec, "sub": asked.sub, "env": asked.env}
    return given[what].get(rest[0]) if rest else getattr(asked, what)


def changes(condition: Condition, asked: Asked, party: str, *, wanted: bool) -> Iterator[Change]:
    """Gives changes of one name each under which the condition comes out as wanted; the first value of each name that does.

    Only what a question can have otherwise: a fact, an attribute, the time. Who asks, for whom and what for have rules' columns.
    """
    for name in sorted(_names(condition.text)):
        kind = {"r.rec": Kind.FACT, "r.sub": Kind.ATTRIBUTE, "r.env": Kind.TIME}.get(name.rpartition(".")[0])
        bare = name.rpartition(".")[2]
        if kind is None or (kind is Kind.ATTRIBUTE and bare in ("id", "alone")) or name == "r.rec.unit":
            continue  # the unit has a column
        for value in _candidates(name, condition, asked):
            if holds(condition, _so(asked, name, value)) is wanted:
                yield Change(kind, bare, value, party if kind is Kind.ATTRIBUTE else "")
                break


def _so(asked: Asked, name: str, value: Said) -> Asked:
    _r, what, bare = name.split(".")
    if what == "rec":
        return replace(asked, rec={**asked.rec, bare: value})
    if what == "sub":
        return replace(asked, sub={**asked.sub, bare: value})  # type: ignore[dict-item] # a plain value, as candidates are
    return replace(asked, env={**asked.env, bare: value})  # type: ignore[dict-item] # as above


def _candidates(name: str, condition: Condition, asked: Asked) -> Iterator[Said]:
    """Values worth trying: what stands in the condition, what its other names stand for, a little more and less, and absent."""
    literals: list[Said] = [
        node.value
        for node in ast.walk(ast.parse(casbin_spelling(condition.text).strip(), mode="eval"))
        if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool | int | str))
    ]
    others = [value for other, value in names(condition, asked).items() if other != name]
    plain: list[Said] = [
        *literals,
        *(member for value in others for member in (value if isinstance(value, tuple) else (value,))),
    ]
    bare = name.rpartition(".")[2]
    if name.startswith("r.env."):
        yield from {"hour": range(24), "weekday": range(1, 8)}.get(bare, ())
        if bare == "date":
            yield from _days(plain)
        return
    if name.startswith("r.rec.") and bare in condition.sets:
        now = asked.rec.get(bare)
        members: tuple[str, ...] = now if isinstance(now, tuple) else ()
        texts = [value for value in plain if isinstance(value, str)]
        yield from ((*members, text) for text in texts)
        yield from (tuple(m for m in members if m != text) for text in texts)
        yield ()
        return
    tried = 0
    for value in [*plain, None, "other"]:
        steps: tuple[Said, ...] = (value,)
        if isinstance(value, int) and not isinstance(value, bool):
            steps = (value, value + 1, value - 1)
        for step in steps:
            tried += 1
            if tried <= MAX_TRIED and not (step is None and name.startswith("r.sub.")):
                yield step


def _days(literals: Sequence[object]) -> Iterator[str]:
    for literal in literals:
        try:
            day = date.fromisoformat(str(literal))
        except ValueError:
            continue
        yield from (str(day + timedelta(days=step)) for step in (0, 1, -1))


def role_unit(unit: str) -> str:
    """Gives the unit within which a role would be held to count on records of that unit."""
    return unit if ":" in unit else ANYWHERE

"""The two files: which lines are read otherwise elsewhere, and what of their expressions and patterns is."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from gateway.policy.engine.definition import Definition, definition
from gateway.policy.engine.faults import MODEL, POLICY, Unfit
from gateway.policy.engine.rules import columns
from gateway.policy.engine.spelling import LITERAL, Unreadable, escaped, evaluated, parsed, uncommented
from gateway.policy.portable.expression import literals, of_expression
from gateway.policy.portable.patterns import PATTERNS, of_pattern
from gateway.policy.portable.remark import Found, Remark, short

_LONELY = re.compile(r"(?<![&|])[&|](?![&|])")
_LATE = re.compile(r"[ \t]+,")


def remarks(model: str, policy: str) -> tuple[Remark, ...]:
    """Gives everything that is not portable, in the order of files and lines.

    Nothing where the model is refused: what is read nowhere is told by whoever loads it.
    """
    try:
        sections = _sections(model)
    except Unfit:
        return ()
    found = {*_of_model(model, sections), *_of_policy(policy, sections)}
    return tuple(sorted(found, key=lambda one: (one.file != MODEL, one.line, one.kind, one.part)))


def _sections(model: str) -> list[Definition]:
    first = definition(model)
    return [first, *(definition(model, name[1:]) for name in first.lines if name[0] == "m" and name[1:])]


def _of_model(text: str, sections: list[Definition]) -> Iterator[Remark]:
    first = sections[0]
    seen: set[str] = set()
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            if line in seen:
                yield Remark(MODEL, number, "portable-section", line)
            seen.add(line)
        elif line[:1] not in ("#", ";") and ";" in line:
            yield Remark(MODEL, number, "portable-semicolon", short(line))
    for section in sections:
        line_of = first.lines["m" + section.suffix]
        if section.suffix and "e" + section.suffix not in first.lines:
            yield Remark(MODEL, line_of, "portable-section", "e" + section.suffix)
        for kind, part in [*of_expression(section.matcher), *_of_matcher(section.matcher)]:
            yield Remark(MODEL, line_of, kind, short(part))


def _of_matcher(matcher: str) -> Iterator[Found]:
    for written, inner in literals(matcher):
        if _LONELY.search(inner):
            yield "portable-bar", written
    if _LONELY.search(LITERAL.sub('""', matcher)):
        yield "portable-bar", matcher
    for function, _column, pattern in _given(matcher):
        if pattern is not None:
            yield from of_pattern(function, pattern)


def _given(text: str) -> Iterator[tuple[str, str, str | None]]:
    """Gives the functions that are asked: with the column that their pattern stands in, or the pattern itself."""
    try:
        tree = parsed(text)
    except Unreadable:
        return
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[_, ast.Constant(value=str(pattern))]) if (
                name in PATTERNS
            ):
                yield name, "", pattern
            case ast.Call(func=ast.Name(id=name), args=[_, ast.Name(id=column)]) if name in PATTERNS:
                yield name, column, None


def _of_policy(text: str, sections: list[Definition]) -> Iterator[Remark]:
    asked = {section.rule_kind: _columns(section) for section in sections}
    known: dict[str, tuple[Found, ...]] = {}
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip()
        if not line or line[0] == "#":
            continue
        row = columns(line)
        if not row:
            continue
        if '"' in line:
            yield Remark(POLICY, number, "portable-quote", short(next(part for part in row if '"' in part)))
        if line.count(",") != len(row) - 1:
            yield Remark(POLICY, number, "portable-comma", short(next(part for part in row if "," in part)))
        if _LATE.search(line):
            yield Remark(POLICY, number, "portable-blank", short(line))
        for at, function in asked.get(row[0], ()):
            if at >= len(row) - 1:
                continue
            value = row[at + 1]
            key = f"{function} {value}"
            if key not in known:
                known[key] = tuple(_of_value(function, value))
            for kind, part in known[key]:
                yield Remark(POLICY, number, kind, short(part))


def _columns(section: Definition) -> list[tuple[int, str]]:
    """Gives what a section's columns are used for: the place, and a function's name, or `eval`."""
    matcher = section.matcher
    places = {f"p{section.suffix}_{name}": at for at, name in enumerate(section.rule)}
    used = {(places[name], "eval") for name in evaluated(escaped(matcher)) if name in places}
    used |= {(places[column], function) for function, column, _pattern in _given(matcher) if column in places}
    return sorted(used)


def _of_value(function: str, value: str) -> Iterator[Found]:
    if function != "eval":
        yield from of_pattern(function, value)
        return
    yield from of_expression(value)
    for name, _column, pattern in _given(uncommented(value)):
        if pattern is not None:
            yield from of_pattern(name, pattern)

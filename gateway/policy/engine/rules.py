"""policy.csv, read as pycasbin reads it; what it would pass over, cut or raise about later is a fault with its line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from sys import intern

from gateway.policy.engine.definition import Definition
from gateway.policy.engine.faults import POLICY, Fault, Unfit

ALLOW, DENY = "allow", "deny"
MOST_FAULTS = 20
"""A report of the first ones is what somebody reads."""

Columns = tuple[str, ...]
_strip = str.strip


@dataclass(frozen=True, slots=True)
class Rows:
    """A policy's rows: kind → rows in the file's order, and of each kind the lines they stand on."""

    by_kind: dict[str, list[Columns]]
    lines: dict[str, list[int]]


def decoded(data: bytes, file: str) -> str:
    """Gives a file's text. Raises Unfit where it is no UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise Unfit([Fault(file, line, "engine.not-utf8")]) from None


def rows(text: str, model: Definition) -> Rows:
    """Gives the rows of a policy. Raises Unfit with the first faults."""
    by_kind: dict[str, list[Columns]] = {kind: [] for kind in model.kinds}
    lines: dict[str, list[int]] = {kind: [] for kind in model.kinds}
    faults: list[Fault] = []
    wanted = model.kinds
    plain = not any(bracket in text for bracket in "()[]")
    for number, raw in enumerate(text.split("\n"), 1):
        # One name is one object, wherever it stands: less memory, and comparing it is looking at where it is.
        if plain:  # no bracket in the whole file: commas are all that there is to see
            split = list(map(intern, map(_strip, raw.split(","))))
            if (not split[0] and len(split) == 1) or split[0][:1] == "#":
                continue
        else:
            line = raw.strip()
            if not line or line[0] == "#":
                continue
            split = list(map(intern, columns(line) or ()))
        if not split:
            faults.append(Fault(POLICY, number, "engine.brackets"))
        else:
            kind = split[0]
            width = wanted.get(kind)
            if width == len(split) - 1:
                by_kind[kind].append(tuple(split[1:]))
                lines[kind].append(number)
                continue
            faults.append(_misfit(number, kind, width, len(split) - 1))
        if len(faults) >= MOST_FAULTS:
            break
    faults += _values(model, by_kind, lines)
    if faults:
        raise Unfit(sorted(faults, key=lambda fault: fault.line)[:MOST_FAULTS])
    return Rows(by_kind, lines)


def columns(line: str) -> list[str] | None:
    """Gives the columns of a stripped line; None where brackets do not pair.

    A comma inside of ( or [ ends no column. pycasbin takes any closing bracket for any opening one; here they must be of one kind.
    """
    if "(" not in line and "[" not in line and ")" not in line and "]" not in line:
        return [part.strip() for part in line.split(",")]
    stack: list[str] = []
    found = []
    start = 0
    for at, character in enumerate(line):
        if character in "([":
            stack.append(")" if character == "(" else "]")
        elif character in ")]":
            if not stack or stack.pop() != character:
                return None
        elif character == "," and not stack:
            found.append(line[start:at].strip())
            start = at + 1
    found.append(line[start:].strip())
    return None if stack else found


def misfit(model: Definition, kind: str, row: Columns) -> Fault | None:
    """Gives what is wrong with one row, for a change of one; None where it would have been read."""
    width = model.kinds.get(kind)
    if width != len(row):
        return _misfit(1, kind, width, len(row))
    return next(_values(model, {kind: [row]}, {kind: [1]}), None)


def _misfit(line: int, kind: str, width: int | None, there: int) -> Fault:
    if width is None:
        return Fault(POLICY, line, "engine.kind-unknown", {"kind": kind[:60]})
    return Fault(POLICY, line, "engine.column-count", {"kind": kind, "wanted": width, "there": there})


def _values(
    model: Definition, by_kind: dict[str, list[Columns]], lines: dict[str, list[int]]
) -> Iterator[Fault]:
    """Effects that are none, priorities that would be sorted as text."""
    kind, eft, priority = model.rule_kind, model.eft, model.priority
    found = by_kind.get(kind, [])
    if eft is not None and not {row[eft] for row in found} <= {ALLOW, DENY}:
        for row, line in zip(found, lines.get(kind, ()), strict=True):
            if row[eft] not in (ALLOW, DENY):
                yield Fault(POLICY, line, "engine.effect-value", {"value": row[eft][:60]})
    if priority is not None:
        for row, line in zip(found, lines.get(kind, ()), strict=True):
            if not (row[priority].isascii() and row[priority].isdigit() and len(row[priority]) <= 18):
                yield Fault(POLICY, line, "engine.priority-value", {"value": row[priority][:60]})

"""Step 5, inside: the bundle that decides. Immutable once loaded; another is made and swapped in whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from gateway.policy.condition import Condition
from gateway.policy.model import Model
from gateway.policy.roles import RoleGraph
from gateway.policy.source import POLICY_FILE, Row
from gateway.policy.vocabulary import Vocabulary
from gateway.words.budget import Budget
from gateway.words.decision import Rule
from gateway.words.resource import ResourceSpec

ANY = "*"
SET = "set"
SHOW_CLEAR, SHOW_MASKED, SHOW_TOKEN = "show:clear", "show:masked", "show:token"


@dataclass(frozen=True, slots=True)
class Line:
    """One `p` row, read: the columns of the model's rule, its condition (with the model's extra parts) and where it stands."""

    role: str
    unit: str
    res: str
    act: str
    field: str
    pur: str
    condition: Condition
    allows: bool
    rule: Rule
    number: int  # its place among the rules, in file order


def wide(action: str) -> str:
    """Gives the name under which a deny meets every action of the kind: `show:clear` → `show:*`; without a kind the action itself."""
    kind, colon, _ = action.partition(":")
    return f"{kind}:*" if colon else action


def resource_name(resource: ResourceSpec) -> str:
    """Gives a resource as policies write it: `crm/customer`."""
    return f"{resource.upstream}/{resource.name}"


_number = attrgetter("number")


class Rules:
    """All rows by role, resource and action, so that a question passes over what is other roles'. Promises: `about` gives file order."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.lines = tuple(lines)
        self.units = frozenset(line.unit for line in self.lines) - {ANY}  # that rules name
        self._index: dict[tuple[str, str, str], list[Line]] = {}
        for line in self.lines:
            self._index.setdefault((line.role, line.res, line.act), []).append(line)

    def about(self, roles: Iterable[str], res: str, act: str, pur: str) -> list[Line]:
        """Gives the rows of those roles that may speak about that action on that resource for that purpose."""
        keys = {(role, r, a) for role in roles for r in (res, ANY) for a in (act, wide(act))}
        found = [line for key in keys for line in self._index.get(key, ()) if line.pur in (pur, ANY)]
        found.sort(key=_number)
        return found


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was loaded together.

    digest: `sha256:…` over every file's name and bytes and the catalogue's digest. rows: policy.csv as read, for the reference.
    budgets: how much of what the rules allow is shown to one person in a while.
    decoys: records that nobody has business with: upstream, resource, id.
    facts:  every fact that a catalogue provides; sets: those that conditions use as sets.
    """

    digest: str
    model: Model
    vocabulary: Vocabulary
    rows: tuple[Row, ...] = field(repr=False)
    rules: Rules = field(repr=False)
    roles: RoleGraph = field(repr=False)
    facts: frozenset[str]
    sets: frozenset[str]
    budgets: tuple[Budget, ...] = field(repr=False)
    decoys: frozenset[tuple[str, str, str]] = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)


def joined(extra: tuple[Condition, ...], own: Condition) -> Condition:
    """Gives a row's own condition after the model's extra parts, in the matcher's order."""
    if not extra:
        return own
    parts = (*extra, own)
    return Condition(
        text=" and ".join(f"({part.text})" for part in parts),
        parts=tuple(conjunct for part in parts for conjunct in part.parts),
        facts=frozenset().union(*(part.facts for part in parts)),
        attributes=frozenset().union(*(part.attributes for part in parts)),
        sets=frozenset().union(*(part.sets for part in parts)),
        scalars=frozenset().union(*(part.scalars for part in parts)),
        total=all(part.total for part in parts),
        test=lambda asked: all(part.test(asked) for part in parts),
    )


def read_line(row: Row, number: int, condition: Condition) -> Line:
    """Gives the `p` row as a rule; the lint has held its columns already."""
    role, unit, res, act, name, pur, _text, effect = row.columns
    return Line(
        role=role,
        unit=unit,
        res=res,
        act=act,
        field=name,
        pur=pur,
        condition=condition,
        allows=effect == "allow",
        rule=Rule(POLICY_FILE, row.line, row.text),
        number=number,
    )

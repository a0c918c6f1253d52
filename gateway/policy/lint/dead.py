"""Beside the request path: rules of a good bundle that never decide, or decide nothing that another does not.

What is said is proven: a rule that is named here can be taken away without anyone getting less (an allow) or more (a deny), except on
records where its condition fails, which denies. What is not named may still be of no use.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.policy.bundle import ANY, SET, Bundle, Line
from gateway.policy.facts import NOWHERE
from gateway.policy.finding import Finding, warning
from gateway.policy.known import Known, facts_of
from gateway.policy.lint.covering import Covering
from gateway.policy.lint.terms import Term, World, implies, never, term_of
from gateway.policy.source import POLICY_FILE
from gateway.words.resource import PERSONAL, ResourceSpec

MOST_TRIES = 4
"""How many rules of one cell are held against a rule by what their conditions mean; more parts of the same text are looked up."""
MOST_PROOFS = 20_000
"""How many pairs of conditions are compared by what they mean in one folder: a second or so. After it texts alone are compared."""
_EVERY_HOUR = tuple(range(24))
_EVERY_DAY = tuple(range(1, 8))


class Dead:
    """One bundle's rules, each looked at once against those that its columns lead to."""

    def __init__(self, bundle: Bundle, ground: Known) -> None:
        self._bundle = bundle
        self._ground = ground
        self._terms: dict[str, Term] = {}
        self._worlds: dict[tuple[str, str, str], World] = {}
        self._never: dict[tuple[str, int], bool] = {}
        self._proven: dict[tuple[str, str, int], bool] = {}
        self._settable: dict[tuple[str, str], bool] = {}
        # Parts that pycasbin alone evaluates may look at the role that is asked as: what holds for one rule need not for another.
        self._between = bundle.model.compiled

    def findings(self) -> Iterator[Finding]:
        """Gives one finding at most for each rule, the most telling."""
        allows = Covering(self._bundle, self._ground, allows=True)
        denies = Covering(self._bundle, self._ground, allows=False)
        for line in self._bundle.rules.lines:
            found = self._alone(line)
            if found is None and self._between:
                found = (self._beaten(line, denies) if line.allows else None) or self._implied(
                    line, allows if line.allows else denies
                )
            if found is not None:
                yield found

    def _alone(self, line: Line) -> Finding | None:
        where = POLICY_FILE, line.rule.line
        specs = self._specs(line)
        if line.unit != ANY and not any("unit" in facts_of(spec) for spec in specs):
            return warning(
                *where,
                f"a rule for `{line.unit}`, and `{line.res}` has no fact `unit`",
                "Its records belong to no unit: the rule never applies",
                "Write `*`, or see whether the catalogue lost the fact",
                rule="unit-absent",
            )
        if line.act == SET and line.allows and not self._may_be_set(line, specs):
            return warning(
                *where,
                f"every field there is the upstream's own to set (`server_set`): `{line.field}`",
                "The rule lets nobody set anything",
                "Remove it",
                rule="never-settable",
            )
        if not line.condition.always and self._is_never(line):
            return warning(
                *where,
                "the condition is never true for this rule's unit, resource and purpose",
                "A deny would hold nobody back, an allow would help nobody"
                + ("" if line.condition.total else "; where a fact cannot be compared, it denies"),
                "See which two parts exclude each other",
                rule="never-true",
            )
        return None

    def _specs(self, line: Line) -> list[ResourceSpec]:
        resources = self._ground.resources
        return list(resources.values()) if line.res == ANY else [resources[line.res]]

    def _may_be_set(self, line: Line, specs: list[ResourceSpec]) -> bool:
        key = line.res, line.field
        if key not in self._settable:
            fields = [f for spec in specs for f in spec.fields if line.field in (f.pattern, f.cls.value)]
            # Where there is none of the class at all, that is said at the row.
            self._settable[key] = not fields or any(not field.server_set for field in fields)
        return self._settable[key]

    def _is_never(self, line: Line) -> bool:
        world = self._world(line)
        key = line.condition.text, id(world)
        if key not in self._never:
            self._never[key] = never(self._term(line), world)
        return self._never[key]

    def _term(self, line: Line) -> Term:
        text = line.condition.text
        known = self._terms.get(text)
        if known is None:
            known = self._terms[text] = term_of(text)
        return known

    def _world(self, line: Line) -> World:
        """All values that names can have where the rule applies; the same value for rules that do so alike."""
        key = line.res, line.unit, line.pur
        known = self._worlds.get(key)
        if known is None:
            specs = self._specs(line)
            asked = (line.pur,) if line.pur != ANY else tuple(self._bundle.vocabulary.purposes)
            # A question about personal data names its purpose.
            if line.pur == ANY and any(all(f.cls not in PERSONAL for f in spec.fields) for spec in specs):
                asked = (*asked, NOWHERE)
            known = {
                "r.env.hour": _EVERY_HOUR,
                "r.env.weekday": _EVERY_DAY,
                "r.sub.alone": (False, True),
                "r.pur": asked,
            }
            if line.unit != ANY:
                known |= {"r.dom": (line.unit,), "r.rec.unit": (line.unit,)}
            elif not any("unit" in facts_of(spec) for spec in specs):
                known |= {"r.dom": (NOWHERE,)}
            self._worlds[key] = known
        return known

    def _weaker(self, line: Line, other: Line) -> bool:
        """True when the other rule's condition holds or fails wherever the first one's holds, in the first one's world."""
        if other.condition.conjuncts <= line.condition.conjuncts:
            return True
        mine, theirs = line.condition, other.condition
        if not (theirs.facts <= mine.facts and theirs.attributes <= mine.attributes):
            return False  # it asks for more: nothing is known of that
        world = self._world(line)
        key = line.condition.text, other.condition.text, id(world)
        if key not in self._proven:
            if len(self._proven) >= MOST_PROOFS:
                return False
            self._proven[key] = implies(self._term(line), self._term(other), world)
        return self._proven[key]

    def _wider(self, line: Line, among: Covering) -> Iterator[Line]:
        for cell in among.cells(line):
            yield from cell.fewer_parts(line)
            yield from (other for other in cell.lines[:MOST_TRIES] if self._weaker(line, other))

    def _beaten(self, line: Line, denies: Covering) -> Finding | None:
        for deny in self._wider(line, denies):
            return warning(
                POLICY_FILE,
                line.rule.line,
                f"wherever this rule would allow, line {deny.rule.line} denies",
                "A deny beats every allow: this rule allows nothing",
                f"Remove it, or narrow line {deny.rule.line}",
                rule="shadowed",
            )
        return None

    def _implied(self, line: Line, same: Covering) -> Finding | None:
        for other in self._wider(line, same):
            if other is line or (self._alike(line, other) and other.number > line.number):
                continue
            what = "allows" if line.allows else "denies"
            return warning(
                POLICY_FILE,
                line.rule.line,
                f"whatever this rule {what}, line {other.rule.line} {what} too",
                "Removing one of them would leave the other, and nobody would notice",
                "Remove this one, or narrow the other if it was to say less",
                rule="implied",
            )
        return None

    def _alike(self, line: Line, other: Line) -> bool:
        """True when each says what the other does: the later one is then the one too many."""
        places = [(one.role, one.unit, one.res, one.act, one.field, one.pur) for one in (line, other)]
        return places[0] == places[1] and self._weaker(other, line)

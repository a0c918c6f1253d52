"""Beside the request path: holds every row of policy.csv against the vocabulary and the catalogue before it may decide anything."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Sequence

from gateway.policy.bundle import ANY, SET, SHOW_CLEAR, SHOW_MASKED, SHOW_TOKEN, wide
from gateway.policy.condition import SUBJECT_NAMES, Condition, Malformed, condition_of, tree_of
from gateway.policy.finding import Finding, Severity, error, warning
from gateway.policy.known import Known, facts_of
from gateway.policy.lint import between
from gateway.policy.lint.near import Near
from gateway.policy.literals import Literals
from gateway.policy.plan import RECORD
from gateway.policy.source import MODEL_FILE, POLICY_FILE, Row
from gateway.policy.vocabulary import Vocabulary
from gateway.words.resource import FieldClass

COLUMNS = {"p": 8, "g": 3}
_SHOWS = frozenset({SHOW_CLEAR, SHOW_MASKED, SHOW_TOKEN})
_PLAIN_COLUMN = re.compile(r"[\w:/.@#%*~+=&?|-]+\Z", re.ASCII)
_EFFECTS = ("allow", "deny")
_PATTERN = re.compile(r"\w\*|\*\w|[\^$|+?]|\.[*+]")
_NEVER_READ = "The rule would never match, or match something else"
_NEVER_EQUAL = "The comparison would say the same of every record: a deny would not hold"


class Lint:
    """One pass over the rows. `findings` gathers; `conditions` holds each `p` row's condition by line for the loader."""

    def __init__(self, vocabulary: Vocabulary, known: Known) -> None:
        self._vocabulary = vocabulary
        self._known = known
        self._subject = vocabulary.attributes | SUBJECT_NAMES
        self.findings: list[Finding] = []
        self.conditions: dict[int, Condition] = {}
        self._near = Near()
        self._of: dict[str, Literals] = {}
        self._parsed: dict[str, tuple[Condition, ast.expr]] = {}
        self._sets: dict[str, int] = {}
        self._scalars: dict[str, int] = {}

    def hold(self, rows: Sequence[Row]) -> None:
        """Looks at every row, then at what only shows between them."""
        fitting = [row for row in rows if self._shape(row)]
        for row in fitting:
            if row.kind == "p":
                self._rule(row)
        self.findings += between.empty(rows) + between.twice(fitting)
        self._mixed()
        self.findings += between.unused(fitting, self._vocabulary)

    def _error(self, row: Row, what: str, would_have: str, suggestion: str, *, rule: str) -> None:
        self.findings.append(error(POLICY_FILE, row.line, what, would_have, suggestion, rule=rule))

    def _unknown(self, row: Row, what: str, name: str, known: Collection[str], otherwise: str) -> None:
        """A name that nobody declared: `what` is its kind, a role or a field."""
        if _PATTERN.search(name):
            otherwise = f"{otherwise}; a column is compared, no pattern"
        self._error(
            row,
            f"unknown {what} `{name}`",
            _NEVER_READ,
            self._near.suggest(name, known, otherwise),
            rule=f"unknown-{what}",
        )

    def _shape(self, row: Row) -> bool:
        """Kind, number of columns, nothing empty, nothing that only looks like a name."""
        wanted = COLUMNS.get(row.kind)
        if wanted is None:
            self._error(
                row,
                f"`{row.kind[:20]}` is no kind of row",
                "The row would vanish",
                "Write p or g",
                rule="unknown-row-kind",
            )
            return False
        if len(row.columns) != wanted:
            self._error(
                row,
                f"{len(row.columns)} columns where {wanted} belong",
                "Every later decision would raise, or the rest be cut off",
                "Count the commas; a list in a condition needs its brackets",
                rule="column-count",
            )
            return False
        names = row.columns if row.kind == "g" else (*row.columns[:6], row.columns[7])
        if not all(row.columns) or not all(_PLAIN_COLUMN.match(name) for name in names):
            self._error(
                row,
                "a column is empty, quoted, or has a character that no name has",
                "Casbin keeps quotes as part of the name, and an empty text equals an empty request",
                "Write the bare name",
                rule="column-malformed",
            )
            return False
        return True

    def _rule(self, row: Row) -> None:
        role, unit, res, act, name, pur, text, effect = row.columns
        if role not in self._vocabulary.roles:
            self._unknown(row, "role", role, self._vocabulary.roles, "Declare it in vocabulary.yaml")
        if unit != ANY and unit not in self._vocabulary.units:
            self._unknown(row, "unit", unit, self._vocabulary.units, "Declare it in vocabulary.yaml, or `*`")
        if pur != ANY and pur not in self._vocabulary.purposes:
            self._unknown(
                row, "purpose", pur, self._vocabulary.purposes, "Declare it in vocabulary.yaml, or `*`"
            )
        if effect not in _EFFECTS:
            self._error(
                row,
                f"unknown effect `{effect}`",
                "A mistyped deny is no deny",
                self._near.suggest(effect, _EFFECTS, "Write allow or deny"),
                rule="unknown-effect",
            )
        self._about(row, res, act, name, denies=effect == "deny")
        self._condition(row, res, text)

    def _about(self, row: Row, res: str, act: str, name: str, *, denies: bool) -> None:
        """Resource, action and field belong together; only a deny may be wider than names."""
        resources = self._known.resources
        if res == ANY and not denies:
            self._error(
                row,
                "an allow on every resource",
                "What is added later would be open",
                "Name it",
                rule="allow-every-resource",
            )
            return
        if res != ANY and res not in resources:
            self._unknown(row, "resource", res, resources, "Write upstream/resource")
            return
        names = [res] if res != ANY else list(resources)
        actions = frozenset().union(*(self._known.actions[n] for n in names))
        disclosing = act in _SHOWS or act == SET or act == "show:*"
        if not disclosing and act not in actions | {wide(action) for action in actions}:
            self._unknown(row, "action", act, actions | _SHOWS | {SET}, "Write an action of that resource")
        elif act.endswith(":*") and not denies:
            self._error(
                row,
                f"an allow of `{act}`",
                "What is added later would be open",
                "Name each action",
                rule="allow-every-action",
            )
        elif act in (SHOW_MASKED, SHOW_TOKEN) and denies:
            self._error(
                row,
                f"a deny of `{act}` alone",
                "The clear value would still be shown",
                "Deny `show:*`",
                rule="deny-masked-alone",
            )
        elif disclosing:
            self._field(row, names, name, denies=denies)
        elif name != RECORD:
            self._error(
                row,
                f"`{name}` beside a record's action",
                _NEVER_READ,
                "Write `-`",
                rule="field-beside-action",
            )

    def _field(self, row: Row, resources: Sequence[str], name: str, *, denies: bool) -> None:
        if name == ANY:
            if not denies:
                self._error(
                    row,
                    "an allow on every field",
                    "A new field would be open",
                    "Name classes",
                    rule="allow-every-field",
                )
            return
        specs = [self._known.resources[resource] for resource in resources]
        if name.startswith("/"):
            if not any(spec.spec(name) for spec in specs):
                patterns = {field.pattern for spec in specs for field in spec.fields}
                self._unknown(row, "field", name, patterns, "Write a pattern of the catalogue")
        elif name not in set(FieldClass):
            self._unknown(row, "class", name, set(FieldClass), "Write a class of the catalogue")
        elif not any(field.cls == name for spec in specs for field in spec.fields):
            self.findings.append(
                warning(
                    POLICY_FILE,
                    row.line,
                    f"no field there has the class `{name}`",
                    "The rule says nothing today",
                    "Remove it, or see whether the catalogue lost a field",
                    rule="class-absent",
                )
            )

    def _condition(self, row: Row, res: str, text: str) -> None:
        try:
            condition, tree = self._parsed.get(text) or self._parse(text)
        except Malformed as exc:
            self._error(
                row,
                f"the condition is refused: {exc}",
                "Casbin would evaluate something else",
                "See docs",
                rule="condition-refused",
            )
            return
        resources = self._known.resources
        given = facts_of(resources[res]) if res in resources else self._known.facts
        for fact in sorted(condition.facts - given):
            self._error(
                row,
                f"no catalogue provides `r.rec.{fact}` here",
                "It would be absent for ever",
                self._near.suggest(fact, given, "See `fact:` in the catalogue"),
                rule="unknown-fact",
            )
        for name in sorted(condition.attributes - self._subject):
            self._error(
                row,
                f"unknown attribute `r.sub.{name}`",
                "Every decision raises",
                self._near.suggest(name, self._subject, "Declare it"),
                rule="unknown-attribute",
            )
        for fault in self._literals(res).faults(tree):
            self._error(row, fault.what, _NEVER_EQUAL, fault.suggestion, rule=fault.rule)
        for fact in condition.sets:
            self._sets.setdefault(fact, row.line)
        for fact in condition.scalars:
            self._scalars.setdefault(fact, row.line)
        self.conditions[row.line] = condition

    def _parse(self, text: str) -> tuple[Condition, ast.expr]:
        """Reads a condition; most of a policy's are the same few texts, which are read once."""
        tree = tree_of(text)
        made = self._parsed[text] = condition_of(text, tree), tree
        return made

    def _literals(self, res: str) -> Literals:
        """Gives what a condition about that resource, or about any of them, may compare with; made once."""
        made = self._of.get(res)
        if made is None:
            resources = self._known.resources
            about = [resources[res]] if res in resources else list(resources.values())
            made = self._of[res] = Literals(self._vocabulary, about)
        return made

    def hold_extra(self, extra: Sequence[Condition], line: int) -> None:
        """Looks at the parts that a model adds for every rule: the same facts, attributes and sets as the rules' own."""
        strange = {
            *(f"r.rec.{fact}" for part in extra for fact in part.facts - self._known.facts),
            *(f"r.sub.{a}" for part in extra for a in part.attributes - self._subject),
        }
        rules_sets, rules_scalars = set(self._sets), set(self._scalars)
        for part in extra:
            for fault in self._literals(ANY).faults(tree_of(part.text)):
                self.findings.append(
                    error(MODEL_FILE, line, fault.what, _NEVER_EQUAL, fault.suggestion, rule=fault.rule)
                )
            strange |= {f"r.rec.{f}" for f in part.sets & (rules_scalars | {"unit"})}
            strange |= {f"r.rec.{f}" for f in part.scalars & rules_sets}
        for name in sorted(strange):
            self.findings.append(
                error(
                    MODEL_FILE,
                    line,
                    f"`{name}` is not known, or used as a set and as a single value",
                    "Every decision would raise or differ",
                    "Use what catalogue and vocabulary name, in one way",
                    rule="matcher-name",
                )
            )

    def _mixed(self) -> None:
        for fact in sorted(set(self._sets) & (set(self._scalars) | {"unit"})):
            self.findings.append(
                error(
                    POLICY_FILE,
                    self._sets[fact],
                    f"`r.rec.{fact}` is a set here and a single value elsewhere",
                    "`in` on a text asks for a part of it",
                    "Use it in one way",
                    rule="set-and-single",
                )
            )


def refused(findings: Sequence[Finding]) -> bool:
    """True when any finding refuses the bundle."""
    return any(finding.severity is Severity.ERROR for finding in findings)

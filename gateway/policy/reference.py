"""Step 5, inside: pycasbin itself. What the compiled form is held to, and what runs a bundle whose model does not compile.

One question is many of Casbin's: for each party, each name it acts under (its id, each role that its credential holds there) and each role
that this name can assume. Any deny or error among them denies, else any allow allows: the same deny over allow, over the rows of all roles.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from types import MappingProxyType

import casbin
from casbin.constant.constants import ALLOW_AND_DENY_EFFECT
from casbin.persist import Adapter, load_policy_line

from gateway.policy.bundle import ANY, SET, Bundle, resource_name, wide
from gateway.policy.condition import Asked, casbin_spelling
from gateway.policy.model import FUNCTIONS, REQUEST, RULE, tokens
from gateway.policy.plan import LADDER, RECORD, Outcome, denial
from gateway.policy.source import POLICY_FILE, Row
from gateway.words.decision import Disclosure, FieldView, Reason, Rule, narrower
from gateway.words.json import Pattern
from gateway.words.principal import ANYWHERE, Party
from gateway.words.resource import FieldSpec, ResourceSpec

MAX_PARTS = 20_000
ENGINE = f"pycasbin/{version('pycasbin')}"


class Lines(Adapter):  # type: ignore[misc] # pycasbin has no types
    """Gives pycasbin rows as its own file adapter would, from what was read already: no second look at a file that may have changed."""

    def __init__(self, rows: Iterable[str]) -> None:
        self._rows = tuple(rows)

    def load_policy(self, model: object) -> None:
        """Hands each row to pycasbin's own line reader."""
        for row in self._rows:
            load_policy_line(row, model)


def enforcer(model_text: str, rows: Iterable[str]) -> casbin.Enforcer:
    """Gives a stock enforcer over a model's text and rows. Raises whatever pycasbin raises."""
    model = casbin.Enforcer.new_model(text=model_text)
    return casbin.Enforcer(model, Lines(rows))


def same_rows(made: casbin.Enforcer, rows: Sequence[Row]) -> bool:
    """True when stock pycasbin read exactly the rows that we read, in that order."""
    return all(
        [list(row.columns) for row in rows if row.kind == kind] == made.model[kind][kind].policy
        for kind in ("p", "g")
    )


def same_model(made: casbin.Enforcer) -> bool:
    """True when stock pycasbin has exactly the gateway's columns and effect, and a matcher that asks for nothing else.

    Without a column of the name `eft` it takes every row for an allow, a deny too, and says nothing.
    """
    sections = made.model.model
    columns = {
        kind: [f"{kind}_{name}" for name in tokens(text)] for kind, text in (("r", REQUEST), ("p", RULE))
    }
    if any(set(sections[kind]) != {kind} for kind in ("r", "p", "g", "e", "m")):
        return False
    if any(sections[kind][kind].tokens != names for kind, names in columns.items()):
        return False
    asked = {node.id for node in ast.walk(_parsed(sections["m"]["m"].value)) if isinstance(node, ast.Name)}
    known = {*columns["r"], *columns["p"], "g", "eval", *FUNCTIONS}
    return asked <= known and bool(sections["e"]["e"].value == ALLOW_AND_DENY_EFFECT)


def _parsed(matcher: str) -> ast.expr:
    return ast.parse(casbin_spelling(matcher).strip(), mode="eval").body


class Reference:
    """Answers single questions by `Enforcer.enforce_ex`.

    narrowed: give pycasbin only the rows whose resource, action, field and purpose fit (the matcher requires all), and only
    roles that the links reach.
    Without it every row of the stock files is evaluated and every role is tried, so nothing of ours takes part: that is for tests.
    """

    def __init__(self, bundle: Bundle, *, narrowed: bool) -> None:
        self._bundle = bundle
        self._narrowed = narrowed
        self._whole = enforcer(bundle.model.text, (row.text for row in bundle.rows))
        self._parts: dict[tuple[str, ...], casbin.Enforcer | None] = {}
        self._by_columns = {row.columns: row for row in bundle.rows if row.kind == "p"}
        self._all_roles = sorted({row.columns[1] for row in bundle.rows if row.kind == "g"})

    def verdict(
        self, party: Party, asked: Asked, res: str, act: str, name: str, cls: str
    ) -> tuple[Reason, Rule | None]:
        """Gives what the rows say about one action on one field (`-`: the record) for one party."""
        made = self._enforcer(res, act, asked.pur, (name, cls))
        if made is None:
            return Reason.NO_RULE, None
        reason, rule = Reason.NO_RULE, None
        for who, role in self._names(party, asked.dom):
            request = (
                dict(asked.sub),
                who,
                role,
                asked.dom,
                res,
                act,
                wide(act),
                name,
                cls,
                asked.pur,
                dict(asked.rec),
                dict(asked.env),
            )
            try:
                allowed, row = made.enforce_ex(*request)
            except Exception:  # noqa: BLE001 - whatever pycasbin meets in a condition, the answer is a denial
                return Reason.ENGINE_ERROR, None
            if allowed and reason is Reason.NO_RULE:
                reason, rule = Reason.RULE_ALLOWED, self._rule(row)
            elif not allowed and row:
                return Reason.RULE_DENIED, self._rule(row)
        return reason, rule

    def _rule(self, columns: Sequence[str]) -> Rule:
        row = self._by_columns[tuple(columns)]
        return Rule(POLICY_FILE, row.line, row.text)

    def _names(self, party: Party, unit: str) -> list[tuple[str, str]]:
        """Who and role of each of Casbin's requests."""
        holders = [party.id, *sorted(h.role for h in party.roles if h.unit in (unit, ANYWHERE))]
        if self._narrowed:
            return [(who, role) for who in holders for role in sorted(self._bundle.roles.assumed(who, unit))]
        return [(who, role) for who in holders for role in sorted({who, *self._all_roles})]

    def _enforcer(self, res: str, act: str, pur: str, names: tuple[str, str]) -> casbin.Enforcer | None:
        """Gives the stock enforcer, or one over fewer rows that shares its links; None where no row is left."""
        if not self._narrowed:
            return self._whole
        key = (res, act, pur, *names)
        if key not in self._parts:
            fitting = (res, ANY), (act, wide(act)), (*names, ANY), (pur, ANY)
            rows = [
                list(row.columns)
                for row in self._bundle.rows
                if row.kind == "p" and all(c in f for c, f in zip(row.columns[2:6], fitting, strict=True))
            ]
            if len(self._parts) >= MAX_PARTS:
                self._parts.clear()
            self._parts[key] = _over(self._whole, rows) if rows else None
        return self._parts[key]


def _over(whole: casbin.Enforcer, rows: list[list[str]]) -> casbin.Enforcer:
    """Gives an enforcer that shares everything but its rules."""
    made = copy.copy(whole)
    made.model = copy.copy(whole.model)
    rules = copy.copy(whole.model["p"]["p"])
    rules.policy = rows
    made.model.model = {**whole.model.model, "p": {"p": rules}}
    return made


class ReferenceQuestion:
    """A question asked of pycasbin, record by record: the same protocol as the compiled one, nothing worked out beforehand.

    early: never known. searchable: nothing, since a condition that cannot be read cannot be compared; nor is it known that all is seen.
    """

    def __init__(
        self,
        reference: Reference,
        bundle: Bundle,
        parties: tuple[Party, ...],
        action: str,
        purpose: str,
        resource: ResourceSpec,
    ) -> None:
        self._reference = reference
        self._parties = parties
        self._action = action
        self._purpose = purpose
        self._resource = resource
        self._res = resource_name(resource)
        self.facts = bundle.facts
        self.early: Outcome | None = None
        self.open = False
        self.searchable: frozenset[Pattern] = frozenset()
        self.sees_all = False
        self.roles: tuple[str, ...] = tuple(sorted({held.role for party in parties for held in party.roles}))

    def early_for(self, asked: Sequence[Asked]) -> Outcome | None:  # noqa: ARG002 # the protocol's
        """Nothing is known before the record."""
        return None

    def answer(self, asked: Sequence[Asked]) -> tuple[Outcome, tuple[str, ...]]:
        """Gives the outcome for a record, and the roles that the credentials hold."""
        rule: Rule | None = None
        pairs = list(zip(self._parties, asked, strict=True))
        for party, question in pairs:
            reason, rule = self._reference.verdict(party, question, self._res, self._action, RECORD, RECORD)
            if reason is not Reason.RULE_ALLOWED:
                return denial(reason, rule), self.roles
        read: dict[Pattern, Disclosure] = {}
        write: set[Pattern] = set()
        for spec in self._resource.fields:
            shown = Disclosure.CLEAR
            for party, question in pairs:
                shown = narrower(shown, self._disclosure(party, question, spec))
            if shown is not Disclosure.WITHHELD:
                read[spec.pattern] = shown
            if not spec.server_set and all(self._allowed(p, q, SET, spec) for p, q in pairs):
                write.add(spec.pattern)
        view = FieldView(MappingProxyType(read))
        return Outcome(Reason.RULE_ALLOWED, rule, view, frozenset(write)), self.roles

    def _disclosure(self, party: Party, asked: Asked, spec: FieldSpec) -> Disclosure:
        return next(
            (shown for act, shown in LADDER if self._allowed(party, asked, act, spec)), Disclosure.WITHHELD
        )

    def _allowed(self, party: Party, asked: Asked, act: str, spec: FieldSpec) -> bool:
        reason, _rule = self._reference.verdict(party, asked, self._res, act, spec.pattern, spec.cls.value)
        return reason is Reason.RULE_ALLOWED

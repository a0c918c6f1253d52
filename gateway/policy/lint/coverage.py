"""Beside the request path: which rules decide in at least one case. A rule that none reaches may say anything, and nobody would notice.

An allow has decided where it is the one that is named: for the record, for how a field is shown, for what may be set. A deny has where
it is what took something away that an allow would have given, or the whole record.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.policy.bundle import SET, Bundle, resource_name
from gateway.policy.condition import Asked
from gateway.policy.decider import COMPILED, Engine
from gateway.policy.facts import NOWHERE, plain, unit_of
from gateway.policy.finding import Finding, note
from gateway.policy.plan import LADDER, RECORD, FieldPlan, Query, effective_roles, party_plan
from gateway.policy.reference import Reference
from gateway.policy.source import POLICY_FILE
from gateway.words.access import Access
from gateway.words.decision import DecidedBy, Decision, Facts, Reason
from gateway.words.principal import Party
from gateway.words.resource import FieldSpec, ResourceSpec


@dataclass(slots=True)
class Coverage:
    """Gathers, question by question. lines: of rules that decided; roles: those that somebody in a case holds."""

    lines: set[int] = field(default_factory=set)
    roles: set[str] = field(default_factory=set)
    _reference: Reference | None = None

    def watch(
        self, engine: Engine, access: Access, resource: ResourceSpec, facts: Facts, decision: Decision
    ) -> None:
        """Takes one question of a case and how it was decided."""
        self.roles.update(decision.roles)
        if decision.by is not DecidedBy.BUNDLE or decision.rule is None:
            return
        self.lines.add(decision.rule.line)
        if decision.allowed:
            for party in access.principal.parties:
                self.lines |= self._of_party(engine, access, party, resource, facts)

    def _of_party(
        self, engine: Engine, access: Access, party: Party, resource: ResourceSpec, facts: Facts
    ) -> set[int]:
        bundle = engine.bundle
        asked = Asked(
            plain(facts, bundle.facts, bundle.sets),
            engine.subject(party, alone=access.principal.person is None),
            engine.environment(access.time),
            NOWHERE if access.purpose is None else access.purpose,
            unit_of(facts),
        )
        self.roles |= effective_roles(bundle, party, asked.dom)
        if engine.name == COMPILED:
            return _compiled(bundle, party, access.action, asked, resource)
        if self._reference is None:
            self._reference = Reference(bundle, narrowed=True)
        return _referred(self._reference, party, access.action, asked, resource)

    def uncovered(self, bundle: Bundle) -> Iterator[Finding]:
        """Gives each rule that decided in no case."""
        for line in bundle.rules.lines:
            if line.rule.line not in self.lines:
                yield note(
                    POLICY_FILE,
                    line.rule.line,
                    "no case is decided by this rule",
                    "It could be changed or lost, and every case would still hold",
                    "Write a case that it alone allows or denies",
                    rule="uncovered",
                )


def _compiled(bundle: Bundle, party: Party, action: str, asked: Asked, resource: ResourceSpec) -> set[int]:
    plan = party_plan(bundle, party, asked.dom, action, asked.pur, resource)
    vector = plan.vector(asked)
    lines: set[int] = set()

    def decided(query: Query) -> Reason:
        reason, rule = query.verdict(vector)
        if rule is not None:
            lines.add(rule.line)
        return reason

    def shown(named: FieldPlan) -> None:
        for query, _disclosure in named.rungs:
            if query.allows and decided(query) is Reason.RULE_ALLOWED:
                return

    decided(plan.record)
    for named in plan.fields:
        shown(named)
        if named.set.allows and not named.spec.server_set:
            decided(named.set)
    return lines


def _referred(
    reference: Reference, party: Party, action: str, asked: Asked, resource: ResourceSpec
) -> set[int]:
    res = resource_name(resource)
    lines: set[int] = set()

    def decided(act: str, name: str, cls: str) -> Reason:
        reason, rule = reference.verdict(party, asked, res, act, name, cls)
        if rule is not None:
            lines.add(rule.line)
        return reason

    def shown(spec: FieldSpec) -> None:
        for act, _disclosure in LADDER:
            if decided(act, spec.pattern, spec.cls.value) is Reason.RULE_ALLOWED:
                return

    decided(action, RECORD, RECORD)
    for spec in resource.fields:
        shown(spec)
        if not spec.server_set:
            decided(SET, spec.pattern, spec.cls.value)
    return lines

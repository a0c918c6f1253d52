"""Service, inside: an explanation as a document for programs. Pure; every member is a name, a number or a fact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.policy.bundle import resource_name
from gateway.policy.why import Change, Explanation, FieldSaid, Near, where
from gateway.words.decision import Rule


def document(said: Explanation) -> dict[str, Any]:
    """Gives the explanation as plain JSON values, for administrators."""
    access, decision = said.posed.access, said.decision
    person = access.principal.person
    return {
        "allowed": said.allowed,
        "reason": decision.reason.value,
        "by": decision.by.value,
        "rule": _at(decision.rule),
        "bundle": decision.bundle,
        "engine": decision.engine,
        "whole": said.whole,
        "application": access.principal.application.id,
        "person": None if person is None else person.id,
        "action": access.action,
        "purpose": access.purpose,
        "resource": resource_name(said.posed.resource),
        "parties": [
            {"party": v.party, "roles": list(v.roles), "reason": v.reason.value, "rule": _at(v.rule)}
            for v in said.verdicts
        ],
        "rules": [
            {"party": h.party, **_rule(h.rule, allows=h.allows), "failed": h.failed} for h in said.rules
        ],
        "near": [_near(near) for near in said.near],
        "facts": [{"name": seen.name, "value": _plain(seen.value), "fit": seen.fit} for seen in said.facts],
        "fields": [_field(field) for field in said.fields],
        "ways": [[_change(change) for change in way] for way in said.ways],
    }


def _near(near: Near) -> dict[str, Any]:
    return {
        "party": near.party,
        **_rule(near.rule, allows=near.allows),
        "failed": near.column.value,
        "wanted": near.wanted,
        "found": _found(near.found),
        "change": None if near.change is None else _change(near.change),
    }


def _field(field: FieldSaid) -> dict[str, Any]:
    return {
        "field": field.pattern,
        "class": field.cls.value,
        "shown": field.shown.word,
        "why": field.why.value,
        "parties": [
            {"party": p.party, "shown": p.shown.word, "why": p.why.value, "rule": _at(p.rule)}
            for p in field.parties
        ],
        "settable": field.settable,
        "set_why": field.set_why.value,
        "set_rule": _at(field.set_rule),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind.value,
        "name": change.name,
        "value": _plain(change.value),
        "party": change.party,
        "unit": change.unit,
    }


def _rule(rule: Rule, *, allows: bool) -> dict[str, Any]:
    return {"rule": where(rule), "text": rule.text, "effect": "allow" if allows else "deny"}


def _at(rule: Rule | None) -> str | None:
    return None if rule is None else where(rule)


def _found(found: Mapping[str, object]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in found.items()}


def _plain(value: object) -> Any:
    return list(value) if isinstance(value, tuple) else value

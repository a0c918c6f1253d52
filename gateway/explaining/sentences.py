"""Service, inside: an explanation in sentences for administrators, and after them what the caller himself is told. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.policy.bundle import resource_name
from gateway.policy.why import Change, Column, Explanation, Kind, Near, Said, Why, where
from gateway.text import Language, text
from gateway.text.problems import told_text
from gateway.words.decision import DecidedBy, Disclosure, Rule

_NEAR = {
    Column.ROLE: "explain.near.role",
    Column.UNIT: "explain.near.unit",
    Column.PURPOSE: "explain.near.purpose",
    Column.CONDITION: "explain.near.condition",
}
_CHANGE = {
    Kind.PURPOSE: "explain.change.purpose",
    Kind.CREDENTIAL: "explain.change.credential",
    Kind.TIME: "explain.change.time",
    Kind.ROLE: "explain.change.role",
    Kind.ATTRIBUTE: "explain.change.attribute",
    Kind.FACT: "explain.change.fact",
}
_WHY = {
    Why.RULE: "explain.why.rule",
    Why.DEFAULT: "explain.why.default",
    Why.FORBIDDEN: "explain.why.forbidden",
    Why.UNANSWERABLE: "explain.why.unanswerable",
    Why.NARROWED: "explain.why.narrowed",
    Why.SERVER_SET: "explain.why.server-set",
    Why.DENIED: "explain.why.denied",
}
_SHOWN = {
    Disclosure.CLEAR: "explain.shown.clear",
    Disclosure.MASKED: "explain.shown.masked",
    Disclosure.TOKEN: "explain.shown.token",
    Disclosure.WITHHELD: "explain.shown.withheld",
}


def sentences(said: Explanation, language: Language) -> list[str]:
    """Gives the full text, a sentence a line. It names rules, roles and facts, so it is not the caller's to read."""
    return list(_Told(said, language).lines())


class _Told:
    def __init__(self, said: Explanation, language: Language) -> None:
        self._said = said
        self._language = language

    def _text(self, key: str, **params: str | int) -> str:
        return text(key, self._language, **params)

    def lines(self) -> Iterator[str]:
        """Gives every line, in the order in which one asks."""
        said, access = self._said, self._said.posed.access
        yield self._text(
            "explain.allowed" if said.allowed else "explain.denied",
            who=", ".join(party.id for party in access.principal.parties),
            action=access.action,
            purpose=access.purpose or "-",
            resource=resource_name(said.posed.resource),
        )
        yield self._decided()
        if not said.whole:
            yield self._text("explain.not-whole", engine=said.decision.engine)
        for verdict in said.verdicts:
            yield self._text("explain.roles", party=verdict.party, roles=", ".join(verdict.roles) or "-")
        for heard in said.rules:
            key = "explain.failed" if heard.failed else "explain.applied"
            yield self._text(key, party=heard.party, rule=where(heard.rule), text=heard.rule.text)
        for near in said.near:
            # Of what is allowed every wider role nearly shows more: the document names them all.
            if not (said.allowed and near.column is Column.ROLE):
                yield self._near(near)
        for seen in said.facts:
            value = self._value(seen.value) if seen.fit else self._text("explain.unfit")
            yield self._text("explain.fact", name=seen.name, value=value)
        if said.allowed:
            yield from self._fields()
        else:
            yield from self._ways()
            yield self._text("explain.caller", text=told_text(said.told, self._language))

    def _decided(self) -> str:
        decision = self._said.decision
        if decision.by is DecidedBy.FLOOR:
            return self._text("explain.floor", reason=decision.reason.value)
        return self._text("explain.bundle", reason=decision.reason.value, rule=self._at(decision.rule))

    def _near(self, near: Near) -> str:
        if near.column is Column.ROLE:
            (held,) = near.found.values()
            found = ", ".join(held) if isinstance(held, tuple) and held else self._text("explain.nowhere")
        else:
            found = "; ".join(f"{name} = {self._value(value)}" for name, value in near.found.items())
        return self._text(
            _NEAR[near.column],
            party=near.party,
            rule=where(near.rule),
            text=near.rule.text,
            wanted=near.wanted,
            found=found,
        )

    def _fields(self) -> Iterator[str]:
        for field in self._said.fields:
            by = next((p.rule for p in reversed(field.parties) if p.shown is field.shown and p.rule), None)
            parties = "; ".join(
                f"{p.party}: {self._text(_SHOWN[p.shown])} ({self._at(p.rule)})" for p in field.parties
            )
            why = self._text(_WHY[field.why], rule=self._at(by), parties=parties)
            shown = self._text(_SHOWN[field.shown])
            yield self._text("explain.field", field=field.pattern, shown=shown, why=why)

    def _ways(self) -> Iterator[str]:
        if not self._said.ways:
            yield self._text("explain.no-way")
        for way in self._said.ways:
            yield self._text("explain.way", changes=" + ".join(self._change(change) for change in way))

    def _change(self, change: Change) -> str:
        return self._text(
            _CHANGE[change.kind],
            name=change.name,
            value=self._value(change.value),
            party=change.party,
            unit=change.unit,
        )

    def _at(self, rule: Rule | None) -> str:
        return self._text("explain.no-rule") if rule is None else where(rule)

    def _value(self, value: Said) -> str:
        if isinstance(value, tuple):
            return "[" + ", ".join(value) + "]"
        return self._text("explain.absent") if value is None else str(value)

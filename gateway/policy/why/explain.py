"""Beside step 5: why a question comes out as it does, and what would have to be otherwise. Pure, and no part of the hot path.

The engine decides; the rules are then read once more, one by one, and what they say must be what the engine said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations, islice

from gateway.policy.bundle import SET, Bundle, Line
from gateway.policy.condition import Uncomparable
from gateway.policy.decider import COMPILED, Engine, prepare, told
from gateway.policy.facts import NOWHERE
from gateway.policy.plan import LADDER, RECORD
from gateway.policy.why.explanation import (
    Change,
    Explanation,
    FieldSaid,
    Heard,
    Kind,
    Near,
    PartyShown,
    PartyVerdict,
    Posed,
    Seen,
    Why,
)
from gateway.policy.why.nearly import nearly
from gateway.policy.why.otherwise import changes, posed_so, role_unit
from gateway.policy.why.reading import Hearing, Verdict, about, hearings, holds, pool, verdict
from gateway.words.decision import DecidedBy, Decision, Disclosure, Reason, Rule, narrower
from gateway.words.resource import FieldSpec

MAX_WAYS = 5
MAX_TRIED = 80  # single changes
MAX_PAIRS = 1_500  # of two changes that are tried together
_KINDS = tuple(Kind)


def explain(engine: Engine, posed: Posed) -> Explanation:
    """Gives why the engine decides this question so, on these facts. Never changes anything, asks nobody and raises nothing.

    Promises: `decision` is the engine's own, and rules, verdicts and fields say the same; where they would not, because the bundle runs
    on pycasbin, they are absent and `whole` is False. Each of `ways` was decided again: the engine allows it.
    """
    decision = decided(engine, posed)
    callers = told(engine, posed.access, posed.resource)
    heard = _hearings(engine, posed, decision)
    if heard is None:
        ways = _ways(engine, posed, ()) if not decision.allowed else ()
        return Explanation(posed, decision, False, (), (), (), _facts(posed, ()), (), ways, callers)
    lines = pool(engine.bundle, posed.resource, posed.access.action)
    own = about(lines, posed.access.action, (RECORD,))
    verdicts = [verdict(hearing, own) for hearing in heard]
    fields = tuple(_field(spec, heard, lines, decision.allowed) for spec in posed.resource.fields)
    whole = decision.by is DecidedBy.FLOOR or _agrees(decision, verdicts, fields)
    near = _near(engine, posed, heard, verdicts, lines if decision.allowed else own)
    return Explanation(
        posed=posed,
        decision=decision,
        whole=whole,
        verdicts=tuple(
            PartyVerdict(h.party.id, tuple(sorted(h.roles)), v.reason, v.rule)
            for h, v in zip(heard, verdicts, strict=True)
        )
        if whole
        else (),
        rules=tuple(_spoke(heard, verdicts)) if whole else (),
        near=near if whole else (),
        facts=_facts(posed, _applying(heard, lines if decision.allowed else own)),
        fields=fields if whole else (),
        ways=() if decision.allowed else _ways(engine, posed, _tries(engine.bundle, heard, own, near)),
        told=callers,
    )


def decided(engine: Engine, posed: Posed) -> Decision:
    """Gives the engine's own decision."""
    return prepare(engine, posed.access, posed.resource, 0).decide(posed.facts)


def _hearings(engine: Engine, posed: Posed, decision: Decision) -> tuple[Hearing, ...] | None:
    """Gives each party's side, None where no rule was asked or none can be read by us."""
    if engine.name != COMPILED or decision.reason is Reason.PURPOSE_NOT_HELD:
        return None
    try:
        return hearings(engine, posed, posed.access.purpose or NOWHERE)
    except (
        Uncomparable,
        ValueError,
    ):  # the record's unit is none, or a time without a zone: the engine denied for the same
        return None


def _spoke(heard: Sequence[Hearing], verdicts: Sequence[Verdict]) -> Iterable[Heard]:
    for hearing, said in zip(heard, verdicts, strict=True):
        yield from (Heard(hearing.party.id, line.rule, line.allows) for line in said.spoke)
        yield from (Heard(hearing.party.id, line.rule, line.allows, failed=True) for line in said.failed)


def _agrees(decision: Decision, verdicts: Sequence[Verdict], fields: Sequence[FieldSaid]) -> bool:
    """True where what was read says what the engine said: the same reason and rule, and of every field the same."""
    first = next((v for v in verdicts if v.reason is not Reason.RULE_ALLOWED), verdicts[-1])
    if (first.reason, first.rule) != (decision.reason, decision.rule):
        return False
    return all(
        said.shown is decision.read.of(said.pattern) and said.settable == (said.pattern in decision.write)
        for said in fields
    )


def _field(spec: FieldSpec, heard: Sequence[Hearing], lines: Sequence[Line], allowed: bool) -> FieldSaid:
    names = (spec.pattern, spec.cls.value)
    if not allowed:
        nothing = Disclosure.WITHHELD
        return FieldSaid(spec.pattern, spec.cls, nothing, Why.DENIED, (), settable=False, set_why=Why.DENIED)
    parties = tuple(_party_shown(hearing, lines, names) for hearing in heard)
    shown = Disclosure.CLEAR
    for party in parties:
        shown = narrower(shown, party.shown)
    widest = min(parties, key=lambda party: party.shown)
    same = next((party for party in reversed(parties) if party.shown is shown), None)
    why = Why.NARROWED if same is None or widest.shown is not shown else same.why
    sets = [verdict(hearing, about(lines, SET, names)) for hearing in heard]
    refusing = next((said for said in sets if said.reason is not Reason.RULE_ALLOWED), None)
    return FieldSaid(
        pattern=spec.pattern,
        cls=spec.cls,
        shown=shown,
        why=why,
        parties=parties,
        settable=refusing is None and not spec.server_set,
        set_why=Why.SERVER_SET if spec.server_set else _why(sets[-1] if refusing is None else refusing),
        set_rule=None if spec.server_set else (sets[-1] if refusing is None else refusing).rule,
    )


def _party_shown(hearing: Hearing, lines: Sequence[Line], names: tuple[str, ...]) -> PartyShown:
    """The first rung that is allowed; where none is, the first that something stood against."""
    against: Verdict | None = None
    for act, shown in LADDER:
        said = verdict(hearing, about(lines, act, names))
        if said.reason is Reason.RULE_ALLOWED:
            return PartyShown(hearing.party.id, shown, Why.RULE, said.rule)
        if against is None and said.reason is not Reason.NO_RULE:
            against = said
    why = Why.DEFAULT if against is None else _why(against)
    rule = None if against is None else against.rule
    return PartyShown(hearing.party.id, Disclosure.WITHHELD, why, rule)


def _why(said: Verdict) -> Why:
    return {
        Reason.RULE_ALLOWED: Why.RULE,
        Reason.RULE_DENIED: Why.FORBIDDEN,
        Reason.ENGINE_ERROR: Why.UNANSWERABLE,
    }.get(said.reason, Why.DEFAULT)


def _near(
    engine: Engine,
    posed: Posed,
    heard: Sequence[Hearing],
    verdicts: Sequence[Verdict],
    lines: Sequence[Line],
) -> tuple[Near, ...]:
    """Rules that one thing kept from applying: for whoever is denied those that would have allowed, where all are allowed any.

    A change that would not make a rule apply after all is not named.
    """
    purposes = posed.access.principal.purposes
    by_rule = {line.rule: line for line in lines}
    denied = [said.reason is not Reason.RULE_ALLOWED for said in verdicts]
    found: list[Near] = []
    for at, hearing in enumerate(heard):
        if any(denied) and not denied[at]:
            continue
        for near in nearly(hearing, [line for line in lines if line.allows or not any(denied)], purposes):
            good = near.change is None or _applies(engine, posed, near.change, at, by_rule[near.rule])
            found.append(near if good else _without(near))
    return tuple(found)


def _without(near: Near) -> Near:
    return Near(near.party, near.rule, near.allows, near.column, near.wanted, near.found, None)


def _applies(engine: Engine, posed: Posed, change: Change, party: int, line: Line) -> bool:
    so = posed_so(posed, change, engine.bundle)
    hearing = hearings(engine, so, so.access.purpose or NOWHERE)[party]
    return hearing.columns(line) and holds(line.condition, hearing.asked) is True


def _applying(heard: Sequence[Hearing], lines: Sequence[Line]) -> Iterable[Line]:
    return (line for line in lines if any(hearing.columns(line) for hearing in heard))


def _facts(posed: Posed, lines: Iterable[Line]) -> tuple[Seen, ...]:
    """The facts that the rules looked at, the unit among them: every rule asks for it."""
    names = {"unit"}.union(*(line.condition.facts for line in lines))
    facts = posed.facts
    return tuple(
        Seen(name, None, fit=False) if name in facts.unfit else Seen(name, facts.values.get(name))
        for name in sorted(names)
    )


# ── what would allow it ──────────────────────────────────────────────────────────────────────────────────────────────


def _tries(
    bundle: Bundle, heard: Sequence[Hearing], own: Sequence[Line], near: Sequence[Near]
) -> Iterable[Change]:
    """Changes worth trying: what would make an allow apply, and what would keep a deny from applying. The likeliest first."""
    for one in near:
        if one.allows and one.change is not None and not _strange(bundle, one.change):
            yield one.change
    for hearing in heard:
        for line in own:
            if (
                not line.allows
                and hearing.columns(line)
                and holds(line.condition, hearing.asked) is not False
            ):
                yield from changes(line.condition, hearing.asked, hearing.party.id, wanted=False)
    held = {role.unit for hearing in heard for role in hearing.party.roles}
    units = sorted({line.unit for line in own} | held | bundle.vocabulary.units.keys())
    yield from (Change(Kind.FACT, "unit", unit) for unit in units if ":" in unit)
    for hearing in heard:
        allows = [line for line in own if line.allows]
        for role in dict.fromkeys(line.role for line in allows):
            change = Change(Kind.ROLE, "role", role, hearing.party.id, role_unit(hearing.asked.dom))
            if role not in hearing.roles and not _strange(bundle, change):
                yield change
        for line in allows:
            if holds(line.condition, hearing.asked) is not True:
                yield from changes(line.condition, hearing.asked, hearing.party.id, wanted=True)


def _strange(bundle: Bundle, change: Change) -> bool:
    """True for a role that only others hold: an application's ceiling is nothing to give to a person."""
    if change.kind is not Kind.ROLE:
        return False
    holders = {
        row.columns[0].partition(":")[0]
        for row in bundle.rows
        if row.kind == "g" and row.columns[1] == change.value and not row.columns[0].startswith("role:")
    }
    return bool(holders) and change.party.partition(":")[0] not in holders


def _ways(engine: Engine, posed: Posed, tries: Iterable[Change]) -> tuple[tuple[Change, ...], ...]:
    """Gives the smallest changes under which the engine allows: single ones, else pairs of them; nothing where a floor denies."""
    if posed.facts.floors.erased:
        return ()
    bundle, principal = engine.bundle, posed.access.principal
    held = principal.purposes & bundle.vocabulary.purposes.keys()
    purposes = [
        Change(Kind.PURPOSE if name in held else Kind.CREDENTIAL, "purpose", name)
        for name in bundle.vocabulary.purposes
        if not (name == posed.access.purpose and name in held)
    ]
    singles = list(dict.fromkeys([*purposes, *islice(tries, MAX_TRIED)]))
    singles.sort(key=_size)
    found: list[tuple[Change, ...]] = [(one,) for one in singles if _allows(engine, posed, one)]
    if not found:
        pairs = sorted(combinations(singles, 2), key=lambda pair: _size(*pair))
        allowing = (pair for pair in pairs[:MAX_PAIRS] if _allows(engine, posed, *pair))
        found.extend(islice(allowing, MAX_WAYS))
    return tuple(found[:MAX_WAYS])


def _size(*changed: Change) -> int:
    return sum(1 + _KINDS.index(change.kind) for change in changed)


def _allows(engine: Engine, posed: Posed, *changed: Change) -> bool:
    for change in changed:
        posed = posed_so(posed, change, engine.bundle)
    return decided(engine, posed).allowed


def where(rule: Rule) -> str:
    """Gives where a rule stands, as an administrator looks for it: `policy.csv:12`."""
    return f"{rule.file}:{rule.line}"

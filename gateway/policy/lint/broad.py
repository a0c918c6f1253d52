"""Beside the request path: rules that give much to many, and roles that nothing gives to anyone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.policy.bundle import ANY, SHOW_CLEAR, Bundle, Line, wide
from gateway.policy.finding import Finding, note, warning
from gateway.policy.known import Known
from gateway.policy.lint.terms import Term, implies, term_of
from gateway.policy.source import POLICY_FILE
from gateway.words.principal import ANYWHERE
from gateway.words.resource import PERSONAL

_ALONE = term_of("r.sub.alone == True")
_EITHER = {"r.sub.alone": (False, True)}


def broad(bundle: Bundle, ground: Known) -> Iterator[Finding]:
    """Gives each allow that shows personal data in clear for every purpose, everywhere and whatever the record.

    An application's ceiling is none: a role that may do nothing on the resource without a person, and that no person has. There the
    person's own rules decide.
    """
    ceilings = _Ceilings(bundle, ground)
    for line in bundle.rules.lines:
        if not (line.allows and line.act == SHOW_CLEAR and line.pur == ANY and line.unit == ANY):
            continue
        if line.condition.always and _personal(line, ground) and not ceilings.over(line.role, line.res):
            yield warning(
                POLICY_FILE,
                line.rule.line,
                f"`{line.field}` of every `{line.res}` in clear, for every purpose",
                f"Whoever gets `{line.role}` reads all of it, and a purpose that is added later opens it too",
                "Name the purposes; then the fields that are needed, a unit, a condition, or `show:masked`",
                rule="broad-personal",
            )


def _personal(line: Line, ground: Known) -> bool:
    fields = ground.resources[line.res].fields
    return any(f.cls in PERSONAL for f in fields if line.field in (f.pattern, f.cls.value))


class _Ceilings:
    """Which roles are an application's ceiling on which resources."""

    def __init__(self, bundle: Bundle, ground: Known) -> None:
        self._ground = ground
        self._bundle = bundle
        self._denies: dict[str, list[Line]] = {}
        self._terms: dict[str, Term] = {}
        for line in bundle.rules.lines:
            if not line.allows and line.unit == ANY and line.pur == ANY and line.field in ("-", ANY):
                self._denies.setdefault(line.role, []).append(line)
        self._of_people: frozenset[str] | None = None
        self._known: dict[tuple[str, str], bool] = {}

    def over(self, role: str, res: str) -> bool:
        """True where everything on the resource is denied to the role when the application acts alone, and no person has it."""
        key = role, res
        if key not in self._known:
            denied = {
                line.act
                for held in self._bundle.roles.effective(role, ANYWHERE)
                for line in self._denies.get(held, ())
                if line.res in (res, ANY) and self._holds_back(line)
            }
            actions = self._ground.actions[res]
            self._known[key] = all({action, wide(action)} & denied for action in actions) and (
                role not in self._people()
            )
        return self._known[key]

    def _holds_back(self, line: Line) -> bool:
        text = line.condition.text
        if text not in self._terms:
            self._terms[text] = term_of(text)
        return implies(_ALONE, self._terms[text], _EITHER)

    def _people(self) -> frozenset[str]:
        if self._of_people is None:
            self._of_people = reached(self._bundle, ("person:",))
        return self._of_people


def reached(bundle: Bundle, prefixes: tuple[str, ...]) -> frozenset[str]:
    """Gives every role that a chain of links, whatever their units, leads to from a member whose name begins so."""
    arrows: dict[str, list[str]] = {}
    for row in bundle.rows:
        if row.kind == "g":
            arrows.setdefault(row.columns[0], []).append(row.columns[1])
    seen = {name for name in arrows if name.startswith(prefixes)}
    edge = list(seen)
    while edge:
        edge = [role for role in {far for name in edge for far in arrows.get(name, ())} if role not in seen]
        seen.update(edge)
    return frozenset(seen)


def unheld(bundle: Bundle, held_in_cases: Iterable[str]) -> Iterator[Finding]:
    """Gives each role with rules that no link leads to from anyone and that no principal of a case holds; told at its first rule."""
    held = reached(bundle, ("person:", "app:", "system:")) | frozenset(held_in_cases)
    told: set[str] = set()
    for line in bundle.rules.lines:
        if line.role not in held and line.role not in told:
            told.add(line.role)
            yield note(
                POLICY_FILE,
                line.rule.line,
                f"no link leads anyone to `{line.role}`, and nobody in a case holds it",
                "Its rules decide only for whom a credential names it",
                "Give it to somebody, write a case for it, or remove its rules",
                rule="role-unheld",
            )

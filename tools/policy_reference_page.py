"""Writes docs/policy-reference.md: every name that a rule may use, with an example of each, from the code and the shipped catalogue.

The sentences stand in policy_sentences; which names there are says the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.catalogue import load
from gateway.policy.known import Known, known
from gateway.words.resource import FieldSpec, Holds, Verb
from tools.policy_sentences import (
    ATTRIBUTE,
    CONTROL,
    DENIED,
    EFFECTS,
    ENVIRONMENT,
    FUNCTIONS,
    LINKS,
    NARROWING,
    QUESTION,
    RIGHTS,
    RULE,
    SUBJECT,
    VERBS,
    Asked,
    Function,
    Values,
)

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "policy-reference.md"


def catalogued() -> Known:
    """Gives what the shipped catalogue and the control plane name."""
    return known(load(ROOT / "policies" / "catalogue", allowed_hosts=frozenset()))


def facts(ground: Known) -> dict[str, Asked]:
    """Gives every fact of the catalogue."""
    found: dict[str, list[tuple[str, FieldSpec]]] = {}
    for resource, spec in ground.resources.items():
        for field in spec.fields:
            if field.fact is not None:
                found.setdefault(field.fact, []).append((resource, field))
    return {name: _fact(name, places) for name, places in sorted(found.items())}


def _fact(name: str, places: list[tuple[str, FieldSpec]]) -> Asked:
    resource, field = places[0]
    where = ", ".join(f"`{one.pattern}` of {resource}" for resource, one in places)
    listed = f": one of {', '.join(f'`{value}`' for value in field.values)}" if field.values else ""
    kind = " (texts)" if field.holds is Holds.TEXTS else ""
    value = field.values[0] if field.values else "branch:shanghai" if name == "unit" else "example"
    several = field.holds is Holds.TEXTS
    example = f'"{value}" in r.rec.{name}' if several else f'r.rec.{name} == "{value}"'
    yes: Values = {f"rec.{name}": (value,) if several else value}
    return Asked(f"What stands in {where}{kind}{listed}.", example, yes, {}, resource)


def actions(ground: Known) -> dict[tuple[str, str], str]:
    """Gives every action by its resource, with what it is."""
    routes: dict[tuple[str, str], list[str]] = {}
    does: dict[tuple[str, str], Verb] = {}
    shipped = load(ROOT / "policies" / "catalogue", allowed_hosts=frozenset())
    for upstream in shipped.upstreams.values():
        for route in upstream.routes:
            at = (f"{upstream.name}/{route.resource}", route.action)
            does[at] = route.verb
            routes.setdefault(at, []).append(f"`{route.method} {upstream.prefix}/{'/'.join(route.template)}`")
    return {
        (
            resource,
            action,
        ): f"{VERBS[does[resource, action]]}: {', '.join(dict.fromkeys(routes[resource, action]))}."
        if (resource, action) in routes
        else CONTROL[action]
        for resource in ground.resources
        for action in sorted(ground.actions[resource])
    }


def row(resource: str, action: str, field: str = "-", condition: str = "True", effect: str = "allow") -> str:
    """Gives a rule as it stands in policy.csv."""
    return f"p, role:clerk, *, {resource}, {action}, {field}, *, {condition}, {effect}"


def page() -> str:
    """Gives the page as it should be."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    ground = catalogued()
    yield "# Policy reference"
    yield ""
    yield "Every name that a rule may use. Made from the code and the shipped catalogue by"
    yield "`python -m tools.policy_reference_page`; each example is run by a test. [policy.md](policy.md) says how rules, roles"
    yield "and conditions work together, [policy-guide.md](policy-guide.md) writes a policy from an empty folder."
    yield ""
    yield "## Actions"
    yield ""
    yield "The fourth column of a rule. Those of the records are the catalogue's, those of `gatehouse/…` the control plane's."
    yield ""
    yield from _table("resource", "action", "what it is", "example")
    for (resource, action), says in actions(ground).items():
        yield f"| {resource} | `{action}` | {says} | `{row(resource, action)}` |"
    for action, says in DENIED.items():
        field = "*" if action.startswith("show") else "-"
        yield f"| any | `{action}` | {says} | `{row('crm/customer', action, field, effect='deny')}` |"
    yield ""
    yield "## How a field is shown, and what may be set"
    yield ""
    yield "The fourth column too, with a class or a field in the fifth. What no rule shows is withheld."
    yield ""
    yield from _table("right", "what it is", "example")
    for name, right in RIGHTS.items():
        action, field = right.example.split(", ")
        yield f"| `{name}` | {right.says} | `{row('crm/customer', action, field)}` |"
    yield ""
    yield "## Effects"
    yield ""
    yield from _table("effect", "what it does", "example")
    for effect, says in EFFECTS.items():
        yield f"| `{effect}` | {says} | `{row('crm/customer', 'customer:read', effect=effect)}` |"
    yield ""
    yield "## Facts and what else a condition may ask for"
    yield ""
    yield "The eighth column. The facts are those of the shipped catalogue (`fact:` in its fields); another catalogue has others."
    yield ""
    yield from _table("name", "what it is", "example", "holds for", "and not for")
    for name, asked in conditions(ground).items():
        yes, no = (_told(values) for values in (asked.yes, asked.no))
        yield f"| `{name}` | {asked.says} | `{asked.example}` | {yes} | {no} |"
    yield ""
    yield "## Functions"
    yield ""
    yield "A condition of a bundle calls none. The shipped matcher may be narrowed by one:"
    yield ""
    yield from _table("function", "what it says", "example", "holds for", "and not for")
    yield _function("regexMatch", NARROWING)
    yield ""
    yield "Stock models, which `gatehouse policy decide` answers for, have these ([policy-engine.md](policy-engine.md));"
    yield "`--portable` says which of them Go and Node read otherwise. The examples stand in a model of one value, `r = obj`,"
    yield f"with `{LINKS.strip()}` and the rule `{RULE.strip()}`."
    yield ""
    yield from _table("function", "what it says", "example", "holds for", "and not for")
    for name, function in FUNCTIONS.items():
        yield _function(name, function)


def conditions(ground: Known) -> dict[str, Asked]:
    """Gives everything that a condition may ask for, by its whole name."""
    return {
        **{f"r.rec.{name}": asked for name, asked in facts(ground).items()},
        **{f"r.sub.{name}": asked for name, asked in SUBJECT.items()},
        "r.sub.NAME": ATTRIBUTE,
        **{f"r.env.{name}": asked for name, asked in ENVIRONMENT.items()},
        **QUESTION,
    }


def _function(name: str, function: Function) -> str:
    example = function.example.replace("|", "\\|")
    return f"| `{name}` | {function.says} | `{example}` | `{function.yes}` | `{function.no}` |"


def _told(values: Values) -> str:
    if not values:
        return "nothing of this in the question"
    return ", ".join(_part(name, value) for name, value in values.items())


def _part(name: str, value: object) -> str:
    match name, value:
        case "day", int(day):
            return f"`2026-11-{day:02}`, a {('Sunday', 'Monday')[day - 1]}"
        case "person", _:
            return "somebody whom it acts for"
        case _, tuple(texts):
            return f"`{name}` with `{', '.join(map(str, texts))}`"
    return f"`{name}` = `{value}`"


def _table(*heads: str) -> list[str]:
    return [f"| {' | '.join(heads)} |", f"| {' | '.join('---' for _ in heads)} |"]


if __name__ == "__main__":
    PAGE.write_text(page())

"""Writes docs/policy-reference.md: every name that a rule may use, with an example of each, from the code and the shipped catalogue.

The sentences stand here; which names there are says the code. tests/docs/test_policy_reference.py runs every example and refuses a
name without its sentence, and a sentence without its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.catalogue import load
from gateway.policy.known import Known, known
from gateway.words.decision import Disclosure
from gateway.words.resource import FieldSpec, Holds, Verb

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "policy-reference.md"

Values = Mapping[str, str | int | bool | tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Function:
    """example holds for `r.obj` = yes and not for no."""

    says: str
    example: str
    yes: str
    no: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A name in a condition: example holds where the question is as in yes, and not as in no (names as in a condition)."""

    says: str
    example: str
    yes: Values
    no: Values
    resource: str = "crm/customer"


@dataclass(frozen=True, slots=True)
class Right:
    """A column of an action's row: the example lets one field be shown or set as is said."""

    says: str
    example: str


FUNCTIONS: Mapping[str, Function] = {
    "keyMatch": Function(
        "A path that begins as the pattern does before its first `*`.",
        "keyMatch(r.obj, '/data/*')",
        "/data/1/2",
        "/date/1",
    ),
    "keyMatch2": Function(
        "The same for whole segments, where `:name` is any one of them.",
        "keyMatch2(r.obj, '/data/:id')",
        "/data/1",
        "/data/1/2",
    ),
    "keyMatch3": Function(
        "The same, written `{name}`.", "keyMatch3(r.obj, '/data/{id}')", "/data/1", "/data/1/2"
    ),
    "keyMatch4": Function(
        "The same, where one name stands for one value.",
        "keyMatch4(r.obj, '/a/{id}/b/{id}')",
        "/a/1/b/1",
        "/a/1/b/2",
    ),
    "keyMatch5": Function(
        "As keyMatch3, without what follows a `?` in the path.",
        "keyMatch5(r.obj, '/data/{id}')",
        "/data/1?page=2",
        "/data/1/2",
    ),
    "regexMatch": Function(
        "A regular expression, which has to begin where the text begins.",
        "regexMatch(r.obj, '^(GET|PUT)$')",
        "PUT",
        "PUTS",
    ),
    "globMatch": Function(
        "A pattern as a shell knows it: `*` stays within one segment.",
        "globMatch(r.obj, '/data/*')",
        "/data/1",
        "/data/1/2",
    ),
    "ipMatch": Function(
        "An address, or one within a network.", "ipMatch(r.obj, '10.0.0.0/8')", "10.1.2.3", "11.1.2.3"
    ),
    "timeMatch": Function(
        "The machine's clock is behind the first time and before the second; `_` leaves one open.",
        "timeMatch(r.obj, '2999-01-01 00:00:00')",
        "2020-01-01 00:00:00",
        "2998-01-01 00:00:00",
    ),
    "g": Function(
        "Somebody holds a role, or is it (`g2` …: links of another kind).",
        "g(r.obj, 'admin')",
        "alice",
        "bob",
    ),
    "eval": Function(
        "What stands in that column of the rule, as a condition.", "eval(p.rule)", "data1", "data2"
    ),
}
LINKS, RULE = "g, alice, admin\n", "p, r.obj == 'data1'\n"

NARROWING = Function(
    "A part that may be added to the shipped matcher: one value of the request, one pattern from `^` to `$`.",
    'regexMatch(r.sub.id, "^app:.*$")',
    "app:desk",
    "person:https://id.example#li.wei",
)

SUBJECT: Mapping[str, Asked] = {
    "id": Asked(
        "Who asks: the party's id, `person:issuer#subject` or `app:name`.",
        "r.sub.id == r.rec.owner",
        {"rec.owner": "app:desk"},
        {"rec.owner": "app:other"},
    ),
    "alone": Asked("True where an application acts for nobody.", "r.sub.alone == True", {}, {"person": True}),
}
ATTRIBUTE = Asked(
    "An attribute that the vocabulary declares under `attributes:` (here `grade`); None where the credential has none.",
    "r.sub.grade == 3",
    {"sub.grade": 3},
    {},
)
ENVIRONMENT: Mapping[str, Asked] = {
    "hour": Asked(
        "The hour, 0 to 23, on the vocabulary's clock.", "r.env.hour < 9", {"hour": 8}, {"hour": 9}
    ),
    "weekday": Asked("1 (Monday) to 7.", "r.env.weekday <= 5", {"day": 2}, {"day": 1}),
    "date": Asked("The day, as a text.", 'r.env.date >= "2026-11-02"', {"day": 2}, {"day": 1}),
}
QUESTION: Mapping[str, Asked] = {
    "r.pur": Asked(
        "The purpose that was stated.", 'r.pur == "service"', {"pur": "service"}, {"pur": "complaint"}
    ),
    "r.dom": Asked(
        "The record's unit, `-` where it has none.",
        'r.dom == "branch:shanghai"',
        {"rec.unit": "branch:shanghai"},
        {"rec.unit": "branch:beijing"},
    ),
}

VERBS: Mapping[Verb, str] = {
    Verb.READ: "Reads one",
    Verb.LIST: "Lists those that may be read",
    Verb.CREATE: "Makes one",
    Verb.UPDATE: "Changes one",
    Verb.DELETE: "Removes one",
    Verb.SEND: "Sends one",
    Verb.DOWNLOAD: "Takes one's bytes",
}
CONTROL: Mapping[str, str] = {
    "key:create": "Issues an API key, or a client's secret.",
    "key:revoke": "Ends a key at once.",
    "key:list": "Reads keys as far as `show:clear` opens their fields; never a secret.",
    "audit:read": "Reads the log.",
    "policy:explain": "Asks why a decision comes out as it does, and who may do something.",
    "policy:activate": "Puts a bundle in force where it widens nobody's access, and files it for another person where it could.",
    "policy:approve": "Confirms what another person filed.",
    "policy:history": "Reads which bundles came in force when and by whom, and what waits.",
    "freeze:list": "Reads who is frozen because a decoy was touched.",
    "freeze:lift": "Gives somebody free who is frozen.",
}

RIGHTS: Mapping[str, Right] = {
    "show:clear": Right("The field as it is.", "show:clear, /phone"),
    "show:masked": Right("What the field's mask leaves of it (138****1234).", "show:masked, contact"),
    "show:token": Right(
        "A token in its place: equal values of one field have one token, for one application.",
        "show:token, /phone",
    ),
    "set": Right("The field may be set by a create or an update.", "set, contact"),
}
SHOWN = {
    "show:clear": Disclosure.CLEAR,
    "show:masked": Disclosure.MASKED,
    "show:token": Disclosure.TOKEN,
}
DENIED: Mapping[str, str] = {
    "customer:*": "Every action of that name, in a deny.",
    "show:*": "Every way to show a field, in a deny.",
}
EFFECTS: Mapping[str, str] = {
    "allow": "Allows, unless a rule denies.",
    "deny": "Denies, whatever else allows.",
}


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

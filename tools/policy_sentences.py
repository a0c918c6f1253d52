"""What docs/policy-reference.md says of each name, with an example: tests run them, and refuse a name without its sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.words.decision import Disclosure
from gateway.words.resource import Verb

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

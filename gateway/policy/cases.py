"""Beside the request path: policies/cases/*.yaml, what an administrator expects of the policy, run by pytest and by the loader alike.

A case names a principal and a record and lists everything that is allowed there. What is not listed must be denied: every other action of
the resource, every other purpose of the vocabulary, every other field. The format is explained in docs/policy.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from gateway.policy.bundle import Bundle
from gateway.policy.decider import COMPILED, Engine, prepare
from gateway.policy.known import Catalogue, Known, known
from gateway.wire.yaml import Rows, Table, Unreadable, line_of, plain, read
from gateway.words.access import Access, ResourceRef
from gateway.words.decision import Decision, Disclosure, Facts, FactValue, Floors
from gateway.words.json import Pattern
from gateway.words.principal import ANYWHERE, Party, Principal, RoleHeld
from gateway.words.resource import FieldClass, ResourceSpec

PREFIX = "cases/"
NO_PURPOSE = "none"
_SHOWN = (Disclosure.CLEAR, Disclosure.MASKED, Disclosure.TOKEN)


@dataclass(frozen=True, slots=True, order=True)
class CaseFailure:
    """A line of a case file that does not hold, or cannot be read."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


class _Unreadable(Exception):
    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line
        self.what = what


@dataclass(frozen=True, slots=True)
class _Record:
    resource: ResourceSpec
    facts: Facts


@dataclass(frozen=True, slots=True)
class _Expected:
    """What one listed action shows and lets set. line: where it stands."""

    line: int
    view: Mapping[Pattern, Disclosure]
    write: frozenset[Pattern]
    search: frozenset[Pattern] | None


Watch = Callable[[Engine, Access, ResourceSpec, Facts, Decision], None]
"""Is told of each question of a case, and how it was decided."""


def run_cases(
    bundle: Bundle, catalogue: Catalogue, *, reference: bool = False, watch: Watch | None = None
) -> list[CaseFailure]:
    """Gives every failure of the bundle's own case files; none means that all hold. reference: ask pycasbin instead."""
    ground = known(catalogue)
    engine = Engine(bundle, reference=reference)
    failures: list[CaseFailure] = []
    ran = 0
    for name in sorted(bundle.files):
        if not name.startswith(PREFIX):
            continue
        try:
            book = _Book(name, bundle.files[name], engine, ground, watch)
            failures += book.run()
            ran += book.ran
        except _Unreadable as exc:
            failures.append(CaseFailure(name, exc.line, exc.what))
    if not ran and not failures:
        failures.append(CaseFailure(PREFIX, 1, "no case says anything"))
    return sorted(failures)


class _Book:
    """One case file."""

    def __init__(
        self, file: str, data: bytes, engine: Engine, ground: Known, watch: Watch | None = None
    ) -> None:
        self._file = file
        self._watch = watch
        self._engine = engine
        self._ground = ground
        self.ran = 0
        try:
            document = plain(read(data.decode("utf-8")))
        except UnicodeDecodeError as exc:
            raise _Unreadable(1, "it is not UTF-8") from exc
        except Unreadable as exc:
            raise _Unreadable(exc.line, f"{exc.what}: {exc.do}") from exc
        self._document = _mapping(document, 1, {"now", "principals", "records", "cases"})
        now = self._document["now"]
        if not isinstance(now, str):
            raise _Unreadable(line_of(document, "now"), 'write `now` in quotes: "2026-11-02T10:00:00+08:00"')
        self._now = _time(now, line_of(document, "now"))
        self._principals = {
            str(name): _principal(value, line_of(self._document["principals"], name))
            for name, value in _mapping(self._document["principals"], 1).items()
        }
        self._records = {
            str(name): self._record(value, line_of(self._document["records"], name))
            for name, value in _mapping(self._document["records"], 1).items()
        }

    def run(self) -> list[CaseFailure]:
        """Runs every case; gives the lines that do not hold."""
        cases = self._document["cases"]
        if not isinstance(cases, Rows) or not cases:
            raise _Unreadable(line_of(self._document, "cases"), "`cases` lists nothing")
        failures: list[CaseFailure] = []
        for at, case in enumerate(cases):
            failures += self._case(case, line_of(cases, at))
        return failures

    def _record(self, value: object, line: int) -> _Record:
        node = _mapping(value, line, {"resource", "facts"}, {"erased", "held", "refused"})
        resource = self._ground.resources.get(str(node["resource"]))
        if resource is None:
            raise _Unreadable(line_of(node, "resource"), f"unknown resource `{node['resource']}`")
        given = _mapping(node["facts"], line_of(node, "facts")) if node["facts"] else {}
        values: dict[str, FactValue] = {}
        for name, fact in given.items():
            values[str(name)] = _fact(fact, line_of(given, name))
        refused = frozenset(_names(node, "refused") if "refused" in node else ())
        floors = Floors(node.get("erased") is True, node.get("held") is True, refused)
        return _Record(resource, Facts(values, floors))

    def _case(self, value: object, line: int) -> list[CaseFailure]:
        node = _mapping(value, line, {"principal", "record", "allow"}, {"at", "why"})
        if not isinstance(node["principal"], str) or not isinstance(node["record"], str):
            raise _Unreadable(line, "`principal` and `record` are names")
        principal = self._principals.get(node["principal"])
        record = self._records.get(node["record"])
        if principal is None or record is None:
            raise _Unreadable(line, f"no principal `{node['principal']}` or no record `{node['record']}`")
        now = _time(str(node["at"]), line_of(node, "at")) if "at" in node else self._now
        expected = self._expectations(node, record.resource)
        name = f"{record.resource.upstream}/{record.resource.name}"
        failures: list[CaseFailure] = []
        for action in sorted(self._ground.actions[name]):
            for purpose in (NO_PURPOSE, *sorted(self._engine.bundle.vocabulary.purposes)):
                self.ran += 1
                wanted = expected.pop((action, purpose), None)
                failures += self._ask(principal, record, action, purpose, now, wanted, line)
        for (action, purpose), wanted in expected.items():
            what = f"no such action and purpose: {action} for {purpose}"
            failures.append(CaseFailure(self._file, wanted.line, what))
        return failures

    def _expectations(self, node: Table, resource: ResourceSpec) -> dict[tuple[str, str], _Expected]:
        listed = node["allow"]
        if not isinstance(listed, list):
            raise _Unreadable(line_of(node, "allow"), "`allow` is a list; `[]` for nothing")
        made: dict[tuple[str, str], _Expected] = {}
        for at, value in enumerate(listed):
            line = line_of(listed, at)
            entry = _mapping(
                value, line, {"actions", "purposes"}, {"clear", "masked", "token", "set", "search"}
            )
            view: dict[Pattern, Disclosure] = {}
            for shown in _SHOWN:
                for pattern in _patterns(entry, shown.word, resource):
                    if pattern in view:
                        raise _Unreadable(line, f"`{pattern}` is listed twice")
                    view[pattern] = shown
            write = frozenset(_patterns(entry, "set", resource))
            search = frozenset(_patterns(entry, "search", resource)) if "search" in entry else None
            for action in _texts(entry, "actions"):
                for purpose in _texts(entry, "purposes"):
                    made[action, purpose] = _Expected(line, view, write, search)
        return made

    def _ask(
        self,
        principal: Principal,
        record: _Record,
        action: str,
        purpose: str,
        now: datetime,
        wanted: _Expected | None,
        line: int,
    ) -> list[CaseFailure]:
        resource = record.resource
        access = Access(
            request="req_case",
            principal=principal,
            action=action,
            purpose=None if purpose == NO_PURPOSE else purpose,
            ref=ResourceRef(resource.upstream, resource.name, "case"),
            time=now,
        )
        prepared = prepare(self._engine, access, resource, 0)
        decision = prepared.decide(record.facts)
        if self._watch is not None:
            self._watch(self._engine, access, resource, record.facts, decision)
        where = f"{action} for {purpose}"
        problems = []
        if decision.allowed and prepared.early() is not None:
            problems.append("it is allowed, and denied early")
        if wanted is None:
            if decision.allowed:
                problems.append(f"it is allowed by {_by(decision)}, and no line here allows it")
        elif not decision.allowed:
            problems.append(f"it is denied ({decision.reason}, {_by(decision)})")
        else:
            problems += _differences(decision, wanted, resource)
            found = prepared.searchable()
            # pycasbin cannot say what is clear everywhere: a bundle that runs on it may only find less
            exact = self._engine.name == COMPILED
            if wanted.search is not None and (found != wanted.search if exact else found - wanted.search):
                problems.append(f"searchable is {sorted(found)}")
        at = line if wanted is None else wanted.line
        return [CaseFailure(self._file, at, f"{where}: {problem}") for problem in problems]


def _differences(decision: Decision, wanted: _Expected, resource: ResourceSpec) -> list[str]:
    problems = []
    for spec in resource.fields:
        shown = decision.read.of(spec.pattern)
        expected = wanted.view.get(spec.pattern, Disclosure.WITHHELD)
        if shown is not expected:
            problems.append(f"{spec.pattern} is {shown.word}, not {expected.word}")
    if decision.write != wanted.write:
        more, less = sorted(decision.write - wanted.write), sorted(wanted.write - decision.write)
        problems.append(f"settable besides: {more}; not settable: {less}")
    return problems


def _by(decision: Decision) -> str:
    return "no rule" if decision.rule is None else f"{decision.rule.file}:{decision.rule.line}"


def _mapping(
    value: object, line: int, required: set[str] | None = None, optional: set[str] | None = None
) -> Table:
    if not isinstance(value, Table):
        raise _Unreadable(line, "a mapping belongs here")
    if required is not None:
        missing = sorted(required - set(value))
        strange = sorted(str(key) for key in set(value) - required - (optional or set()))
        if missing or strange:
            raise _Unreadable(line_of(value), f"missing: {missing}; not known: {strange}")
    return value


def _texts(node: Table, key: str) -> list[str]:
    listed = _names(node, key)
    if not listed:
        raise _Unreadable(line_of(node, key), f"`{key}` is a list of names")
    return listed


def _names(node: Table, key: str) -> list[str]:
    """Gives the names listed there; the list may be empty."""
    listed = node[key]
    names = [item for item in listed if isinstance(item, str)] if isinstance(listed, list) else []
    if not isinstance(listed, list) or len(names) != len(listed):
        raise _Unreadable(line_of(node, key), f"`{key}` is a list of names")
    return names


def _patterns(node: Table, key: str, resource: ResourceSpec) -> list[Pattern]:
    """Classes stand for all their fields, for `set` for those that the upstream does not set itself; `all` for every field."""
    found: list[Pattern] = []
    for name in _names(node, key) if key in node else ():
        fields = [
            field
            for field in resource.fields
            if (name == "all" or name == field.cls) and not (key == "set" and field.server_set)
        ]
        if name in set(FieldClass) or name == "all":
            found += [field.pattern for field in fields]
        elif resource.spec(name) is not None:
            found.append(name)
        else:
            raise _Unreadable(line_of(node, key), f"`{name}` is no class and no field of {resource.name}")
    return found


def _time(text: str, line: int) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError as exc:
        raise _Unreadable(line, "it is no time") from exc
    if time.utcoffset() is None:
        raise _Unreadable(line, "a time needs its offset: +08:00")
    return time


def _fact(value: object, line: int) -> FactValue:
    if isinstance(value, list) and all(isinstance(member, str) for member in value):
        return tuple(str(member) for member in value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    raise _Unreadable(line, "a fact is a text, a whole number, true, false, null or a list of texts")


def _principal(value: object, line: int) -> Principal:
    node = _mapping(value, line, {"application", "purposes"}, {"person"})
    purposes = frozenset(_texts(node, "purposes")) if node["purposes"] else frozenset()
    person = _party(node["person"], line_of(node, "person")) if "person" in node else None
    application = _party(node["application"], line_of(node, "application"))
    return Principal(application, person, purposes, ("case",))


def _party(value: object, line: int) -> Party:
    if isinstance(value, str):
        return Party(str(value))
    node = _mapping(value, line, {"id"}, {"roles", "attributes"})
    roles = frozenset(_role(text) for text in (_names(node, "roles") if "roles" in node else ()))
    given = _mapping(node["attributes"], line_of(node, "attributes")) if "attributes" in node else {}
    attributes = {key: value for key, value in given.items() if isinstance(value, str | int)}
    return Party(str(node["id"]), roles, attributes)


def _role(text: object) -> RoleHeld:
    role, _, unit = str(text).partition("@")
    return RoleHeld(role, unit or ANYWHERE)

"""Before the path: reads a catalogue's resources and their fields, and refuses those that contradict themselves."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from itertools import combinations

from gateway.catalogue import keys, templates
from gateway.catalogue.pointers import ANY, fault_of_pattern, fault_of_pointer, overlap, split
from gateway.catalogue.section import NAME, Section, nearest
from gateway.catalogue.shapes import read_shape
from gateway.wire.yaml import Scalar
from gateway.words.json import Pattern
from gateway.words.resource import (
    PERSONAL,
    FieldClass,
    FieldSpec,
    Holds,
    Idempotency,
    IdForm,
    Mask,
    Removal,
    ResourceSpec,
    Shape,
    SubjectRule,
    Versioning,
)

_WORD = re.compile(r"[a-z][a-z0-9_]{0,31}")
# YAML 1.1 read these as true, false and nothing, and whoever writes them means that.
_NO_WORDS = frozenset(["yes", "no", "on", "off", "y", "n", "true", "false", "none", "null"])
# Not the week dates that `fromisoformat` takes too, and no day that never comes: what is adopted for ever is not adopted.
_DATE = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}")
_MEMBER = re.compile(r"[^/~*\x00-\x1f]{1,64}")


@dataclass(frozen=True, slots=True)
class Described:
    """A resource as read, the shapes that its routes have unless they say otherwise, and where it stands for problems."""

    spec: ResourceSpec
    one: Shape
    many: Shape
    section: Section
    fields: Mapping[Pattern, Section]


def read_resource(upstream: str, name: str, section: Section) -> Described:
    """Gives the resource; what is wrong in it is reported, and a harmless default stands in its place."""
    if not NAME.fullmatch(name):
        section.problem(
            f"'{name}' is no name for a resource",
            "use lower-case letters, digits, '-' and '_', like 'customer'",
        )
    section.need("subject", "read", "fields")
    fields = {}
    sections = {}
    for pattern, inner in section.sections("fields", f"{section.what}, field", keys.FIELD):
        fields[pattern] = _field(pattern, inner)
        sections[pattern] = inner
    idempotency = section.choice("idempotency", Idempotency, Idempotency.NONE)
    spec = ResourceSpec(
        upstream=upstream,
        name=name,
        fields=tuple(fields.values()),
        subject=_subject(name, section),
        id_public=section.flag("ids_public"),
        versioning=section.choice("versioning", Versioning, Versioning.NONE),
        version_at=section.checked("version_at", fault_of_pointer, "/data/@etag") or None,
        idempotency=idempotency,
        lookup=section.checked("lookup", templates.fault_of_lookup, "/by-key/{key}") or None,
        lookup_field=section.checked("lookup_field", fault_of_pointer, "/realname") or None,
        read_target=section.checked("read", templates.fault_of_read, "/customers/{id}"),
        parent=section.text("parent", "", NAME, "thread") or None,
        id_form=section.choice("id_form", IdForm, IdForm.ANY),
        present_target=section.checked("present", templates.fault_of_present, "/customers?id={id}") or None,
        removal=section.choice("removal", Removal, Removal.NULL),
    )
    one = read_shape(section.section("record_answer", f"{section.what}, record_answer", keys.ANSWER))
    many = read_shape(section.section("list_answer", f"{section.what}, list_answer", keys.ANSWER))
    described = Described(spec, one, many, section, sections)
    _check_fields(described)
    _check_subject(described)
    _check_versioning(described)
    _check_idempotency(described)
    return described


def _field(pattern: str, section: Section) -> FieldSpec:
    if (why := fault_of_pattern(pattern)) is not None:
        section.problem(
            f"{section.what} is no place in a record: {why}", "write it like '/phone' or '/lines/*/text'"
        )
    section.need("class")
    fact = section.text("fact", "", _WORD, "unit") or None
    if fact in _NO_WORDS:
        section.wrong("fact", f"'{fact}' is no name", "write a name like 'unit', or leave it out")
    key_class = _key_class(section)
    spec = FieldSpec(
        pattern=pattern,
        cls=section.choice("class", FieldClass, FieldClass.INTERNAL),
        sealed=key_class is not None,
        key_class=key_class,
        mask=section.choice("mask", Mask, Mask.NONE),
        element_id=section.text("element_id", "", _MEMBER, "id") or None,
        clear_until=_date(section),
        fact=fact,
        server_set=section.flag("server_set"),
        values=section.texts("values"),
        form=section.choice("form", IdForm, IdForm.ANY) if section.has("form") else None,
        holds=section.choice("holds", Holds, Holds.ANY),
        required=section.flag("required"),
    )
    if section.ok:
        _check_field(spec, section)
    return spec


def _key_class(section: Section) -> str | None:
    node = section.node("sealed")
    if node is None:
        return None
    if isinstance(node, Scalar) and node.value is False:
        return None
    if isinstance(node, Scalar) and node.value is True:
        section.wrong(
            "sealed", "names no key class", "name the customer's key it is sealed under, like 'profile'"
        )
        return None
    if isinstance(node, Scalar) and (node.value is None or node.value in _NO_WORDS):
        section.wrong(
            "sealed",
            "names no key class: it is empty, or a word that elsewhere means true or false",
            "write the key's name, like 'profile', or leave it out for a field that is not sealed",
        )
        return None
    return section.text("sealed", "", _WORD, "profile") or None


def _date(section: Section) -> date | None:
    text = section.text("clear_until")
    if not text:
        return None
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass  # reported below, as every other text that is no date
    section.wrong(
        "clear_until",
        f"'{text}' is not a date of this century",
        "write the day on which the adoption ends, like '2027-01-31'",
    )
    return None


def _check_field(spec: FieldSpec, section: Section) -> None:
    """Reports what one field says against itself."""
    if spec.cls in PERSONAL and not spec.sealed:
        section.problem(
            f"{section.what} is of the personal class '{spec.cls}' and not sealed",
            "add 'sealed: profile' (or another key class), or choose a class that is not personal",
        )
    if spec.sealed and spec.cls in (FieldClass.PUBLIC, FieldClass.LINK):
        section.wrong(
            "sealed", f"does not go with class '{spec.cls}'", "remove it, or choose the class that fits"
        )
    if spec.sealed and spec.server_set:
        section.wrong(
            "server_set", "does not go with sealed: what the upstream sets it has in clear", "keep one"
        )
    for key in ("values", "form"):
        if section.has(key) and (spec.sealed or spec.server_set):
            section.wrong(
                key, "says what may be set, and this field is sealed or the upstream's", "remove it"
            )
    if spec.holds is Holds.TEXTS and (spec.values or spec.form):
        section.wrong("holds", "does not go with values or form, which are about one text", "keep one")
    if spec.required and (spec.server_set or ANY in split(spec.pattern)):
        section.wrong(
            "required", "asks the caller for what the upstream sets, or for each element", "remove it"
        )
    if spec.clear_until and not spec.sealed:
        section.wrong(
            "clear_until", "is about a sealed field, and this one is not", "seal it, or remove the date"
        )
    if spec.fact and (spec.cls in PERSONAL or spec.sealed):
        section.wrong(
            "fact", "on a personal or sealed field", "decide by fields of class internal or public only"
        )
    if spec.fact and ANY in split(spec.pattern):
        section.wrong("fact", "on a field with '*'", "make the whole list a fact: leave out '/*'")
    stars = split(spec.pattern).count(ANY)
    if spec.element_id and (stars != 1 or split(spec.pattern)[-1] == ANY):
        section.wrong(
            "element_id", "is for a member of a list's elements", "write the field like '/lines/*/text'"
        )
    if spec.sealed and stars and not spec.element_id:
        section.problem(
            f"{section.what} is sealed within elements that nothing tells apart",
            "add 'element_id: id', or seal the list as one value: leave out '/*' and what follows",
        )


def _check_fields(what: Described) -> None:
    """Reports fields that two patterns claim, facts named twice, and element ids that could not be read."""
    for one, other in combinations(what.spec.fields, 2):
        if (
            not fault_of_pattern(one.pattern)
            and not fault_of_pattern(other.pattern)
            and overlap(one.pattern, other.pattern)
        ):
            section = what.fields[other.pattern]
            section.problem(
                f"{section.what} and '{one.pattern}' (line {what.fields[one.pattern].line}) claim the same place",
                "a place has one field: keep the one that is meant",
            )
        if one.fact and one.fact == other.fact:
            what.fields[other.pattern].wrong(
                "fact", f"'{one.fact}' has a field already", "name it differently"
            )
    for spec in what.spec.fields:
        if spec.element_id and ANY in split(spec.pattern):
            _check_element(what, spec)


def _check_element(what: Described, spec: FieldSpec) -> None:
    array = spec.pattern[: spec.pattern.index("/*") + 2]
    known = what.spec.spec(f"{array}/{spec.element_id}")
    if known is None or known.sealed:
        what.fields[spec.pattern].wrong(
            "element_id",
            f"'{spec.element_id}' is not an unsealed field",
            f"list '{array}/{spec.element_id}' unsealed",
        )
    others = {f.element_id for f in what.spec.fields if f.pattern.startswith(array + "/") and f.element_id}
    if len(others) > 1:
        what.fields[spec.pattern].wrong(
            "element_id", "differs within one list", "a list's elements have one id"
        )


def _subject(name: str, section: Section) -> SubjectRule | None:
    node = section.node("subject")
    if node is None:
        return None
    if isinstance(node, Scalar):
        if node.value == "itself":
            return SubjectRule(resource=name)
        if node.value != "none":
            section.wrong(
                "subject", "is not known", "write 'itself', 'none', or {resource: customer, at: /customer_id}"
            )
        return None
    inner = section.section("subject", f"{section.what}, subject", keys.SUBJECT)
    if inner is None:
        return None
    inner.need("resource", "at")
    return SubjectRule(
        resource=inner.text("resource", name, NAME, "customer"),
        pointer=inner.checked("at", fault_of_pointer, "/customer_id", "/id"),
        through=inner.text("through", "", NAME, "thread") or None,
    )


def _check_subject(what: Described) -> None:
    spec = what.spec
    if spec.seals and spec.subject is None:
        what.section.wrong(
            "subject",
            "is none, and there are sealed fields: each is sealed under a customer's key",
            "say whose data the record is: 'subject: itself' or {resource: customer, at: /customer_id}",
        )
    if spec.subject and spec.subject.pointer is not None:
        _need_clear(what, "subject", spec.subject.pointer)


def _check_versioning(what: Described) -> None:
    spec = what.spec
    if spec.versioning is Versioning.BODY and spec.version_at is None:
        what.section.wrong("versioning", "is 'body' without 'version_at'", "say where the version stands")
    if spec.versioning is not Versioning.BODY and spec.version_at is not None:
        what.section.wrong("version_at", "is only for 'versioning: body'", "remove it, or change versioning")


def _check_idempotency(what: Described) -> None:
    spec, section = what.spec, what.section
    if spec.idempotency is Idempotency.NONE:
        for key in ("lookup", "lookup_field"):
            if section.has(key):
                section.wrong(key, "has no use without idempotency", "add 'idempotency: header' or 'search'")
        return
    if spec.lookup is None and not section.has("lookup"):
        section.wrong(
            "idempotency", "has no 'lookup'", "say where a create is found again, like '/by-key/{key}'"
        )
    if spec.idempotency is Idempotency.HEADER:
        if spec.lookup_field is not None:
            section.wrong("lookup_field", "is only for 'idempotency: search' or 'field'", "remove it")
        return
    if spec.lookup_field is None:
        section.wrong(
            "idempotency", f"is '{spec.idempotency}' without 'lookup_field'", "name the field searched for"
        )
        return
    field = spec.spec(spec.lookup_field)
    if spec.idempotency is Idempotency.SEARCH and (field is None or not field.sealed):
        section.wrong("lookup_field", "is not a sealed field", "name one: its envelope's text is unique")
    if spec.idempotency is Idempotency.FIELD and (
        field is None or not field.server_set or field.cls is not FieldClass.INTERNAL
    ):
        section.wrong(
            "lookup_field",
            "is not a field that is the gateway's to write",
            "list it as {class: internal, server_set: true}, so that no caller sets it",
        )


def _need_clear(what: Described, key: str, pointer: str) -> None:
    """Reports a place that the gateway must be able to read, and that is no listed field or is sealed."""
    field = what.spec.spec(pointer)
    if field is None:
        what.section.wrong(key, f"stands at '{pointer}', which is no field", nearest(pointer, what.fields))
    elif field.sealed:
        what.section.wrong(
            key, f"stands at '{pointer}', which is sealed", "it must be readable: leave it unsealed"
        )

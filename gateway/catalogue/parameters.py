"""Before the path: reads a route's query parameters, its fixed pairs and its page rule."""

from __future__ import annotations

import re
from enum import StrEnum

from gateway.catalogue import keys
from gateway.catalogue.pointers import fault_of_pointer
from gateway.catalogue.resources import Described
from gateway.catalogue.section import Section, nearest
from gateway.wire.yaml import Scalar
from gateway.words.json import Pattern
from gateway.words.resource import PageRule, ParamSpec, ParamType, ParamUse, Verb

PARAMETER_NAME = re.compile(r"[A-Za-z_@][A-Za-z0-9_.:@-]{0,63}(\[[a-z_]{1,16}\])?")
_PLAIN = re.compile(r"[\x20-\x7e]{0,200}")


class Op(StrEnum):
    """How a filter compares."""

    EQ = "eq"
    IN = "in"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    PREFIX = "prefix"
    CONTAINS = "contains"


_ORDERS = frozenset({Op.LT, Op.LE, Op.GT, Op.GE})
_IN_TEXT = frozenset({Op.PREFIX, Op.CONTAINS})
_KEYS = {
    ParamUse.FILTER: frozenset({"use", "field", "op", "type", "values", "narrows"}),
    ParamUse.SORT: frozenset({"use", "names"}),
    ParamUse.PASS: frozenset({"use", "values"}),
}


def read_params(section: Section, verb: Verb, resource: Described | None) -> tuple[ParamSpec, ...]:
    """Gives a route's parameters in the file's order."""
    found: list[ParamSpec] = []
    for name, inner in section.sections("parameters", f"{section.what}, parameter", keys.PARAMETER):
        if not PARAMETER_NAME.fullmatch(name):
            inner.problem(f"{inner.what} has an unusual name", "write it like 'level' or 'created_at[ge]'")
        spec = _param(name, inner, resource)
        if verb is not Verb.LIST and spec.use is not ParamUse.PASS:
            inner.problem(
                f"{inner.what} is of use '{spec.use}', which only a list has", "use 'pass', or remove it"
            )
        if spec.use not in (ParamUse.FILTER, ParamUse.PASS) and any(spec.use is other.use for other in found):
            inner.problem(f"{inner.what} is a second one of use '{spec.use}'", "keep one")
        found.append(spec)
    return tuple(found)


def _param(name: str, section: Section, resource: Described | None) -> ParamSpec:
    section.need("use")
    written = section.node("use")
    if isinstance(written, Scalar) and written.value == "select":
        section.wrong(
            "use",
            "is 'select', and no parameter chooses which fields are shown: the policy does",
            "remove the parameter; a caller gets every field that he may see",
        )
        return ParamSpec(name=name, use=ParamUse.PASS)
    use = section.choice("use", ParamUse, ParamUse.PASS)
    allowed = _KEYS.get(use, frozenset({"use"}))
    for key in sorted(keys.PARAMETER - allowed):
        if section.has("use") and section.has(key):
            section.wrong(
                key, f"does not go with use '{use}'", f"remove it; it may have {', '.join(sorted(allowed))}"
            )
    spec = ParamSpec(
        name=name,
        use=use,
        field=section.checked("field", fault_of_pointer, "/level") or None,
        op=section.choice("op", Op, Op.EQ).value,
        values=section.texts("values"),
        names=_names(section, resource),
        type=section.choice("type", ParamType, ParamType.TEXT),
        narrows=section.flag("narrows"),
    )
    if section.ok and use is ParamUse.FILTER:
        _check_filter(spec, section, resource)
    if section.ok and use is ParamUse.SORT and not spec.names:
        section.problem(
            f"{section.what} has no 'names'", "say which names may be sent, and the field of each"
        )
    if section.ok and use is ParamUse.PASS and not spec.values:
        section.problem(f"{section.what} passes without 'values'", "list the values that may pass")
    return spec


def _check_filter(spec: ParamSpec, section: Section, resource: Described | None) -> None:
    if spec.field is None:
        section.problem(f"{section.what} filters by no 'field'", "name the field that it compares with")
    elif resource is not None:
        fault_of_field(section, resource, spec.field, "field", clear=True)
    if spec.op in _IN_TEXT and spec.type is not ParamType.TEXT:
        section.wrong(
            "op", f"'{spec.op}' is about texts, and the type is '{spec.type}'", "choose 'eq' or another op"
        )
    if spec.op in _ORDERS and spec.type is ParamType.BOOLEAN:
        section.wrong("op", f"'{spec.op}' has no meaning for true and false", "choose 'eq'")
    if spec.narrows and (spec.op not in (Op.EQ, Op.IN) or spec.type is not ParamType.TEXT):
        section.wrong("narrows", "is for texts compared by 'eq' or 'in'", "remove it")
    if spec.values and (spec.op not in (Op.EQ, Op.IN) or spec.type is not ParamType.TEXT):
        section.wrong("values", "are for texts compared by 'eq' or 'in'", "remove them")


def _names(section: Section, resource: Described | None) -> dict[str, Pattern]:
    names = {}
    for name, pointer, line in section.pairs("names"):
        if not PARAMETER_NAME.fullmatch(name) or "[" in name:
            section.problem(
                f"{section.what}: '{name}' is an unusual name", "write it like 'created_at'", line
            )
        if resource is not None and fault_of_field(section, resource, pointer, name, clear=True, line=line):
            continue
        names[name] = pointer
    return names


def fault_of_field(
    section: Section, resource: Described, pointer: str, key: str, *, clear: bool, line: int | None = None
) -> bool:
    """True, and reported, when the pointer names no field of the resource; with `clear`, also when the field is sealed."""
    line = section.line_of(key) if line is None else line
    field = resource.spec.spec(pointer)
    if field is None:
        advice = nearest(pointer, resource.fields)
        section.problem(f"{section.what}: '{pointer}' is no field of {resource.spec.name}", advice, line)
    elif clear and (fault_of_pointer(pointer) is not None or field.sealed):
        section.problem(
            f"{section.what}: '{pointer}' is sealed or many places",
            "compare and order by one unsealed field",
            line,
        )
    else:
        return False
    return True


def read_fixed(section: Section) -> tuple[tuple[str, str], ...]:
    """Gives the query pairs that the gateway itself adds."""
    found = []
    for name, value, line in section.pairs("fixed"):
        if not PARAMETER_NAME.fullmatch(name) or not _PLAIN.fullmatch(value):
            section.problem(f"{section.what}: fixed '{name}' is unusual", "write plain ASCII", line)
        found.append((name, value))
    return tuple(found)


def read_page(section: Section) -> PageRule | None:
    """Gives how the gateway asks for a page, None where the route does not say."""
    inner = section.section("page", f"{section.what}, page", keys.PAGE)
    if inner is None:
        return None
    inner.need("limit", "position")
    first = inner.integer("first", 0, 0, 1) if inner.has("first") else None
    rule = PageRule(
        limit=inner.text("limit", "limit", PARAMETER_NAME, "limit"),
        position=inner.text("position", "cursor", PARAMETER_NAME, "cursor"),
        first=first,
        size=inner.integer("size", 100, 1, 1000),
        bound=inner.integer("bound", 5_000, 1, 1_000_000),
    )
    if rule.limit == rule.position:
        inner.wrong("position", "is the same parameter as limit", "they are two")
    if rule.bound < rule.size:
        inner.wrong("bound", "is less than one page", "make it a multiple of size")
    return rule


def check_names(
    section: Section, params: tuple[ParamSpec, ...], fixed: tuple[tuple[str, str], ...], page: PageRule | None
) -> None:
    """Reports a name that the upstream would be sent twice, with two meanings."""
    ours = {name: "fixed" for name, _ in fixed}
    for name in (page.limit, page.position) if page else ():
        if name in ours:
            section.problem(
                f"{section.what}: '{name}' is fixed and pages too", "keep one", section.line_of("fixed")
            )
        ours[name] = "page"
    for param in params:
        passes = param.use in (ParamUse.FILTER, ParamUse.SORT, ParamUse.PASS)
        if passes and param.name in ours:
            section.problem(
                f"{section.what}: parameter '{param.name}' is the gateway's own ({ours[param.name]})",
                "a caller cannot set it: remove one",
                section.line_of("parameters"),
            )

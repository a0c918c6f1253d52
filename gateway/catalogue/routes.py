"""Before the path: reads a catalogue's routes: method and template, what they do, what passes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import combinations

from gateway.catalogue import keys, templates
from gateway.catalogue.opaque import check_actions, check_opaque, read_opaque
from gateway.catalogue.parameters import check_names, fault_of_field, read_fixed, read_page, read_params
from gateway.catalogue.pointers import relative, within
from gateway.catalogue.resources import Described
from gateway.catalogue.section import NAME, Section, nearest
from gateway.catalogue.shapes import read_shape
from gateway.wire import headers
from gateway.words.resource import RouteSpec, Shape, UpdateMode, Verb

_ACTION = re.compile(r"[a-z][a-z0-9_-]{0,39}:[a-z][a-z0-9_-]{0,39}")
_METHODS = {
    Verb.READ: ("GET",),
    Verb.LIST: ("GET",),
    Verb.CREATE: ("POST",),
    Verb.SEND: ("POST",),
    Verb.UPDATE: ("PATCH", "PUT"),
    Verb.DELETE: ("DELETE",),
    Verb.DOWNLOAD: ("GET",),
}
ON_ONE_RECORD = frozenset({Verb.READ, Verb.UPDATE, Verb.DELETE, Verb.DOWNLOAD})
_MODES = {"PUT": UpdateMode.REPLACE, "PATCH": UpdateMode.MERGE}


def read_headers(section: Section, key: str) -> frozenset[str]:
    """Gives header names that pass, in lower case."""
    own = headers.OWN_REQUEST if key == "request_headers" else headers.OWN_RESPONSE
    names = section.texts(key)
    for name in names:
        if name != name.lower() or not headers.well_formed(name, ""):
            section.wrong(
                key, f"'{name}' is no header's name in lower case", "write it like 'accept-language'"
            )
        elif headers.never_passes(name) or name in own:
            advice = "remove it; what the system demands goes under 'headers', with a fixed value"
            section.wrong(key, f"'{name}' never passes: the gateway speaks for itself there", advice)
    return frozenset(names)


def read_routes(
    upstream: str, section: Section, resources: Mapping[str, Described], *, max_opaque_bytes: int
) -> tuple[RouteSpec, ...]:
    """Gives the routes, in the file's order. `section` is the whole file's. max_opaque_bytes: the most that a route may say."""
    passing = {key: read_headers(section, key) for key in ("request_headers", "response_headers")}
    placed = []
    for name, inner in section.sections("routes", "route", keys.ROUTE):
        route = _route(upstream, name, inner, resources, passing, max_opaque_bytes)
        if route is not None:
            placed.append((route, inner))
    _check_ambiguity(placed)
    _check_reads(placed, resources)
    check_actions(placed)
    return tuple(route for route, _ in placed)


def _route(
    upstream: str,
    name: str,
    section: Section,
    resources: Mapping[str, Described],
    passing: Mapping[str, frozenset[str]],
    max_opaque_bytes: int,
) -> RouteSpec | None:
    if not NAME.fullmatch(name):
        section.problem(f"'{name}' is no name for a route", "use lower-case letters, digits, '-' and '_'")
    section.need("request", "resource", "does")
    verb = section.choice("does", Verb, Verb.READ)
    resource_name = section.text("resource")
    resource = resources.get(resource_name)
    if resource is None and section.has("resource"):
        section.wrong(
            "resource", f"'{resource_name}' is not described in this file", nearest(resource_name, resources)
        )
    method, path = _request(section)
    inner = section.section("answer", f"{section.what}, answer", keys.ANSWER)
    shape = read_shape(inner) if inner else _usual_shape(resource, verb)
    fixed, page = read_fixed(section), read_page(section)
    params = read_params(section, verb, resource)
    check_names(section, params, fixed, page)
    own = {key: read_headers(section, key) if section.has(key) else names for key, names in passing.items()}
    route = RouteSpec(
        name=name,
        upstream=upstream,
        method=method,
        template=templates.segments(path),
        resource=resource_name,
        verb=verb,
        action=section.text("action", f"{resource_name}:{verb}", _ACTION, "customer:read"),
        shape=shape,
        params=params,
        fixed=fixed,
        page=page,
        mode=_mode(section, verb, method),
        request_headers=own["request_headers"],
        response_headers=own["response_headers"],
        max_body_bytes=section.integer("max_body_bytes", 1_048_576, 2, 67_108_864),
        opaque=read_opaque(section, max_opaque_bytes),
    )
    if not section.has("does") or resource is None or not method:
        return None
    _check_verb(route, resource, section)
    _check_shape(route, resource, section)
    check_opaque(route, resource.spec, section)
    return route


def _request(section: Section) -> tuple[str, str]:
    """Gives method and path of `GET /customers/{id}`; ("", "/") where it is not of that form."""
    method, blank, path = section.text("request", "").partition(" ")
    if not section.has("request"):
        return "", "/"
    if method == "HEAD":
        section.wrong("request", "is HEAD", "remove the route: HEAD is answered and decided wherever GET is")
    elif not blank or not any(method in methods for methods in _METHODS.values()):
        section.wrong("request", f"'{method}' is no method of a route", "write it like 'GET /customers/{id}'")
    elif fault := templates.fault_of_template(path, frozenset({templates.ID, templates.PARENT})):
        section.wrong("request", f"'{path}' is no template: {fault}", "write it like '/customers/{id}'")
    else:
        return method, path
    return "", "/"


def _usual_shape(resource: Described | None, verb: Verb) -> Shape:
    if resource is None:
        return Shape()
    return resource.many if verb is Verb.LIST else resource.one


def _mode(section: Section, verb: Verb, method: str) -> UpdateMode | None:
    if verb is not Verb.UPDATE:
        if section.has("mode"):
            section.wrong("mode", "is only for 'does: update'", "remove it")
        return None
    return section.choice("mode", UpdateMode, _MODES.get(method, UpdateMode.MERGE))


def _check_verb(route: RouteSpec, resource: Described, section: Section) -> None:
    """Reports a method, a template or a key that does not go with what the route does."""
    methods = _METHODS[route.verb]
    if route.method not in methods:
        section.wrong(
            "request",
            f"is a {route.method}, and the route does '{route.verb}'",
            f"that is {' or '.join(methods)}",
        )
    has_id, has_parent = templates.ID in route.template, templates.PARENT in route.template
    if has_id != (route.verb in ON_ONE_RECORD):
        problem = "names one record by '{id}'" if has_id else "names no record by '{id}'"
        section.wrong("request", f"{problem}, and the route does '{route.verb}'", "change one of the two")
    # What a record's bytes are found by may stand behind it: its other routes would be about something below it.
    if has_id and route.template[-1] != templates.ID and route.verb is not Verb.DOWNLOAD:
        section.wrong("request", "goes on after '{id}'", "a parent is written '{parent}'")
    if has_parent != (resource.spec.parent is not None):
        problem = "has '{parent}'" if has_parent else "has no '{parent}'"
        section.wrong("request", f"{problem}, and the resource says otherwise", "see the resource's 'parent'")
    if route.action.partition(":")[0] != route.resource:
        section.wrong("action", f"'{route.action}' is about another resource", f"write '{route.resource}:…'")
    if section.has("page") and route.verb is not Verb.LIST:
        section.wrong("page", "is only for 'does: list'", "remove it")
    if section.has("max_body_bytes") and route.verb in (Verb.READ, Verb.LIST, Verb.DELETE, Verb.DOWNLOAD):
        section.wrong("max_body_bytes", "on a route that takes no body", "remove it")


def _check_shape(route: RouteSpec, resource: Described, section: Section) -> None:
    """Reports where an answer's ids, items or next page cannot be found."""
    shape = route.shape
    if (shape.items is not None) != (route.verb is Verb.LIST):
        problem = "has no 'items'" if shape.items is None else "has 'items'"
        key = "list_answer" if route.verb is Verb.LIST else "record_answer"
        section.wrong(
            "answer", f"{problem}, and the route does '{route.verb}'", f"see the resource's '{key}'"
        )
    if route.page and route.page.first is None and shape.next is None:
        section.wrong(
            "page", "goes on by a cursor, and the answer has no 'next'", "say where it stands, or add 'first'"
        )
    if route.page is None and route.verb is Verb.LIST:
        section.problem(
            f"{section.what} is a list without 'page'", "say how the upstream is asked for a page"
        )
    root = shape.item_root if shape.items is not None else shape.root
    if within(shape.id, root):
        fault_of_field(section, resource, relative(shape.id, root), "answer", clear=True)


def _check_ambiguity(placed: list[tuple[RouteSpec, Section]]) -> None:
    """Reports two routes of one method that some path fits both."""
    for (one, first), (other, second) in combinations(placed, 2):
        if one.method != other.method or len(one.template) != len(other.template):
            continue
        if all(
            a == b or a.startswith("{") or b.startswith("{")
            for a, b in zip(one.template, other.template, strict=True)
        ):
            second.wrong(
                "request",
                f"and that of '{one.name}' (line {first.line_of('request')}) fit the same path",
                "one request has one meaning: change one of them",
            )


def _check_reads(placed: list[tuple[RouteSpec, Section]], resources: Mapping[str, Described]) -> None:
    """Reports a resource that could be changed but not read (a change needs the record as it was), or whose lists have no shape."""
    read = {route.resource for route, _ in placed if route.verb is Verb.READ}
    changed = {
        route.resource: section for route, section in placed if route.verb in (Verb.UPDATE, Verb.DELETE)
    }
    for name in sorted(changed.keys() - read):
        changed[name].problem(
            f"{changed[name].what} changes '{name}', which no route reads",
            "add a route that does 'read': the gateway looks at a record before it changes it",
            resources[name].section.line if name in resources else None,
        )
    listed = {route.resource for route, _ in placed if route.verb is Verb.LIST}
    for name, resource in resources.items():
        if resource.spec.present_target is not None and name not in listed:
            resource.section.wrong(
                "present", "is answered as a list, and no route lists this", "add a route that does 'list'"
            )

"""Beside the request path: what is different between two catalogues, place by place, and what of it could widen somebody's access.

Only what takes something away is called narrower: an upstream, a route, a parameter, a header, a field that is no fact, a value that may be
set, a mask's last look. Everything else widens until a person has looked: also what only means something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from gateway.catalogue.addressing import Catalogue
from gateway.words.resource import FieldSpec, Mask, ResourceSpec, RouteSpec, UpstreamSpec


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. place: `crm/customer /phone`, `crm route read-customer`. what: the property; was, now: as the files say it.

    Promises: the catalogue's own names and settings; a credential is a reference there, and its change is told without either side.
    """

    place: str
    what: str
    was: str
    now: str
    widens: bool


Narrower = Callable[[Any, Any], bool]


def _fewer(was: Iterable[object], now: Iterable[object]) -> bool:
    return set(now) <= set(was)


# What of a thing may change to something narrower → when it is. All else that changes may widen.
_FIELD: Mapping[str, Narrower] = {
    "mask": lambda _was, now: now is Mask.NONE,
    "server_set": lambda was, now: not was and now,
    "required": lambda was, now: not was and now,
    "values": lambda was, now: bool(now) and (not was or _fewer(was, now)),
}
_ROUTE: Mapping[str, Narrower] = {
    "request_headers": _fewer,
    "response_headers": _fewer,
    "max_body_bytes": lambda was, now: now < was,
}
_UPSTREAM: Mapping[str, Narrower] = {
    "connect_seconds": lambda was, now: now < was,
    "answer_seconds": lambda was, now: now < was,
    "max_answer_bytes": lambda was, now: now < was,
}
_SECRET = frozenset({"credential", "headers", "tls"})


def changes(old: Catalogue, new: Catalogue) -> tuple[Change, ...]:
    """Gives every difference, in the order of the new files' names. Empty for catalogues that mean the same."""
    found: list[Change] = []
    for name, was, now in _both(old.upstreams, new.upstreams):
        if was is None or now is None:
            found.append(_there(name, "upstream", now is not None))
        else:
            found += _upstream(was, now)
    return tuple(found)


def _both(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys((*new, *old)):
        yield name, old.get(name), new.get(name)


def _there(place: str, what: str, now: bool, *, widens: bool | None = None) -> Change:
    was_text, now_text = ("absent", "present") if now else ("present", "absent")
    return Change(place, what, was_text, now_text, now if widens is None else widens)


def _upstream(was: UpstreamSpec, now: UpstreamSpec) -> Iterator[Change]:
    yield from _properties(now.name, was, now, _UPSTREAM, apart={"name", "routes", "resources"})
    for name, before, after in _both(was.resources, now.resources):
        place = f"{now.name}/{name}"
        if before is None or after is None:
            yield _there(place, "resource", after is not None)
        else:
            yield from _resource(place, before, after)
    routes = ({route.name: route for route in side.routes} for side in (was, now))
    for name, before, after in _both(*routes):
        place = f"{now.name} route {name}"
        if before is None or after is None:
            yield _there(place, "route", after is not None)
        else:
            yield from _route(place, before, after)


def _resource(place: str, was: ResourceSpec, now: ResourceSpec) -> Iterator[Change]:
    yield from _properties(place, was, now, {}, apart={"upstream", "name", "fields", "destroyed_by"})
    for name, before, after in _both(
        {field.pattern: field for field in was.fields}, {field.pattern: field for field in now.fields}
    ):
        at = f"{place} {name}"
        if before is None:
            yield _there(at, "field", now=True)
        elif after is None:
            # Without its fact the conditions on it mean something else.
            yield _there(at, "field", now=False, widens=_is_read(before))
        else:
            yield from _properties(at, before, after, _FIELD, apart={"pattern"})


def _is_read(field: FieldSpec) -> bool:
    return field.fact is not None


def _route(place: str, was: RouteSpec, now: RouteSpec) -> Iterator[Change]:
    yield from _properties(place, was, now, _ROUTE, apart={"name", "upstream", "params"})
    before, after = ({param.name: param for param in side.params} for side in (was, now))
    for name, one, other in _both(before, after):
        if one is None or other is None:
            yield _there(f"{place} ?{name}", "parameter", other is not None)
        elif one != other:
            yield Change(f"{place} ?{name}", "parameter", "", "", widens=True)


def _properties(
    place: str, was: Any, now: Any, narrower: Mapping[str, Narrower], apart: set[str]
) -> Iterator[Change]:
    for one in fields(now):
        before, after = getattr(was, one.name), getattr(now, one.name)
        if one.name in apart or before == after:
            continue
        told = ("", "") if one.name in _SECRET else (_said(before), _said(after))
        rule = narrower.get(one.name)
        yield Change(place, one.name, *told, widens=rule is None or not rule(before, after))


def _said(value: object) -> str:
    if isinstance(value, frozenset | tuple):
        return ", ".join(sorted(map(_said, value))) or "none"
    if value is None:
        return "none"
    return str(getattr(value, "value", value))

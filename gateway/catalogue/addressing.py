"""Step 3 of the request path: addresses. The catalogue and the call give the question and the work. Pure, no I/O.

A trie over decoded segments finds the route; everything that the catalogue does not list is refused or dropped here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gateway.catalogue.bodies import no_body, read_draft
from gateway.catalogue.questions import raw_pairs, read_flags, read_query
from gateway.catalogue.templates import ID, PARENT, segments
from gateway.words.access import Access, Call, ResourceRef
from gateway.words.errors import Code, Refused
from gateway.words.principal import Principal
from gateway.words.resource import IdForm, ParamSpec, ResourceSpec, RouteSpec, UpdateMode, UpstreamSpec, Verb
from gateway.words.work import Addressed, Create, Delete, Download, Forward, List, Read, Send, Update, Work

PURPOSE_HEADER = "gatehouse-purpose"
OTHER_CONDITIONS = ("if-none-match", "if-modified-since", "if-unmodified-since", "if-range")
"""What a change may not be made to hang on: passed over unseen, the guard that its caller believes in would not be there."""
RANGES = ("range", "if-range")
"""Refused where bytes pass: a part of them would be served under an entry about the whole."""

_BODILESS = (Verb.READ, Verb.LIST, Verb.DELETE, Verb.DOWNLOAD)
# One entity-tag (RFC 9110 section 8.8.3), ASCII only.
_ENTITY_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e]{0,254}"')


@dataclass(frozen=True, slots=True)
class _Listed:
    """A route with what is looked up on each request, made once."""

    upstream: UpstreamSpec
    route: RouteSpec
    resource: ResourceSpec
    params: Mapping[str, ParamSpec]
    ids: tuple[tuple[str, int, IdForm], ...]  # placeholder, its place in the whole path, its resource's form


@dataclass(slots=True)
class _Node:
    """One step of the trie. below: literal segments and the two placeholders. here: routes that end here, by method."""

    below: dict[str, _Node] = field(default_factory=dict)
    here: dict[str, _Listed] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All upstreams, and step 3 over them. Immutable once made.

    digest: `sha256:…` over the files' content; comments, order of keys and layout do not change it. files: their bytes, by name.
    """

    upstreams: Mapping[str, UpstreamSpec]
    digest: str
    files: Mapping[str, bytes] = field(repr=False, compare=False, default_factory=dict)
    _root: _Node = field(init=False, repr=False, compare=False, default_factory=_Node)

    def __post_init__(self) -> None:
        for upstream in self.upstreams.values():
            for route in upstream.routes:
                _insert(self._root, upstream, route)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Where upstreams are mounted: what the edge's dispatcher sends into the corridor."""
        return tuple(upstream.prefix for upstream in self.upstreams.values())

    def resource(self, upstream: str, name: str) -> ResourceSpec | None:
        """Gives a resource by its upstream's name and its own, None when it is not described."""
        spec = self.upstreams.get(upstream)
        return None if spec is None else spec.resources.get(name)

    def address(self, call: Call, principal: Principal) -> Addressed:
        """Gives the question and the work.

        Raises Refused: NOT_FOUND (no route), METHOD_NOT_LISTED (`allow` names those that are), PURPOSE_NOT_HELD, PURPOSE_MISSING,
        PARAMETER_UNKNOWN, PARAMETER_MALFORMED, MEDIA_TYPE, BODY_MALFORMED, BODY_TOO_LARGE, HEADER_MALFORMED (If-Match, or
        another condition on a change; a range of opaque bytes);
        nothing else, whatever the call.
        """
        head = call.method == "HEAD"
        listed = _route(self._root, call, "GET" if head else call.method)
        route, resource = listed.route, listed.resource
        purpose = _purpose(call, principal)
        record, parent = _ids(listed, call.segments)
        above = None
        if parent is not None and resource.parent is not None:
            above = ResourceRef(upstream=route.upstream, resource=resource.parent, record=parent)
        return Addressed(
            access=Access(
                request=call.id,
                principal=principal,
                action=route.action,
                purpose=purpose,
                ref=ResourceRef(
                    upstream=route.upstream, resource=route.resource, record=record, parent=above
                ),
                time=call.received,
                trace=call.trace,
                callers_id=call.callers_id,
            ),
            work=_work(listed, call, head),
            upstream=listed.upstream,
            route=route,
            resource=resource,
        )


def _insert(root: _Node, upstream: UpstreamSpec, route: RouteSpec) -> None:
    node = root
    for segment in (*segments(upstream.prefix), *route.template):
        node = node.below.setdefault(segment, _Node())
    node.here[route.method] = _Listed(
        upstream=upstream,
        route=route,
        resource=upstream.resources[route.resource],
        params={param.name: param for param in route.params},
        ids=tuple(_id_places(upstream, route)),
    )


def _id_places(upstream: UpstreamSpec, route: RouteSpec) -> Iterator[tuple[str, int, IdForm]]:
    resource = upstream.resources[route.resource]
    for place, segment in enumerate(route.template, start=len(segments(upstream.prefix))):
        if segment == ID:
            yield ID, place, resource.id_form
        elif segment == PARENT and resource.parent is not None:
            yield PARENT, place, upstream.resources[resource.parent].id_form


def _route(root: _Node, call: Call, method: str) -> _Listed:
    """Gives the one route that fits. The loader made sure that no two of one method fit one path."""
    # Decided on segments, forwarded as path: where the two do not correspond one to one, nothing is decided.
    raw = tuple(call.path[1:].split("/"))
    if not call.path.startswith("/") or len(raw) != len(call.segments):
        raise Refused(Code.NOT_FOUND)
    nodes = _fitting(root, call.segments, raw)
    for node in nodes:
        listed = node.here.get(method)
        if listed is not None and _ids_fit(listed, call.segments):
            return listed
    methods = {name for node in nodes for name, one in node.here.items() if _ids_fit(one, call.segments)}
    if not methods:
        raise Refused(Code.NOT_FOUND)
    if "GET" in methods:
        methods.add("HEAD")
    raise Refused(Code.METHOD_NOT_LISTED, allow=", ".join(sorted(methods)))


def _fitting(root: _Node, decoded: tuple[str, ...], raw: tuple[str, ...]) -> list[_Node]:
    """Gives the ends of every template that the path fits, literal segments before placeholders."""
    nodes = [root]
    for segment, spelled in zip(decoded, raw, strict=True):
        # A literal has one spelling: its own.
        names = (segment, ID, PARENT) if segment == spelled else (ID, PARENT)
        nodes = [node.below[name] for node in nodes for name in names if name in node.below]
    return nodes


def _ids_fit(listed: _Listed, decoded: tuple[str, ...]) -> bool:
    """True when each segment in a placeholder's place may be an id of its resource."""
    return all(form.fits(decoded[place]) for _, place, form in listed.ids)


def _ids(listed: _Listed, decoded: tuple[str, ...]) -> tuple[str | None, str | None]:
    """Gives the record's id and its parent's, as far as the template has them."""
    record = parent = None
    for name, place, _ in listed.ids:
        if name == ID:
            record = decoded[place]
        else:
            parent = decoded[place]
    return record, parent


def _purpose(call: Call, principal: Principal) -> str | None:
    """Gives the purpose that the call names and the principal holds, or its only one. None when it holds none and names none."""
    named = call.header(PURPOSE_HEADER)
    if named is not None:
        if named not in principal.purposes:
            raise Refused(Code.PURPOSE_NOT_HELD)
        return named
    if len(principal.purposes) > 1:
        raise Refused(Code.PURPOSE_MISSING, header=PURPOSE_HEADER)
    return next(iter(principal.purposes), None)


def _work(listed: _Listed, call: Call, head: bool) -> Work:
    route = listed.route
    if route.verb in _BODILESS:
        no_body(call)
    if route.verb is Verb.LIST:
        query = read_query(call, listed.params)
        return List(to=_forward(listed, call, raw_pairs(query.passing)), query=query, head=head)
    read_flags(call, listed.params)
    if route.verb is Verb.DOWNLOAD:
        _none_of(RANGES, call)
    elif route.verb is not Verb.READ:
        _none_of(OTHER_CONDITIONS, call)
    to = _forward(listed, call, call.raw_query)
    match route.verb:
        case Verb.READ:
            return Read(to=to, head=head)
        case Verb.DOWNLOAD:
            return Download(to=to, head=head)
        case Verb.DELETE:
            return Delete(to=to, condition=_condition(call))
        case Verb.CREATE:
            return Create(to=to, draft=read_draft(call, route))
        case Verb.SEND:
            return Send(to=to, draft=read_draft(call, route))
    mode = route.mode or UpdateMode.MERGE
    return Update(to=to, draft=read_draft(call, route), mode=mode, condition=_condition(call))


def _forward(listed: _Listed, call: Call, raw_query: str) -> Forward:
    passing = listed.route.request_headers
    return Forward(
        path=call.path[len(listed.upstream.prefix) :],
        raw_query=raw_query,
        headers=tuple(pair for pair in call.headers if pair[0] in passing) if passing else (),
    )


def _none_of(names: tuple[str, ...], call: Call) -> None:
    for name in names:
        if call.header(name) is not None:
            raise Refused(Code.HEADER_MALFORMED, header=name)


def _condition(call: Call) -> str | None:
    """Gives the caller's If-Match: one entity-tag. `*` asks only that the record is there, which every change asks (None)."""
    value = call.header("if-match")
    if value is None or value == "*":
        return None
    if not _ENTITY_TAG.fullmatch(value):
        raise Refused(Code.HEADER_MALFORMED, header="if-match")
    return value

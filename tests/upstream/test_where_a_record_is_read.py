"""Where callers read a record, said without the upstream: for a create that is told of again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.upstream.adapter import Adapter
from gateway.upstream.address import AllowedHosts
from gateway.upstream.links import address_of
from gateway.upstream.places import Places
from gateway.words.access import Access, ResourceRef
from gateway.words.draft import Draft
from gateway.words.principal import Party, Principal
from gateway.words.resource import Verb
from gateway.words.work import Addressed, Create, Forward
from tests.gate.house import RESOURCE, UPSTREAM, route

READ = replace(route(Verb.READ), template=("things", "{id}"))
BELOW = replace(READ, resource="note", template=("things", "{parent}", "notes", "{id}"))
ALONE = replace(READ, resource="note", template=("notes", "{id}"))
THING = ResourceRef("shelf", "thing", "a@b c/龙")
NOTE = ResourceRef("shelf", "note", "n1", THING)


@pytest.mark.parametrize(
    ("routes", "ref", "address"),
    [
        ((READ,), THING, "/shelf/things/a%40b%20c%2F%E9%BE%99"),
        ((READ, BELOW), NOTE, "/shelf/things/a%40b%20c%2F%E9%BE%99/notes/n1"),
        ((BELOW, ALONE), replace(NOTE, parent=None), "/shelf/notes/n1"),
        ((BELOW,), replace(NOTE, parent=None), None),
        ((BELOW,), THING, None),
        ((replace(READ, verb=Verb.DELETE),), THING, None),
        ((READ,), replace(THING, record=None), None),
    ],
)
def test_it_is_the_path_of_a_route_that_reads_it(
    routes: tuple[object, ...], ref: ResourceRef, address: str | None
) -> None:
    assert address_of(replace(UPSTREAM, routes=routes), ref) == address  # type: ignore[arg-type]


@pytest.mark.parametrize(("listed", "said"), [({"location", "etag"}, ("/shelf/things/a",)), ({"etag"}, ())])
def test_it_is_said_where_the_route_lets_location_pass(listed: set[str], said: tuple[str, ...]) -> None:
    made = replace(route(Verb.CREATE), response_headers=frozenset(listed))
    access = Access(
        "req_1",
        Principal(Party("app:a"), None, frozenset(), ()),
        made.action,
        None,
        ResourceRef("shelf", "thing"),
        datetime(2026, 11, 22, tzinfo=UTC),
    )
    what = Addressed(
        access, Create(Forward("/things"), Draft({})), replace(UPSTREAM, routes=(READ, made)), made, RESOURCE
    )
    adapter = Adapter(Places(environment={}, allowed=AllowedHosts([])))
    given = adapter.location_headers(what, replace(THING, record="a"))
    assert given == tuple(("location", address) for address in said)

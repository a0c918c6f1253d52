"""Where callers read a record, said without the upstream: for a create that is told of again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.upstream.links import address_of
from gateway.words.access import ResourceRef
from gateway.words.resource import Verb
from tests.gate.house import UPSTREAM, route

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

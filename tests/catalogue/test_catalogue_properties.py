"""Laws of step 3 and of the loader: one of their own errors or a value, whatever comes in."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalogue import Catalogue, load
from gateway.words.errors import Misconfigured, Refused
from gateway.words.filter import fields_of
from gateway.words.work import Addressed, Delete, List, Read
from tests.catalogue.builders import HOSTS, SHOP, call, principal, write

with tempfile.TemporaryDirectory() as _folder:
    CATALOGUE = load(write(Path(_folder), SHOP), allowed_hosts=HOSTS)

WORDS = ["shop", "buyers", "orders", "import", "b_1", "", ".", "..", "{id}", "a/b", "龙", "x" * 201]
NAMES = [
    "limit",
    "cursor",
    "count",
    "sort",
    "fields",
    "unit",
    "unit[in]",
    "tag",
    "score[ge]",
    "active",
    "at[lt]",
    "lang",
    "page",
    "",
]
VALUES = [
    "",
    "1",
    "true",
    "zh",
    "-at",
    "at,unit",
    "name",
    "north",
    "north,south",
    "2026-11-01",
    "2026-11-01T00:00:00Z",
    "abc",
]
HEADERS = [
    ("content-type", "application/json"),
    ("content-type", "text/plain"),
    ("if-match", '"1"'),
    ("if-match", "1"),
    ("gatehouse-purpose", "service"),
    ("gatehouse-purpose", "audit"),
    ("accept-language", "zh"),
]
BODIES = [b"", b"{}", b"[]", b'{"data":{}}', b'{"data":{"a":"b"}}', b"\xff", b"[" * 5000]

segments = st.lists(st.sampled_from(WORDS) | st.text(max_size=4), max_size=6).map(tuple)
pairs = st.lists(
    st.tuples(st.sampled_from(NAMES) | st.text(max_size=5), st.sampled_from(VALUES) | st.text(max_size=5)),
    max_size=4,
)
listed = st.sampled_from(
    [
        "/shop/buyers",
        "/shop/buyers/b_1",
        "/shop/buyers/import",
        "/shop/buyers/b_1/orders",
        "/shop/buyers/b_1/orders/o",
    ]
)


@settings(deadline=None)
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "get", ""]),
    target=listed | segments.map(lambda parts: "/" + "/".join(parts)),
    parts=segments | st.none(),
    query=pairs,
    spelled=st.booleans(),
    headers=st.lists(st.sampled_from(HEADERS), max_size=3).map(tuple),
    body=st.sampled_from(BODIES) | st.binary(max_size=8),
    purposes=st.sampled_from([(), ("service",), ("service", "audit")]),
)
def test_every_call_is_addressed_or_refused(
    method: str,
    target: str,
    parts: tuple[str, ...] | None,
    query: list[tuple[str, str]],
    spelled: bool,
    headers: tuple[tuple[str, str], ...],
    body: bytes,
    purposes: tuple[str, ...],
) -> None:
    what = replace(
        call("GET", "/shop/buyers"),
        method=method,
        path=target,
        segments=tuple(target[1:].split("/")) if parts is None else parts,
        query=tuple(query),
        raw_query="&".join(f"{name}={value}" if spelled else name for name, value in query),
        headers=headers,
        body=body,
    )
    try:
        found = CATALOGUE.address(what, principal(*purposes))
    except Refused:
        return
    check(found, purposes)


def check(found: Addressed, purposes: tuple[str, ...]) -> None:
    assert found.access.purpose in purposes or (found.access.purpose is None and not purposes)
    assert found.route in found.upstream.routes
    assert found.resource is found.upstream.resources[found.route.resource]
    assert found.access.action.startswith(found.resource.name + ":")
    assert (found.ref.record is not None) == ("{id}" in found.route.template)
    assert (found.ref.parent is not None) == ("{parent}" in found.route.template)
    if isinstance(found.work, List):
        asked = found.work.query
        assert asked.uses == fields_of(asked.filter) | {key.field for key in asked.sort}
        assert not any(spec.sealed for spec in found.resource.fields if spec.pattern in asked.uses)
    if isinstance(found.work, Read | List | Delete):
        assert not hasattr(found.work, "draft")


@settings(deadline=None)
@given(unit=st.text(max_size=8), order=st.permutations(["unit", "limit", "sort"]))
def test_the_order_of_parameters_changes_no_question(unit: str, order: list[str]) -> None:
    given_pairs = {"unit": unit, "limit": "7", "sort": "-at"}
    query = tuple((name, given_pairs[name]) for name in order)
    what = replace(
        call("GET", "/shop/buyers"),
        query=query,
        raw_query="&".join(f"{n}={v}" for n, v in query if "&" not in v),
    )
    try:
        found = CATALOGUE.address(what, principal("service"))
    except Refused:
        return
    assert isinstance(found.work, List)
    assert (found.work.query.limit, found.work.query.uses) == (7, {"/unit", "/at"})


LINES = SHOP.splitlines()


@settings(max_examples=50, deadline=None)
@given(
    at=st.integers(0, len(LINES) - 1),
    how=st.sampled_from(["drop", "double", "indent", "swap", "cut", "null", "list", "number"]),
    other=st.integers(0, len(LINES) - 1),
)
def test_a_broken_file_is_refused_with_its_lines_or_still_read(at: int, how: str, other: int) -> None:
    lines = list(LINES)
    match how:
        case "drop":
            del lines[at]
        case "double":
            lines.insert(at, lines[at])
        case "indent":
            lines[at] = "  " + lines[at]
        case "swap":
            lines[at], lines[other] = lines[other], lines[at]
        case "cut":
            lines = lines[:at]
        case _:
            value = {"null": "", "list": "[a, {b: c}]", "number": "-7"}[how]
            lines[at] = lines[at].split(": ")[0].rstrip(":") + ": " + value
    with tempfile.TemporaryDirectory() as folder:
        found = outcome(write(Path(folder), "\n".join(lines)))
    assert isinstance(found, Catalogue) or found
    if isinstance(found, tuple):
        assert all(problem.startswith("shop.yaml:") and "; " in problem for problem in found)


def outcome(folder: Path) -> Catalogue | tuple[str, ...]:
    try:
        return load(folder, allowed_hosts=HOSTS)
    except Misconfigured as error:
        return error.problems

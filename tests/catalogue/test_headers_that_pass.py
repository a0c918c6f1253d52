"""A header that would never pass is a mistake in the file, not a line that looks as if it did something."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.upstream.target import back, onward
from gateway.words.errors import Misconfigured
from tests.catalogue.builders import changed, problems, shop

REQUEST = """accept accept-encoding content-encoding content-type idempotency-key if-match if-modified-since if-none-match if-range
if-unmodified-since origin range referer user-agent x-ms-client-principal x-method"""
RESPONSE = """accept-ranges age alt-svc audit-ref cache-control content-disposition content-encoding content-location content-md5
content-range content-type date digest refresh repr-digest server x-content-type-options set-cookie x-accel-redirect"""
CANDIDATES = sorted(
    {*REQUEST.split(), *RESPONSE.split()}
    | {
        "accept-language",
        "dnt",
        "etag",
        "last-modified",
        "link",
        "location",
        "prefer",
        "retry-after",
        "vary",
        "x-requested-with",
        "x-tenant",
    }
)


def refused(tmp_path: Path, key: str, name: str) -> bool:
    usual = {"request_headers": "[accept-language]", "response_headers": "[etag]"}[key]
    text = changed(f"{key}: {usual}", f"{key}: [{name}]")
    line = text[: text.index(f"{key}:")].count("\n") + 1
    try:
        shop(tmp_path, text)
    except Misconfigured:
        (problem,) = problems(tmp_path, text)
        assert problem.startswith(f"shop.yaml:{line}: "), problem
        assert f"'{name}' never passes" in problem
        return True
    return False


@pytest.mark.parametrize("name", REQUEST.split())
def test_a_request_header_that_the_gateway_says_itself_is_a_mistake(tmp_path: Path, name: str) -> None:
    assert refused(tmp_path, "request_headers", name)


@pytest.mark.parametrize("name", RESPONSE.split())
def test_a_response_header_that_the_gateway_makes_itself_is_a_mistake(tmp_path: Path, name: str) -> None:
    assert refused(tmp_path, "response_headers", name)


def test_what_is_listed_passes_and_what_would_be_dropped_is_refused(tmp_path: Path) -> None:
    for name in CANDIDATES:
        listed = frozenset({name})
        assert refused(tmp_path, "request_headers", name) >= (not onward([(name, "x")], listed)), name
        assert refused(tmp_path, "response_headers", name) >= (not back([(name, "x")], listed)), name


def test_a_system_gets_what_it_demands_as_a_fixed_header(tmp_path: Path) -> None:
    text = changed("{x-tenant: bank}", "{origin: 'https://shop.example', referer: 'https://shop.example/'}")
    fixed = dict(shop(tmp_path, text).upstreams["shop"].headers)
    assert fixed == {"origin": "https://shop.example", "referer": "https://shop.example/"}

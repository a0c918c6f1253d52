"""What a key is, whose it is, and for which request it stands."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.idempotency.claims import Claims, read_key
from gateway.keys import Keyring, create_key_file, from_file
from gateway.words.access import Access, Call, ResourceRef
from gateway.words.claim import Claim
from gateway.words.draft import Draft
from gateway.words.errors import Code, Refused
from gateway.words.principal import Party, Principal, RoleHeld
from gateway.words.resource import Verb
from gateway.words.work import Addressed, Create, Forward
from tests.gate.house import RESOURCE, UPSTREAM, route

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DESK = Principal(Party("app:desk"), None, frozenset({"service"}), ("api-key:key_1",))


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"a b, c; d"', "a b, c; d"),
        (r'"say \"a\" \\ b"', r'say "a" \ b'),
        ("a" * 255, "a" * 255),
        ('"' + "a" * 255 + '"', "a" * 255),
        ("KG4L/+=.:~_!", "KG4L/+=.:~_!"),
    ],
)
def test_a_key_is_a_string_of_structured_fields_or_bare(value: str, key: str) -> None:
    assert read_key(value) == key


@pytest.mark.parametrize(
    "value",
    [
        "",
        '""',
        '"a',
        'a"',
        '"a"b',
        '"a";b=1',
        "a;b=1",
        '"a", "b"',
        "a,b",
        "a b",
        r'"a\b"',
        '"a\\"',
        r"a\b",
        '"é"',
        "é",
        '"a\tb"',
        "a" * 256,
        '"' + "a" * 256 + '"',
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(value: str) -> None:
    with pytest.raises(Refused) as refusal:
        read_key(value)
    assert (refusal.value.code, refusal.value.params) == (
        Code.HEADER_MALFORMED,
        {"header": "idempotency-key"},
    )


@pytest.fixture(scope="module")
def claims(tmp_path_factory: pytest.TempPathFactory) -> Claims:
    return made(tmp_path_factory.mktemp("keys"))


def made(folder: Path) -> Claims:
    create_key_file(folder / "keys.json")
    return Claims(Keyring(from_file(folder / "keys.json")))


def claim(
    claims: Claims,
    key: str | None = "k1",
    *,
    principal: Principal = DESK,
    purpose: str | None = "service",
    passing: tuple[tuple[str, str], ...] = (),
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),),
    **change: Any,
) -> Claim | None:
    named = () if key is None else (("idempotency-key", key),)
    call = Call("req_1", "POST", "/a", ("a",), "", (), (*named, *headers), b'{"name":"n"}', "127.0.0.1", NOW)
    access = Access("req_1", principal, "thing:create", purpose, ResourceRef("shelf", "thing"), NOW)
    work = Create(Forward("/a", headers=passing), Draft({}))
    what = Addressed(access, work, UPSTREAM, route(Verb.CREATE), RESOURCE)
    return claims.of(replace(call, **change), what)


def test_who_names_no_key_claims_nothing(claims: Claims) -> None:
    assert claim(claims, None) is None


def test_the_same_request_is_the_same_claim_in_every_process(claims: Claims) -> None:
    assert claim(claims) == claim(claims, '"k1"') == claim(Claims(claims._keyring))


def test_another_credential_peer_or_moment_is_the_same_request(claims: Claims) -> None:
    renewed = replace(DESK, proven=("api-key:key_2",), purposes=frozenset({"service", "audit"}))
    promoted = replace(renewed, application=Party("app:desk", frozenset({RoleHeld("role:agent")})))
    later = {"id": "req_2", "received": NOW.replace(hour=9), "peer": "10.0.0.7"}
    assert claim(claims, principal=promoted, **later) == claim(claims)


PERSON = replace(DESK, person=Party("person:https://issuer#li.wei"))


@pytest.mark.parametrize(
    "principal",
    [
        PERSON,
        replace(DESK, application=Party("app:desk2")),
        replace(PERSON, person=Party("person:https://issuer#li")),
        # What one party's id ends with is no beginning of the other's.
        replace(PERSON, application=Party("app:des"), person=Party("kperson:https://issuer#li.wei")),
    ],
)
def test_another_application_or_person_has_keys_of_his_own(claims: Claims, principal: Principal) -> None:
    mine, his = claim(claims), claim(claims, principal=principal)
    assert mine is not None
    assert his is not None
    assert (mine.key != his.key, mine.principal != his.principal, mine.request != his.request) == (True,) * 3


@pytest.mark.parametrize(
    "change",
    [
        {"method": "PUT"},
        {"path": "/b"},
        {"raw_query": "a=1"},
        {"body": b'{"name":"m"}'},
        {"body": b'{"name": "n"}'},
        {"body": b""},
        {"purpose": None},
        {"purpose": ""},
        {"purpose": "audit"},
        {"headers": ()},
        {"headers": (("content-type", "application/json"), ("if-match", '"1"'))},
        {"passing": (("accept-language", "zh"),)},
    ],
)
def test_a_key_of_one_caller_stands_for_one_request_to_the_last_byte(
    claims: Claims, change: dict[str, Any]
) -> None:
    one, other = claim(claims), claim(claims, **change)
    assert one is not None
    assert other is not None
    assert (one.key, one.principal) == (other.key, other.principal)
    assert one.request != other.request


def test_equal_requests_under_two_keys_are_not_seen_to_be_equal(claims: Claims) -> None:
    one, other = claim(claims, "k1"), claim(claims, "k2")
    assert one is not None
    assert other is not None
    assert (one.key != other.key, one.request != other.request) == (True, True)
    assert one.principal == other.principal


def test_nobody_without_the_root_secret_can_guess_a_key_or_a_body(claims: Claims, tmp_path: Path) -> None:
    mine, elsewhere = claim(claims), claim(made(tmp_path))
    assert mine is not None
    assert elsewhere is not None
    held = {mine.key, mine.principal, mine.request}
    assert held.isdisjoint({elsewhere.key, elsewhere.principal, elsewhere.request})
    assert elsewhere.mark != Claims(claims._keyring).mark(elsewhere.key, elsewhere.request, elsewhere.salt)
    assert {len(digest) for digest in held} == {32}


def test_a_mark_is_checked_with_the_salt_and_by_nobody_without_it(claims: Claims) -> None:
    one, again = claim(claims), claim(claims)
    assert one is not None
    assert again is not None
    assert one == again
    assert (one.salt != again.salt, one.mark != again.mark) == (True, True)
    assert claims.mark(again.key, again.request, one.salt) == one.mark
    assert (
        len(
            {claims.mark(one.key, one.request, again.salt), claims.mark(one.key, one.key, one.salt), one.mark}
        )
        == 3
    )
    assert (len(one.salt), len(one.mark)) == (16, 64)


def test_a_claim_says_nothing_of_the_request(claims: Claims) -> None:
    secret = os.urandom(16).hex()
    made = claim(claims, secret, body=secret.encode())
    assert secret not in repr(made)

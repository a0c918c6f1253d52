"""One function from an error to an answer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gateway.text import Language
from gateway.text.problems import Problem, problem
from gateway.words.decision import NOTHING_SHOWN, DecidedBy, Decision, Facts, Reason
from gateway.words.errors import (
    Barred,
    Code,
    Denied,
    GatehouseError,
    Misconfigured,
    NotSent,
    Refused,
    Unidentified,
)
from gateway.words.told import Cause, Told

# Written out once more: a status that changes by accident changes what every client does.
STATUS = {
    400: "target-ambiguous header-malformed body-malformed parameter-unknown parameter-malformed purpose-missing cursor-invalid "
    "grant-refused",
    401: "unidentified person-unproven",
    403: "denied purpose-not-held field-not-writable field-not-searchable person-needed approval-own approval-gains",
    404: "not-found",
    405: "method-not-listed",
    408: "too-slow",
    409: "conflict approval-over subject-changed subject-unbound record-withheld idempotency-key-in-use idempotency-unanswered",
    412: "changed-meanwhile",
    413: "body-too-large",
    414: "target-too-long",
    415: "media-type",
    422: "field-unknown member-unknown mask-submitted value-refused idempotency-key-reused",
    428: "condition-missing",
    429: "too-many over-budget",
    431: "headers-too-large",
    500: "internal",
    502: "upstream-refused upstream-unreachable upstream-malformed",
    503: "log-unavailable log-busy outcome-unrecorded fence-moving not-ready",
    504: "upstream-silent",
}

OF_THE_UPSTREAM = ("behind the gateway", "网关背后")
OF_THE_CATALOGUE = ("field catalogue", "字段目录")


def made(
    error: GatehouseError, language: Language = Language.ENGLISH
) -> tuple[Problem, dict[str, Any], dict[str, str]]:
    answer = problem(error, language, "req_1")
    return answer, json.loads(answer.body), dict(answer.headers)


def denial(reason: Reason) -> Decision:
    return Decision(
        False, reason, DecidedBy.BUNDLE, None, NOTHING_SHOWN, frozenset(), Facts(), "sha256:0", "e", 1
    )


@pytest.mark.parametrize("status", STATUS)
def test_every_code_has_its_status_and_its_texts(status: int) -> None:
    for code in STATUS[status].split():
        for language in Language:
            answer, told, headers = made(Refused(Code(code)), language)
            assert (answer.status, told["status"], told["type"]) == (
                status,
                status,
                f"urn:gatehouse:problem:{code}",
            )
            assert headers["content-type"] == "application/problem+json"
            assert headers["content-language"] == language.value
            assert told["title"]
            assert told["next"]


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize(
    ("error", "says", "not_this"),
    [
        (Refused(Code.HEADER_MALFORMED, header="request-line"), "HTTP/1.1", "Host"),
        (Refused(Code.BODY_MALFORMED, expected="no body"), "", "JSON"),
        (Refused(Code.HEADER_MALFORMED, header="if-match"), "ETag", "Host"),
        (Refused(Code.HEADER_MALFORMED, header="idempotency-key"), "255", "Host"),
        (Refused(Code.HEADER_MALFORMED, header="host"), "Host", "ETag"),
        (Refused(Code.HEADER_MALFORMED, header="authorization"), "`params`", "Host"),
        (Refused(Code.HEADER_MALFORMED, cause="form"), "CR LF", "Host"),
        (Refused(Code.VALUE_REFUSED, field="/expires"), "`params`", OF_THE_UPSTREAM),
        (Refused(Code.PARAMETER_UNKNOWN, parameter="x", known="none"), "`known`", OF_THE_CATALOGUE),
    ],
)
def test_what_to_do_fits_what_was_wrong(
    language: Language, error: Refused, says: str, not_this: str | tuple[str, ...]
) -> None:
    told = made(error, language)[1]["next"]
    assert says in told
    names = {not_this} if isinstance(not_this, str) else set(not_this)
    assert not [word for word in names if word in told]
    assert [word for word in names if word in made(Refused(error.code), language)[1]["next"]]


def test_nobody_waits_for_an_address_that_nothing_may_reach() -> None:
    assert "Try again" in made(NotSent())[1]["next"]
    said = made(Barred())[1]["next"]
    assert "waiting does not help" in said
    assert "Try again" not in said


def test_the_table_above_is_whole() -> None:
    assert sorted(code for codes in STATUS.values() for code in codes.split()) == sorted(
        code.value for code in Code
    )


def test_nothing_may_be_kept_or_guessed() -> None:
    headers = made(Unidentified())[2]
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


def test_parameters_are_told_as_they_are() -> None:
    told = made(Refused(Code.PARAMETER_UNKNOWN, parameter="sort"))[1]
    assert (told["params"], told["request"]) == ({"parameter": "sort"}, "req_1")
    assert "params" not in made(Refused(Code.NOT_FOUND))[1]


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Refused(Code.TOO_MANY), "60"),
        (Refused(Code.TOO_MANY, retry_after_seconds=7), "7"),
        (GatehouseError(Code.LOG_BUSY), "1"),
        (NotSent(), "5"),
        (Barred(), None),  # it is the same address in five seconds
        (GatehouseError(Code.OUTCOME_UNRECORDED, intent="7:ab"), None),
        (GatehouseError(Code.UPSTREAM_SILENT), None),
        (Refused(Code.NOT_FOUND), None),
        # The key itself keeps it from being done twice.
        (Refused(Code.IDEMPOTENCY_KEY_IN_USE), "5"),
        (Refused(Code.IDEMPOTENCY_UNANSWERED), None),
    ],
)
def test_trying_again_is_offered_only_where_nothing_can_have_happened(
    error: GatehouseError, seconds: str | None
) -> None:
    assert made(error)[2].get("retry-after") == seconds


@pytest.mark.parametrize(
    ("language", "may_be", "first", "corrects"),
    [
        (Language.ENGLISH, "may have been made", ("read the record", "look for"), "correct the request"),
        (Language.CHINESE, "可能已经生效", ("先读取记录", "先查找"), "更正请求"),
    ],
)
@pytest.mark.parametrize(
    "code", [Code.UPSTREAM_REFUSED, Code.UPSTREAM_SILENT, Code.UPSTREAM_MALFORMED], ids=str
)
def test_where_a_change_may_have_been_made_nobody_is_told_to_send_it_again(
    code: Code, language: Language, may_be: str, first: tuple[str, str], corrects: str
) -> None:
    told = made(GatehouseError(code), language)[1]
    said = f"{told['title']} {told['next']}".lower()
    assert may_be in said
    assert any(word in said for word in first)
    assert corrects not in said
    if code is Code.UPSTREAM_REFUSED:
        assert all(word in said for word in (*first, "idempotency-key", "audit-ref"))


def test_a_denial_says_which_bundle_denied_and_nobody_else_learns_of_one() -> None:
    denied = denial(Reason.NO_RULE)
    assert made(Denied(denied))[2]["gatehouse-policy"] == "sha256:0"
    # A record that is not his to know looks like one that is not there.
    for error in (Denied(denied, Code.NOT_FOUND), Refused(Code.NOT_FOUND), Unidentified()):
        assert "gatehouse-policy" not in made(error)[2]
    assert "gatehouse-policy" not in made(Denied(replace(denied, bundle="")))[2]


def test_only_a_401_is_a_challenge() -> None:
    challenged = {code for code in Code if "www-authenticate" in made(Refused(code))[2]}
    assert challenged == {Code.UNIDENTIFIED, Code.PERSON_UNPROVEN}


def test_a_405_names_the_methods_that_are_offered() -> None:
    assert made(Refused(Code.METHOD_NOT_LISTED, allow="GET, HEAD"))[2]["allow"] == "GET, HEAD"


def test_a_denial_says_why_but_a_floor_says_nothing_of_the_customer() -> None:
    assert made(Denied(denial(Reason.NO_RULE)))[1]["params"] == {"reason": "no-rule"}
    for floor in (Reason.ERASED, Reason.REFUSED_BY_CUSTOMER):
        assert made(Denied(denial(floor)))[1] == made(Denied(denial(Reason.NO_RULE)))[1]


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("cause", list(Cause))
def test_a_denial_tells_its_caller_what_was_made_for_him_and_nothing_of_the_decision(
    cause: Cause, language: Language
) -> None:
    told = Told(
        Reason.NO_RULE, cause, "customer:update", "service", "app:desk", ("audit", "marketing"), ("role:a",)
    )
    answers = {
        problem(Denied(denial(reason), told=told), language, "req_1").body
        for reason in Reason
        if reason not in (Reason.RULE_ALLOWED, Reason.GRANT_ALLOWED)
    }
    assert len(answers) == 1
    said = json.loads(answers.pop())
    assert said["params"] == {"reason": "no-rule", "cause": cause.value, "purposes": "audit marketing"}
    assert said["detail"]
    assert "{" not in said["detail"]


def test_a_denial_told_as_not_found_is_the_same_to_the_last_byte() -> None:
    told = Told(Reason.NO_RULE, Cause.ROLES, "customer:read")
    hidden = problem(Denied(denial(Reason.NO_RULE), Code.NOT_FOUND, told), Language.ENGLISH, "req_1")
    assert hidden == problem(Refused(Code.NOT_FOUND), Language.ENGLISH, "req_1")


def test_a_recorded_refusal_names_its_entry() -> None:
    error = Refused(Code.VALUE_REFUSED)
    assert "audit-ref" not in made(error)[2]
    error.entry = "7:ab"
    assert made(error)[2]["audit-ref"] == "7:ab"


def test_what_is_misconfigured_is_for_operators() -> None:
    answer = made(Misconfigured("policies/catalogue/crm.yaml:7: host 10.0.0.1 is not on the list"))[0]
    assert b"10.0.0.1" not in answer.body
    assert b"params" not in answer.body


def test_a_cause_is_never_told() -> None:
    error = GatehouseError(Code.INTERNAL)
    error.__cause__ = ValueError("张伟 13800001234")
    answer = made(error)[0]
    assert "张伟".encode() not in answer.body
    assert "13800001234" not in repr(answer)

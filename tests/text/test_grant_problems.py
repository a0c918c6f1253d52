"""What the token endpoint refuses is told in OAuth's words and in ours, in one document."""

from __future__ import annotations

import json
import re

import pytest

from gateway.text import Language
from gateway.text.problems import problem
from gateway.words.errors import Code, GrantError, GrantRefused

# RFC 6749 section 5.2: what a description may hold.
DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("error", list(GrantError))
def test_a_refusal_has_both_words(error: GrantError, language: Language) -> None:
    answer = problem(GrantRefused(error, parameter="scope"), language, "req_1")
    told, headers = json.loads(answer.body), dict(answer.headers)
    assert (answer.status, told["error"], told["status"]) == (400, error.value, 400)
    assert told["type"] == "urn:gatehouse:problem:grant-refused"
    assert told["params"] == {"parameter": "scope"}
    assert DESCRIPTION.fullmatch(told["error_description"])
    assert (headers["content-type"], headers["cache-control"]) == ("application/json", "no-store")
    assert "www-authenticate" not in headers


def test_a_client_that_is_not_proven_is_told_how_to_prove_itself() -> None:
    answer = problem(GrantRefused(GrantError.INVALID_CLIENT, Code.UNIDENTIFIED), Language.CHINESE, "req_1")
    told, headers = json.loads(answer.body), dict(answer.headers)
    assert (answer.status, told["error"]) == (401, "invalid_client")
    assert told["type"] == "urn:gatehouse:problem:unidentified"
    assert DESCRIPTION.fullmatch(told["error_description"])
    assert headers["www-authenticate"] == 'Basic realm="gatehouse"'

"""What schemathesis is told besides the description: our own checks, and the credential that it must not revoke under itself.

Runs inside schemathesis's process. SCHEMA_OWN_KEY: the id of the key that it asks with; SCHEMA_SEEN: where what it saw is written.
"""

import json
import os
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import schemathesis

OWN = os.environ["SCHEMA_OWN_KEY"]
NOBODYS = "key_" + "0" * 26
EXAMPLE = "2027-01-31T00:00:00Z"
PROBLEM = "application/problem+json"
SEEN: defaultdict[str, Counter[int]] = defaultdict(Counter)


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """It finds every key's id in what it is shown, its own too: that one it would revoke, and be nobody from then on.

    And the moment that the description gives for an example is one to come, whenever this runs.
    """
    if isinstance(case.body, dict) and case.body.get("expires") == EXAMPLE:
        case.body["expires"] = (datetime.now(UTC) + timedelta(days=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for name, value in (case.path_parameters or {}).items():
        if OWN in str(value):
            case.path_parameters[name] = NOBODYS


@schemathesis.hook
def after_call(
    context: schemathesis.HookContext, case: schemathesis.Case, response: schemathesis.Response
) -> None:
    """Notes what each operation answered."""
    SEEN[f"{case.method.upper()} {case.operation.path}"][response.status_code] += 1
    Path(os.environ["SCHEMA_SEEN"]).write_text(json.dumps(SEEN))


@schemathesis.check
def refusals_are_problems(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """Whatever /v1 refuses, however it was asked, is one problem that says so itself (RFC 9457)."""
    if response.status_code < 400 or not case.operation.path.startswith("/v1/"):
        return
    assert response.headers.get("content-type") == [PROBLEM], response.headers.get("content-type")
    if response.request.method == "HEAD":
        return
    said = response.json()
    assert said["status"] == response.status_code
    assert said["type"].startswith("urn:gatehouse:problem:")
    assert response.headers["gatehouse-request"] == [said["request"]]
    assert said["title"]
    assert said["next"]


@schemathesis.check
def strangers_are_told_how_to_come_in(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """A 401 names its scheme (RFC 9110 section 11.6.1)."""
    if response.status_code == 401:
        assert response.headers.get("www-authenticate"), "401 without WWW-Authenticate"


@schemathesis.check
def answers_are_kept_by_nobody(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """Every answer, refusals too, is for its caller alone."""
    assert response.headers.get("cache-control") == ["no-store"], response.headers.get("cache-control")
    assert response.headers.get("x-content-type-options") == ["nosniff"]

"""The one function from an error to an answer that people and programs read: problem+json (RFC 9457). Pure; every door uses it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from gateway.text.catalogue import Language, text
from gateway.words.budget import Counted
from gateway.words.decision import Reason
from gateway.words.errors import STATUS, Code, Denied, GatehouseError, GrantRefused
from gateway.words.told import Cause, Told

MEDIA_TYPE: Final = "application/problem+json"
GRANT_MEDIA_TYPE: Final = "application/json"
"""Of the token endpoint's own refusals: OAuth clients read `error` there (RFC 6749 section 5.2), and ours stand beside it."""
SAFE_HEADERS: Final = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))
"""On every answer of every door: nothing here may be kept by a cache or guessed at by a browser."""
CHALLENGE: Final = 'Bearer realm="gatehouse"'
CLIENT_CHALLENGE: Final = 'Basic realm="gatehouse"'

REQUEST_LINE: Final = "request-line"
"""The name, among headers, of the line before them."""
NO_BODY: Final = "no body"
BARRED: Final = "address-not-permitted"
"""The reason of words.errors.Barred."""
_NONE: Final = "-"
NEXT_INSTEAD: Final[Mapping[tuple[Code, str], str]] = {
    (Code.HEADER_MALFORMED, REQUEST_LINE): "problem.header-malformed.request-line",
    (Code.HEADER_MALFORMED, "host"): "problem.header-malformed.host",
    (Code.HEADER_MALFORMED, "transfer-encoding"): "problem.header-malformed.framing",
    (Code.HEADER_MALFORMED, "upgrade"): "problem.header-malformed.upgrade",
    (Code.HEADER_MALFORMED, "connection"): "problem.header-malformed.connection",
    (Code.HEADER_MALFORMED, "if-match"): "problem.header-malformed.if-match",
    (Code.HEADER_MALFORMED, "idempotency-key"): "problem.header-malformed.idempotency-key",
    (Code.HEADER_MALFORMED, "form"): "problem.header-malformed.form",
    (Code.BODY_MALFORMED, NO_BODY): "problem.body-malformed.no-body",
    (Code.UPSTREAM_UNREACHABLE, BARRED): "problem.upstream-unreachable.barred",
}
"""Where what to do depends on a parameter of the error: (code, the parameter's text) → the text's key."""
NEXT_WHERE_NAMED: Final[Mapping[tuple[Code, str], str]] = {
    (Code.HEADER_MALFORMED, "header"): "problem.header-malformed.named",
    (Code.PARAMETER_UNKNOWN, "known"): "problem.parameter-unknown.known",
    (Code.VALUE_REFUSED, "field"): "problem.value-refused.named",
}
"""Where it depends on whether the error has a parameter: (code, the parameter's name) → the text's key."""

_RETRY_SECONDS: Final[Mapping[Code, int]] = {
    # Only where nothing was forwarded, or the key keeps it from being done twice: trying again can do no harm (RFC 9110 section 10.2.3).
    Code.IDEMPOTENCY_KEY_IN_USE: 5,
    Code.TOO_MANY: 60,
    Code.UPSTREAM_UNREACHABLE: 5,
    Code.LOG_UNAVAILABLE: 5,
    Code.LOG_BUSY: 1,
    Code.FENCE_MOVING: 1,
    Code.NOT_READY: 5,
}
_OVER: Final[Mapping[Counted, str]] = {
    Counted.SUBJECTS: "told.over-budget.subjects",
    Counted.CLEAR_FIELDS: "told.over-budget.clear-fields",
    Counted.SEARCHES: "told.over-budget.searches",
}
_TOLD: Final[Mapping[Cause, str]] = {
    Cause.PURPOSE_NOT_HELD: "told.purpose-not-held",
    Cause.OTHER_PURPOSE: "told.other-purpose",
    Cause.APPLICATION: "told.application",
    Cause.ROLES: "told.roles",
    Cause.FORBIDDEN: "told.forbidden",
    Cause.WHO_OR_WHEN: "told.who-or-when",
    Cause.DEPENDS: "told.depends",
    Cause.UNDECIDED: "told.undecided",
}
# A floor's reason says something about the customer (erased, refused), which is nobody's to learn from a 403: it is told as `no-rule`.
_REASONS_TOLD: Final = frozenset(
    {Reason.RULE_DENIED, Reason.NO_RULE, Reason.PURPOSE_NOT_HELD, Reason.NO_BUNDLE, Reason.ENGINE_ERROR}
)


@dataclass(frozen=True, slots=True)
class Problem:
    """An answer that explains an error; has the shape of a Reply. Header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


def problem(error: GatehouseError, language: Language, request_id: str) -> Problem:
    """Gives the answer for any error of the tree.

    Body: type `urn:gatehouse:problem:<code>`, title, status, next (what to do), request (its id), params (the error's own, when
    it has any; of a denial its reason and its cause), and of a denial `detail`, the caller's part of its explanation, or
    what a budget allows.
    Headers: media type, language, `Cache-Control: no-store`, and where they apply WWW-Authenticate (401), Audit-Ref (the
    refusal's own entry), Gatehouse-Policy (the bundle that denied),
    Retry-After (the parameter `retry_after_seconds` when the error carries it), Allow (the parameter `allow`).
    Promises: nothing of a cause's text; a Misconfigured's problems are for operators and do not appear.
    """
    status = STATUS[error.code]
    params = _params(error)
    instead = _instead(error)
    document: dict[str, object] = {
        "type": f"urn:gatehouse:problem:{error.code.value}",
        "title": text(f"problem.{error.code.value}.title", language),
        "status": status,
        "next": text(instead or f"problem.{error.code.value}.next", language),
        "request": request_id,
    }
    if (told := _told(error)) is not None:
        document["detail"] = told_text(told, language)
    elif error.code is Code.OVER_BUDGET and "counts" in params:
        document["detail"] = _over(params, language)
    if params:
        document["params"] = params
    media, challenge = MEDIA_TYPE, CHALLENGE
    if isinstance(error, GrantRefused):
        # Section 5.2 allows a description printable ASCII only, so it is in English whatever was asked for.
        said = text(f"problem.{error.code.value}.title", Language.ENGLISH)
        document = {"error": error.error.value, "error_description": said, **document}
        media, challenge = GRANT_MEDIA_TYPE, CLIENT_CHALLENGE
    headers = [("content-type", media), ("content-language", language.value), *SAFE_HEADERS]
    if error.entry is not None:
        headers.append(("audit-ref", error.entry))
    # Told as NOT_FOUND it must look like a record that is not there, of which no bundle decided.
    if isinstance(error, Denied) and error.code is Code.DENIED and error.decision.bundle:
        headers.append(("gatehouse-policy", error.decision.bundle))
    if status == 401:
        headers.append(("www-authenticate", challenge))
    retry = params.get("retry_after_seconds", None if instead else _RETRY_SECONDS.get(error.code))
    if isinstance(retry, int):
        headers.append(("retry-after", str(retry)))
    if status == 405 and "allow" in params:
        headers.append(("allow", str(params["allow"])))
    return Problem(status, tuple(headers), orjson.dumps(document))


def _instead(error: GatehouseError) -> str | None:
    keys = (NEXT_INSTEAD.get((error.code, str(value))) for value in error.params.values())
    named = (NEXT_WHERE_NAMED.get((error.code, name)) for name in error.params)
    return next(filter(None, keys), None) or next(filter(None, named), None)


def _params(error: GatehouseError) -> dict[str, str | int]:
    params = dict(error.params)
    # A denial told as NOT_FOUND must look like a record that is not there, to the last byte.
    if isinstance(error, Denied) and error.code is Code.DENIED:
        told = _told(error)
        # The decision's own reason would say which of two records it was: which rule met it hangs on its facts.
        reason = Reason.NO_RULE if told is None else told.reason
        params["reason"] = (reason if reason in _REASONS_TOLD else Reason.NO_RULE).value
        if told is not None:
            params["cause"] = told.cause.value
            params |= {"purposes": " ".join(told.purposes)} if told.purposes else {}
    return params


def _over(params: Mapping[str, str | int], language: Language) -> str:
    """Gives what a budget allows, as a sentence or two."""
    return text(
        _OVER[Counted(str(params["counts"]))],
        language,
        budget=params["budget"],
        most=params["most"],
        window=int(params["window_seconds"]) // 60,
        until=params["until"],
    )


def _told(error: GatehouseError) -> Told | None:
    return error.told if isinstance(error, Denied) and error.code is Code.DENIED else None


def told_text(told: Told, language: Language) -> str:
    """Gives what a caller is told of his denial, as a sentence or two."""
    return text(
        _TOLD[told.cause],
        language,
        action=told.action,
        purpose=told.purpose or _NONE,
        application=told.application,
        purposes=", ".join(told.purposes),
        roles=", ".join(told.roles) or _NONE,
    )

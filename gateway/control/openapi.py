"""The control door: `/schema/openapi.json`, OpenAPI 3.1. Written out here, its schemas made of `shapes`; a test holds it to the routes."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
from litestar import Response, route

from gateway import __version__
from gateway.activating.history import MAX_LISTED as MOST_TOLD
from gateway.control import shapes
from gateway.control.approvals import SHOWN
from gateway.control.deps import AnyRequest, call_of
from gateway.control.keys import JSON
from gateway.credentials import MAX_LISTED
from gateway.words.errors import STATUS, Code

PROBLEM = "application/problem+json"
SHAPES = (
    shapes.ActivationDone,
    shapes.ActivationWanted,
    shapes.Alive,
    shapes.BundleHistory,
    shapes.Caller,
    shapes.ClientIssued,
    shapes.Discovered,
    shapes.ExplanationGiven,
    shapes.ExplanationWanted,
    shapes.FreezeList,
    shapes.GrantProblem,
    shapes.KeyIssued,
    shapes.KeyPage,
    shapes.KeyWanted,
    shapes.LiftWanted,
    shapes.Problem,
    shapes.Ready,
    shapes.SecretIssued,
    shapes.SecretWanted,
    shapes.TokenGiven,
    shapes.TokenWanted,
)

# What keytext.is_id takes.
_KEY_ID = {"type": "string", "pattern": "^key_[0-9a-hjkmnp-tv-z]{26}$"}
_APPROVAL_ID = {"type": "string", "pattern": "^apr_[0-9a-hjkmnp-tv-z]{26}$"}
_KEY: list[dict[str, list[str]]] = [{"apiKey": []}, {"apiKey": [], "personToken": []}]
# At every address: what cannot be read in one way, a parameter that is none of its, another method than those listed (with `Allow`).
_ANYWHERE = (
    Code.TARGET_AMBIGUOUS,
    Code.HEADER_MALFORMED,
    Code.PARAMETER_UNKNOWN,
    Code.METHOD_NOT_LISTED,
    Code.INTERNAL,
)
_ALWAYS = (*_ANYWHERE, Code.UNIDENTIFIED, Code.PERSON_UNPROVEN)
_RECORDED = (Code.LOG_UNAVAILABLE, Code.LOG_BUSY, Code.FENCE_MOVING, Code.NOT_READY)
_DECIDED = (Code.DENIED, Code.PURPOSE_NOT_HELD)
_BODY = (
    Code.BODY_MALFORMED,
    Code.BODY_TOO_LARGE,
    Code.MEDIA_TYPE,
    Code.MEMBER_UNKNOWN,
    Code.VALUE_REFUSED,
)
_UPSTREAM = (
    Code.UPSTREAM_REFUSED,
    Code.UPSTREAM_UNREACHABLE,
    Code.UPSTREAM_SILENT,
    Code.UPSTREAM_MALFORMED,
)
_QUERY = (Code.PARAMETER_MALFORMED, Code.FIELD_NOT_SEARCHABLE)
_WHY = {
    "example": {
        "who": "person:https://id.example#li.wei",
        "action": "customer:read",
        "purpose": "service",
        "facts": {"unit": "branch:shanghai"},
    }
}
FORM = "application/x-www-form-urlencoded"
_GRANT = (Code.GRANT_REFUSED, Code.UNIDENTIFIED)
"""What the token endpoint answers in OAuth's words, as JSON; all else is a problem there too."""


@route("/schema/openapi.json", http_method=["GET", "HEAD"], name="openapi")
async def openapi(request: AnyRequest) -> Response[bytes]:
    """Gives the description of this door."""
    headers = {"gatehouse-request": call_of(request).id}
    return Response(
        msgspec.json.encode(document()), headers=headers, media_type="application/vnd.oai.openapi+json"
    )


@cache
def document() -> dict[str, Any]:
    """Gives the whole description as plain JSON values."""
    _, schemas = msgspec.json.schema_components(SHAPES, ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gatehouse control plane",
            "version": __version__,
            "description": "Applications' data goes through the prefixes of the catalogue; this is what governs the gateway itself.",
        },
        "paths": _paths(),
        "components": {"schemas": schemas, "securitySchemes": _schemes()},
    }


def _schemes() -> dict[str, Any]:
    return {
        "apiKey": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "gh_…, or a JWT from /oauth/token",
            "description": "The application's key, or an access token that it got at /oauth/token.",
        },
        "clientBasic": {
            "type": "http",
            "scheme": "basic",
            "description": "A client's id and secret (RFC 6749 section 2.3.1); or both in the form.",
        },
        "personToken": {
            "type": "apiKey",
            "in": "header",
            "name": "Gatehouse-Person",
            "description": "A JWT that names the person, issued for this application, at most 15 minutes old.",
        },
    }


def _paths() -> dict[str, Any]:
    refused = _ALWAYS + _RECORDED
    no_change = Code.OUTCOME_UNRECORDED
    return {
        "/v1/whoami": {
            "get": _operation("whoami", "Who the caller is taken for", "Caller", refused),
        },
        "/v1/keys": {
            "get": _operation("list-keys", "List API keys", "KeyPage", refused + _DECIDED + _QUERY)
            | {"parameters": [_purpose(), *_paging()]},
            "post": _operation(
                "issue-key",
                "Issue an API key; its text is in this answer and nowhere else",
                "KeyIssued",
                (*refused, *_DECIDED, *_BODY, Code.CONFLICT, no_change),
                status=201,
            )
            | {
                "parameters": [_purpose()],
                "requestBody": {"required": True, "content": _content("KeyWanted")},
            },
        },
        "/v1/keys/{key_id}": {
            "delete": _operation(
                "revoke-key",
                "Revoke an API key; once this answers, no process serves it",
                None,
                (*refused, *_DECIDED, Code.NOT_FOUND, no_change),
                status=204,
            )
            | {"parameters": [_path("key_id", "The key's public id, `key_…`.", _KEY_ID), _purpose()]},
        },
        "/v1/clients": {
            "post": _operation(
                "issue-client",
                "Issue a client of the token endpoint; its secret is in this answer and nowhere else",
                "ClientIssued",
                (*refused, *_DECIDED, *_BODY, Code.CONFLICT, Code.NOT_FOUND, Code.TOO_MANY, no_change),
                status=201,
            )
            | {
                "parameters": [_purpose()],
                "requestBody": {"required": True, "content": _content("KeyWanted")},
            },
        },
        "/v1/clients/{client_id}/secrets": {
            "post": _operation(
                "renew-secret",
                "Give a client another secret; those before it go on for the overlap",
                "SecretIssued",
                (*refused, *_DECIDED, *_BODY, Code.CONFLICT, Code.NOT_FOUND, Code.TOO_MANY, no_change),
                status=201,
            )
            | {
                "parameters": [_path("client_id", "The client's id, `key_…`.", _KEY_ID), _purpose()],
                "requestBody": {"required": True, "content": _content("SecretWanted")},
            },
        },
        "/v1/freezes": {
            "get": _operation(
                "list-freezes",
                "List who is frozen because a decoy was touched",
                "FreezeList",
                refused + _DECIDED,
            )
            | {"parameters": [_purpose()]},
        },
        "/v1/freezes/lift": {
            "post": _operation(
                "lift-freeze",
                "Give somebody free who was frozen because a decoy was touched",
                None,
                (*refused, *_DECIDED, *_BODY, Code.NOT_FOUND, no_change),
                status=204,
            )
            | {
                "parameters": [_purpose()],
                "requestBody": {"required": True, "content": _content("LiftWanted")},
            },
        },
        "/v1/explain": {
            "post": _operation(
                "explain",
                "Say why somebody may do something, or may not, and what would allow it",
                "ExplanationGiven",
                (*refused, *_DECIDED, *_BODY, *_UPSTREAM, Code.NOT_FOUND),
            )
            | {
                "parameters": [_purpose()],
                "requestBody": {
                    "required": True,
                    "content": {JSON: _content("ExplanationWanted")[JSON] | _WHY},
                },
            },
        },
        **_approvals(refused),
        "/oauth/token": {"post": _token()},
        "/oauth/jwks": {
            "get": _open(
                "token-keys",
                "The public keys of access tokens: a key set (RFC 7517)",
                None,
                (Code.NOT_FOUND,),
            )
        },
        "/.well-known/oauth-authorization-server": {
            "get": _open(
                "discovery", "What an OAuth client must know (RFC 8414)", "Discovered", (Code.NOT_FOUND,)
            )
        },
        "/v1/assertion-keys": {
            "get": _open(
                "assertion-keys",
                "The public keys of the signed header that upstreams get: a key set (RFC 7517)",
                None,
                (Code.PARAMETER_UNKNOWN,),
            )
        },
        "/healthz": {"get": _open("alive", "The process answers", "Alive", ())},
        "/readyz": {"get": _open("ready", "What serving needs is there", "Ready", (Code.NOT_READY,))},
        "/schema/openapi.json": {"get": _open("openapi", "This description", None, ())},
    }


def _approvals(refused: tuple[Code, ...]) -> dict[str, Any]:
    by_a_person = (*refused, *_DECIDED, Code.PERSON_NEEDED, Code.APPROVAL_OVER, Code.OUTCOME_UNRECORDED)
    limit = {"type": "integer", "minimum": 1, "maximum": MOST_TOLD, "default": SHOWN}
    return {
        "/v1/approvals": {
            "get": _operation(
                "policy-history",
                "Which bundles were in force, latest first, what was refused, and what waits",
                "BundleHistory",
                (*refused, *_DECIDED, Code.PARAMETER_MALFORMED),
            )
            | {
                "parameters": [
                    _purpose(),
                    {"name": "limit", "in": "query", "description": "How many at most.", "schema": limit},
                ]
            },
            "post": _operation(
                "file-approval",
                "Put a bundle in force, or file it for another person to confirm where it could widen anybody's access",
                "ActivationDone",
                (*by_a_person, *_BODY),
                status=201,
            )
            | {
                "parameters": [_purpose()],
                "requestBody": {"required": True, "content": _content("ActivationWanted")},
            },
        },
        "/v1/approvals/{approval_id}/confirm": {
            "post": _operation(
                "confirm-approval",
                "Confirm what another person filed, which does it",
                "ActivationDone",
                (
                    *by_a_person,
                    Code.NOT_FOUND,
                    Code.APPROVAL_OWN,
                    Code.APPROVAL_GAINS,
                    Code.VALUE_REFUSED,
                    Code.BODY_MALFORMED,
                ),
            )
            | {"parameters": [_path("approval_id", "The approval's id, `apr_…`.", _APPROVAL_ID), _purpose()]},
        },
    }


def _token() -> dict[str, Any]:
    codes = (
        *_ANYWHERE,
        *_RECORDED,
        *_GRANT,
        Code.NOT_FOUND,
        Code.BODY_MALFORMED,
        Code.BODY_TOO_LARGE,
        Code.MEDIA_TYPE,
        Code.TOO_MANY,
    )
    good = {
        "description": "Done.",
        "headers": {"Audit-Ref": _audit_ref()},
        "content": _content("TokenGiven"),
    }
    problems = _problems(codes)
    for status in {str(STATUS[code]) for code in _GRANT}:
        content = dict(problems[status]["content"]) if status == "400" else {}
        problems[status] = {
            "description": problems[status]["description"],
            "content": content | _content("GrantProblem"),
        }
    return {
        "operationId": "token",
        "summary": "Get an access token: for the client itself, or for a person whose token it shows (RFC 8693)",
        "security": [{"clientBasic": []}, {}],
        "responses": {"200": good} | problems,
        "requestBody": {"required": True, "content": _content("TokenWanted", FORM)},
    }


def _operation(
    name: str, summary: str, shape: str | None, codes: tuple[Code, ...], *, status: int = 200
) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Done.", "headers": {"Audit-Ref": _audit_ref()}}
    if shape is not None:
        good["content"] = _content(shape)
    return {
        "operationId": name,
        "summary": summary,
        "security": _KEY,
        "responses": {str(status): good} | _problems(codes),
    }


def _open(name: str, summary: str, shape: str | None, codes: tuple[Code, ...]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": "Yes."}
    if shape is not None:
        good["content"] = _content(shape)
    responses = {"200": good} | _problems((*codes, *_ANYWHERE))
    return {"operationId": name, "summary": summary, "security": [], "responses": responses}


def _problems(codes: tuple[Code, ...]) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(STATUS[code], []).append(code.value)
    content = _content("Problem", PROBLEM)
    return {
        str(status): {"description": "Problem: " + ", ".join(sorted(names)) + ".", "content": content}
        for status, names in sorted(by_status.items())
    }


def _content(shape: str, media: str = JSON) -> dict[str, Any]:
    return {media: {"schema": {"$ref": f"#/components/schemas/{shape}"}}}


def _audit_ref() -> dict[str, Any]:
    return {
        "required": True,
        "description": "Where the request's entry stands in the log: its number and hash.",
        "schema": {"type": "string", "pattern": "^[0-9]+:[0-9a-f]{64}$"},
    }


def _path(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _purpose() -> dict[str, Any]:
    return {
        "name": "Gatehouse-Purpose",
        "in": "header",
        "description": "One of the purposes that the key holds; a key with one purpose implies it.",
        "schema": {"type": "string"},
        "example": "service",
    }


def _paging() -> list[dict[str, Any]]:
    limit = {"type": "integer", "minimum": 1, "maximum": MAX_LISTED, "default": 50}
    return [
        {"name": "limit", "in": "query", "description": "How many at most.", "schema": limit},
        {
            "name": "after",
            "in": "query",
            "description": "`next` of the page before.",
            "schema": _KEY_ID,
        },
    ]

"""The control door: `/oauth/token`, `/oauth/jwks` and the discovery document. Each reads, asks one service function, writes down.

Sources: client credentials, RFC 6749 section 4.4; token exchange, RFC 8693; access tokens, RFC 9068; discovery, RFC 8414.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from litestar import Response, post, route
from litestar.di import NamedDependency

from gateway.control.assertions import KEY_SET
from gateway.control.deps import AnyRequest, call_of, token_door
from gateway.control.form import read_client, read_form
from gateway.control.given import ControlDeps, TokenDoor
from gateway.control.keys import JSON
from gateway.control.shapes import Discovered, TokenGiven
from gateway.credentials import Wanted
from gateway.identity import ClientShown
from gateway.words.errors import GrantError, GrantRefused

TOKEN, JWKS, DISCOVERY = "/oauth/token", "/oauth/jwks", "/.well-known/oauth-authorization-server"
CREDENTIALS = "client_credentials"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
GRANTS = (CREDENTIALS, EXCHANGE)
CLIENT_AUTHENTICATION = ("client_secret_basic", "client_secret_post")
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - RFC 8693 section 3
# What a person's token may be called: it is held to the same law whatever it is called.
SUBJECT_TYPES = frozenset(
    {ACCESS_TOKEN, "urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token"}
)
ASKED_TYPES = frozenset({ACCESS_TOKEN, "urn:ietf:params:oauth:token-type:jwt"})
_CLIENT = frozenset({"grant_type", "client_id", "client_secret", "scope", "audience", "resource"})
_PERSON = frozenset(
    {"subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type"}
)
MAX_SCOPES = 20


@post(TOKEN, name="token", status_code=200)
async def token(request: AnyRequest, deps: NamedDependency[ControlDeps]) -> Response[bytes]:
    """Gives an access token."""
    call, door = call_of(request), token_door(deps)
    form = read_form(call, _CLIENT | _PERSON)
    person = _exchanged(form)
    _targets(form, door)
    client, secret = read_client(call, form)
    granted = await door.tokens.grant(call, Wanted(ClientShown(client, secret, person), _scope(form)))
    document = TokenGiven(
        access_token=granted.text,
        expires_in=granted.seconds,
        scope=msgspec.UNSET if granted.purposes is None else " ".join(sorted(granted.purposes)),
        issued_token_type=msgspec.UNSET if person is None else ACCESS_TOKEN,
    )
    # RFC 6749 section 5.1 asks for both; Cache-Control is on every answer.
    headers = {"gatehouse-request": call.id, "audit-ref": granted.receipt.ref, "pragma": "no-cache"}
    return Response(msgspec.json.encode(document), headers=headers, media_type=JSON)


@route(JWKS, http_method=["GET", "HEAD"], name="token-keys")
async def token_keys(request: AnyRequest, deps: NamedDependency[ControlDeps]) -> Response[bytes]:
    """Gives the public keys of access tokens."""
    door, headers = token_door(deps), {"gatehouse-request": call_of(request).id}
    return Response(door.jwks(), headers=headers, media_type=KEY_SET)


@route(DISCOVERY, http_method=["GET", "HEAD"], name="discovery")
async def discovery(request: AnyRequest, deps: NamedDependency[ControlDeps]) -> Response[bytes]:
    """Gives what an OAuth client must know (RFC 8414)."""
    door, headers = token_door(deps), {"gatehouse-request": call_of(request).id}
    document = Discovered(
        issuer=door.issuer,
        token_endpoint=door.issuer + TOKEN,
        jwks_uri=door.issuer + JWKS,
        response_types_supported=[],
        grant_types_supported=list(GRANTS),
        token_endpoint_auth_methods_supported=list(CLIENT_AUTHENTICATION),
    )
    return Response(msgspec.json.encode(document), headers=headers, media_type=JSON)


def _exchanged(form: Mapping[str, str]) -> str | None:
    """Gives the person's token that is to be exchanged; None for a client that acts for itself."""
    grant = form.get("grant_type")
    if grant is None:
        raise GrantRefused(GrantError.INVALID_REQUEST, parameter="grant_type")
    if grant not in GRANTS:
        raise GrantRefused(GrantError.UNSUPPORTED_GRANT_TYPE, parameter="grant_type")
    if grant == CREDENTIALS:
        if strange := sorted(_PERSON & form.keys()):
            raise GrantRefused(GrantError.INVALID_REQUEST, parameter=strange[0])
        return None
    # RFC 8693 section 2.1. Who acts is the client that proves itself: another actor's token is nothing to us.
    if strange := sorted({"actor_token", "actor_token_type"} & form.keys()):
        raise GrantRefused(GrantError.INVALID_REQUEST, parameter=strange[0])
    if form.get("subject_token_type") not in SUBJECT_TYPES:
        raise GrantRefused(GrantError.INVALID_REQUEST, parameter="subject_token_type")
    if form.get("requested_token_type", ACCESS_TOKEN) not in ASKED_TYPES:
        raise GrantRefused(GrantError.INVALID_REQUEST, parameter="requested_token_type")
    if "subject_token" not in form:
        raise GrantRefused(GrantError.INVALID_REQUEST, parameter="subject_token")
    return form["subject_token"]


def _targets(form: Mapping[str, str], door: TokenDoor) -> None:
    """Our tokens are good here and nowhere else: whoever names another place is told so (RFC 8693 section 2.2.2, RFC 8707)."""
    for parameter, ours in (("audience", door.audience), ("resource", door.issuer)):
        if form.get(parameter, ours) != ours:
            raise GrantRefused(GrantError.INVALID_TARGET, parameter=parameter)


def _scope(form: Mapping[str, str]) -> frozenset[str] | None:
    """Gives the purposes that the token is to be limited to. RFC 6749 section 3.3: one space between two."""
    if "scope" not in form:
        return None
    named = form["scope"].split(" ")
    if not all(named) or len(set(named)) != len(named) or len(named) > MAX_SCOPES:
        raise GrantRefused(GrantError.INVALID_SCOPE, parameter="scope")
    return frozenset(named)

"""The control door: a form (`application/x-www-form-urlencoded`, WHATWG URL standard) read in one way, and client credentials. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from gateway.wire.target import CONTROLS
from gateway.words.access import Call
from gateway.words.errors import Code, GrantError, GrantRefused, Refused

FORM = "application/x-www-form-urlencoded"
MAX_FORM_BYTES = 16 * 1024
MAX_PARAMETERS = 32
_PAIR = re.compile(rb"(?:[A-Za-z0-9*._~+\-!'(),/:@$?]|%[0-9A-Fa-f]{2})*")
_BASIC = "basic "
_ID = re.compile(r"[\x21-\x7e]{1,64}", re.ASCII)


def read_form(call: Call, known: frozenset[str]) -> Mapping[str, str]:
    """Gives a form's parameters. One without a value is as good as absent (RFC 6749 section 3.2).

    Raises Refused (MEDIA_TYPE, BODY_TOO_LARGE) and GrantRefused(`invalid_request`): a name twice, one that is not in `known`, an
    encoding that can be read in two ways. A parameter that is not known is refused and not passed over: `scop=` would otherwise ask
    for more than its sender meant.
    """
    media, _, parameters = (call.header("content-type") or "").partition(";")
    if media.strip().lower() != FORM or parameters.strip().lower() not in ("", "charset=utf-8"):
        raise Refused(Code.MEDIA_TYPE)
    if len(call.body) > MAX_FORM_BYTES:
        raise Refused(Code.BODY_TOO_LARGE)
    found: dict[str, str] = {}
    if call.body.count(b"&") >= MAX_PARAMETERS:
        raise GrantRefused(GrantError.INVALID_REQUEST)
    for piece in call.body.split(b"&") if call.body else ():
        name, equals, value = piece.partition(b"=")
        if not equals:
            raise GrantRefused(GrantError.INVALID_REQUEST)
        parameter, said = _decoded(name), _decoded(value)
        if parameter not in known:
            raise GrantRefused(GrantError.INVALID_REQUEST)
        if parameter in found:
            raise GrantRefused(GrantError.INVALID_REQUEST, parameter=parameter)
        found[parameter] = said
    return {name: value for name, value in found.items() if value}


def read_client(call: Call, form: Mapping[str, str]) -> tuple[str, str]:
    """Gives a client's id and secret, from the Authorization header or from the form (RFC 6749 section 2.3.1).

    Both are empty where there are none that can be read: identity turns those away, and counts them. Raises
    GrantRefused(`invalid_request`) where they come in two ways.
    """
    shown = [value for name, value in call.headers if name == "authorization"]
    in_form = form.get("client_id"), form.get("client_secret")
    if len(shown) > 1 or (shown and in_form[1] is not None):
        raise GrantRefused(GrantError.INVALID_REQUEST)
    client, secret = _basic(shown[0]) if shown else in_form
    if shown and in_form[0] is not None and in_form[0] != client:
        raise GrantRefused(GrantError.INVALID_REQUEST, parameter="client_id")
    if client is None or secret is None or not _ID.fullmatch(client):
        return "", ""
    return client, secret


def _basic(value: str) -> tuple[str, str]:
    """RFC 7617, each half encoded as a form's value before (RFC 6749 section 2.3.1)."""
    if value[: len(_BASIC)].lower() != _BASIC:
        return "", ""
    try:
        client, colon, secret = base64.b64decode(value[len(_BASIC) :], validate=True).partition(b":")
        return (_decoded(client), _decoded(secret)) if colon else ("", "")
    except (ValueError, binascii.Error, GrantRefused):
        return "", ""


def _decoded(piece: bytes) -> str:
    """A plus is a space; a percent sign begins two hexadecimal digits; what comes out is UTF-8 without control characters."""
    if not _PAIR.fullmatch(piece):
        raise GrantRefused(GrantError.INVALID_REQUEST)
    try:
        text = unquote_to_bytes(piece.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise GrantRefused(GrantError.INVALID_REQUEST) from None
    if CONTROLS.search(text):
        raise GrantRefused(GrantError.INVALID_REQUEST)
    return text

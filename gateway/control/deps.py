"""The control door: what it is given, and what it takes from a request. Translates only."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from litestar import Request

from audit import Log
from gateway.corridor.desk import Asker
from gateway.credentials import Keys
from gateway.rooms import Identifier
from gateway.store import Store
from gateway.wire.json import parse
from gateway.words.access import Call
from gateway.words.errors import Code, Refused

T = TypeVar("T")
AnyRequest = Request[Any, Any, Any]

MAX_BODY_BYTES = 64 * 1024
# How msgspec says where: "… - at `$.roles[0].unit`", or which member of the whole is absent.
_AT = re.compile(r" - at `\$\.(\w+)[^`]*`\Z", re.ASCII)
_ABSENT = re.compile(r"Object missing required field `(\w+)`\Z", re.ASCII)

PURPOSE_HEADER = "gatehouse-purpose"


@dataclass(frozen=True, slots=True)
class ControlDeps:
    """stores: by the name that `/readyz` uses. bundle: the digest of the policy in force, None where there is none.

    assertion_keys: the key set of what upstreams are told, as JSON.
    """

    identity: Identifier
    keys: Keys
    log: Log
    stores: Mapping[str, Store]
    bundle: Callable[[], str | None]
    assertion_keys: bytes


def call_of(request: AnyRequest) -> Call:
    """Gives the request as the edge read it: canonical, bounded, its body whole. Litestar's own reading of it is not used."""
    call = request.scope.get("gatehouse.call")
    if not isinstance(call, Call):
        raise AssertionError("the control plane is reached through the edge's door alone")
    return call


def asker_of(call: Call, identity: Identifier, *params: str) -> Asker:
    """Gives who asks; query parameters other than `params` are refused once he is known."""

    def check() -> None:
        for name, _ in call.query:
            if name not in params:
                raise Refused(Code.PARAMETER_UNKNOWN)

    return Asker(call.id, lambda: identity.identify(call), call.header(PURPOSE_HEADER), check)


def body_of(call: Call, shape: type[T]) -> T:
    """Gives the JSON body in exactly that shape.

    Raises Refused: MEDIA_TYPE, BODY_TOO_LARGE, BODY_MALFORMED, VALUE_REFUSED (a member is absent, unknown or of another type).
    """
    media, _, parameters = (call.header("content-type") or "").partition(";")
    if media.strip().lower() != "application/json" or parameters.strip().lower() not in ("", "charset=utf-8"):
        raise Refused(Code.MEDIA_TYPE)
    if len(call.body) > MAX_BODY_BYTES:
        raise Refused(Code.BODY_TOO_LARGE)
    try:
        return msgspec.convert(parse(call.body), shape, strict=True)
    except msgspec.ValidationError as error:
        raise Refused(Code.VALUE_REFUSED, **_member(str(error), shape)) from None


def _member(said: str, shape: type[Any]) -> dict[str, str]:
    """Gives which member of ours does not fit. A name that the caller brought is not repeated: it may be anything."""
    found = _AT.search(said) or _ABSENT.match(said)
    name = found[1] if found else ""
    return {"field": f"/{name}"} if name in shape.__struct_fields__ else {}


def param(call: Call, name: str) -> str | None:
    """Gives a query parameter; the edge has refused one that stands twice."""
    return next((value for key, value in call.query if key == name), None)

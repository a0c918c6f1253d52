"""The control door: what it takes from a request. Translates only."""

from __future__ import annotations

import re
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec
from litestar import Request

from gateway.control.given import ControlDeps, TokenDoor
from gateway.corridor.desk import Asker
from gateway.rooms import Identifier
from gateway.wire.json import parse
from gateway.words.access import Call
from gateway.words.errors import Code, Refused

T = TypeVar("T")
AnyRequest = Request[Any, Any, Any]

MAX_BODY_BYTES = 64 * 1024
# How msgspec says where: "… - at `$.roles[0].unit`", or which member of the whole is absent.
_AT = re.compile(r" - at `\$\.(\w+)[^`]*`\Z", re.ASCII)
_ABSENT = re.compile(r"Object missing required field `(\w+)`\Z", re.ASCII)
# A name that may be repeated to its sender, as the data plane repeats one.
_WORD = re.compile(r"[A-Za-z_@][A-Za-z_.:@-]{0,39}")
_STRANGE = "Object contains unknown field "

PURPOSE_HEADER = "gatehouse-purpose"


def call_of(request: AnyRequest) -> Call:
    """Gives the request as the edge read it: canonical, bounded, its body whole. Litestar's own reading of it is not used."""
    call = request.scope.get("gatehouse.call")
    if not isinstance(call, Call):
        raise AssertionError("the control plane is reached through the edge's door alone")
    return call


def token_door(deps: ControlDeps) -> TokenDoor:
    """Gives what issues tokens. Raises Refused(NOT_FOUND) where there is no such thing here."""
    if deps.tokens is None:
        raise Refused(Code.NOT_FOUND)
    return deps.tokens


def asker_of(call: Call, identity: Identifier, *params: str, bodiless: bool = False) -> Asker:
    """Gives who asks; query parameters other than `params`, and a body where none belongs, are refused once he is known.

    bodiless: of a POST that takes none.
    """

    def check() -> None:
        for name, _ in call.query:
            if name not in params:
                raise unknown_parameter(name, *params)
        if call.body and (bodiless or call.method != "POST"):  # nothing would look at it
            raise Refused(Code.BODY_MALFORMED)

    return Asker(call.id, lambda: identity.identify(call), call.header(PURPOSE_HEADER), check, call.trace)


def unknown_parameter(name: str, *known: str) -> Refused:
    """Gives the refusal of a parameter that an address of ours does not take. It is named only where it is a word, and no value in the
    place of a name."""
    shown = name if _WORD.fullmatch(name) else "?"
    return Refused(Code.PARAMETER_UNKNOWN, parameter=shown, known=" ".join(sorted(known)) or "none")


def body_of(call: Call, shape: type[T]) -> T:
    """Gives the JSON body in exactly that shape.

    Raises Refused: MEDIA_TYPE, BODY_TOO_LARGE, BODY_MALFORMED, MEMBER_UNKNOWN, VALUE_REFUSED (a member is absent or of another type).
    """
    media, _, parameters = (call.header("content-type") or "").partition(";")
    if media.strip().lower() != "application/json" or parameters.strip().lower() not in ("", "charset=utf-8"):
        raise Refused(Code.MEDIA_TYPE)
    if len(call.body) > MAX_BODY_BYTES:
        raise Refused(Code.BODY_TOO_LARGE)
    value = parse(call.body)
    try:
        return msgspec.convert(value, shape, strict=True)
    except msgspec.ValidationError as error:
        if str(error).startswith(_STRANGE):
            raise Refused(Code.MEMBER_UNKNOWN, **(_stranger(value, shape) or {})) from None
        raise Refused(Code.VALUE_REFUSED, **_member(str(error), shape)) from None


def _member(said: str, shape: type[Any]) -> dict[str, str]:
    """Gives which member of ours does not fit, `/` where it is the whole body."""
    found = _AT.search(said) or _ABSENT.match(said)
    name = found[1] if found else ""
    return {"field": f"/{name}" if name in shape.__struct_fields__ else "/"}


def _stranger(value: Any, shape: Any, at: str = "") -> dict[str, str | int] | None:
    """Gives where the first unknown member stands. Its name is not repeated, and not searched for in a message: it may be anything."""
    if isinstance(value, list):
        inner = [
            (f"{at}/{index}", item, next(iter(get_args(shape)), None)) for index, item in enumerate(value)
        ]
    elif isinstance(value, dict) and isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        ours = get_type_hints(shape)
        for position, name in enumerate(value, 1):
            if name not in ours:
                return {"position": position} | ({"field": at} if at else {})
        inner = [(f"{at}/{name}", item, ours[name]) for name, item in value.items()]
    else:
        return None
    return next((found for place, item, of in inner if (found := _stranger(item, of, place))), None)


def param(call: Call, name: str) -> str | None:
    """Gives a query parameter; the edge has refused one that stands twice."""
    return next((value for key, value in call.query if key == name), None)

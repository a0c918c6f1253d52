"""Step 3: reads a request's body into a draft of the record, or refuses it. Pure."""

from __future__ import annotations

import re

from gateway.catalogue.pointers import split
from gateway.wire import json as wire
from gateway.words.access import Call
from gateway.words.draft import Draft
from gateway.words.errors import Code, Refused
from gateway.words.json import Json, Pointer
from gateway.words.resource import RouteSpec

JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"  # RFC 7396 section 4

# A parameter other than the charset could give the body another meaning (RFC 8259 section 11 defines none).
_CHARSET = re.compile(r'\s*;\s*charset\s*=\s*("utf-8"|utf-8)\s*', re.IGNORECASE)


def no_body(call: Call) -> None:
    """Raises Refused (BODY_MALFORMED) when a body stands where none means anything: some upstream might read it."""
    if call.body:
        raise Refused(Code.BODY_MALFORMED, expected="no body")


def read_draft(call: Call, route: RouteSpec) -> Draft:
    """Gives the record that the body describes.

    Raises Refused: MEDIA_TYPE, BODY_TOO_LARGE, BODY_MALFORMED (not JSON, no object at the body's root, or more beside it).
    """
    accepted = (JSON, MERGE_PATCH) if route.method == "PATCH" else (JSON,)
    if not _is_of(call.header("content-type"), accepted):
        raise Refused(Code.MEDIA_TYPE, expected=" or ".join(accepted))
    if call.header("content-encoding") not in (None, "identity"):
        raise Refused(Code.MEDIA_TYPE, expected=" or ".join(accepted))
    if len(call.body) > route.max_body_bytes:
        raise Refused(Code.BODY_TOO_LARGE, limit=route.max_body_bytes)
    record = _below(wire.parse(call.body), route.shape.body_root)
    if not isinstance(record, dict):
        raise Refused(Code.BODY_MALFORMED)
    return Draft(record)


def _is_of(content_type: str | None, accepted: tuple[str, ...]) -> bool:
    if content_type is None or not content_type.isascii():
        return False
    kind, mark, rest = content_type.partition(";")
    return kind.strip().lower() in accepted and (not mark or _CHARSET.fullmatch(mark + rest) is not None)


def _below(document: Json, root: Pointer) -> Json:
    """Gives what stands at the root. A member beside the way to it would be dropped unseen, so it is refused."""
    here = document
    for step in split(root):
        if not isinstance(here, dict) or here.keys() != {step}:
            raise Refused(Code.BODY_MALFORMED)
        here = here[step]
    return here

"""Step 7: request targets and headers. What was decided on goes out as it is; what the gateway adds is checked as a caller's is. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote

from gateway.wire.headers import never_passes, well_formed
from gateway.wire.target import canonical
from gateway.words.access import ResourceRef
from gateway.words.errors import NotSent, Refused, Unaddressable
from gateway.words.resource import IdForm

MAX_TARGET_BYTES = 16_384
"""More than callers may send: a search for an envelope's text is long."""


def _names(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_PLACE = re.compile(r"\{(id|parent|key)\}")
# Said by the gateway itself, or a question about a copy that the caller may not have (304 and 206 answer before a decision).
_OURS = _names(
    "accept accept-encoding content-encoding content-type idempotency-key if-match if-modified-since if-none-match if-range "
    "if-unmodified-since origin range referer user-agent"
)
# Describe bytes that the gateway makes anew, or that it has taken apart.
_NOT_BACK = _names(
    "accept-ranges age alt-svc cache-control content-disposition content-encoding content-md5 content-range content-type date "
    "digest refresh repr-digest server"
)
_PAIR = re.compile(r"[^&=]+=[^&]*")  # one pair stays one
_JSON_TYPES = frozenset({"application/json", "application/merge-patch+json"})


def target(base: str, path: str, raw_query: str, added: Iterable[tuple[str, str]] = ()) -> bytes:
    """Gives base path, path and query. added: pairs in the upstream's own spelling.

    Raises NotSent for what is added and is no pair; Unaddressable (a NotSent) where the whole has not exactly one reading, a
    parameter that stands twice included: no caller may say again what the catalogue fixes.
    """
    added = tuple(added)
    if any(not _PAIR.fullmatch(f"{name}={value}") or "=" in name for name, value in added):
        raise NotSent
    query = "&".join((*((raw_query,) if raw_query else ()), *(f"{name}={value}" for name, value in added)))
    try:
        whole = f"{base}{path}?{query}" if query else f"{base}{path}"
        raw = whole.encode("ascii")
        canonical(raw, max_bytes=MAX_TARGET_BYTES)
    except (UnicodeEncodeError, Refused):
        raise Unaddressable from None  # the cause would quote the target, and a target may hold values
    return raw


def fill(template: str, ref: ResourceRef, key: str | None = None) -> tuple[str, str]:
    """Gives path and query of a target template, each value encoded so that it stays one segment or one query value.

    Raises Unaddressable (a NotSent) for a value that is missing or empty; `target` refuses one that cannot be a segment (dots, slashes).
    """
    values = {"id": ref.record, "parent": ref.parent.record if ref.parent else None, "key": key}

    def value(found: re.Match[str]) -> str:
        text = values[found[1]]
        if not text:
            raise Unaddressable
        return quote(text, safe="")

    path, _, query = _PLACE.sub(value, template).partition("?")
    return path, query


def names_one(form: IdForm, record: str) -> bool:
    """Tells whether a record of that id can be asked for: the id has its resource's form, and is one segment of a path."""
    try:
        target("", f"/{quote(record, safe='')}", "")
    except Unaddressable:
        return False
    return form.fits(record)


def onward(headers: Iterable[tuple[str, str]], listed: frozenset[str]) -> list[tuple[str, str]]:
    """Gives those of a caller's headers that the route lets pass, and that may pass at all."""
    return [
        (name, value)
        for name, value in headers
        if name in listed and name not in _OURS and not never_passes(name) and well_formed(name, value)
    ]


def back(headers: Iterable[tuple[str, str]], listed: frozenset[str]) -> list[tuple[str, str]]:
    """Gives those of an upstream's headers that the route lets pass, and that may pass at all."""
    return [
        (name, value)
        for name, value in headers
        if name in listed and name not in _NOT_BACK and not never_passes(name) and well_formed(name, value)
    ]


def body_type(headers: Iterable[tuple[str, str]], listed: frozenset[str]) -> str:
    """Gives the content type of a change: the caller's where the route lets it pass and it is one of JSON's."""
    given = [value for name, value in headers if name == "content-type" and name in listed]
    return given[0] if given and given[0] in _JSON_TYPES else "application/json"


@lru_cache(64)
def is_json(content_type: str | None) -> bool:
    """Tells whether a body says that it is JSON in UTF-8 (RFC 8259, RFC 6839 section 3.1)."""
    kind, *params = (part.strip().lower() for part in (content_type or "").split(";"))
    if kind != "application/json" and not re.fullmatch(r"application/[a-z0-9.-]+\+json", kind):
        return False
    charsets = [param for param in params if param.startswith("charset=")]
    return all(charset.removeprefix("charset=").strip('"') == "utf-8" for charset in charsets)

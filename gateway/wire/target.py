"""Step 1: a request target has one spelling, or it is refused. Pure.

What is decided on is what is sent, byte for byte. So a path is never normalised: one that some server, proxy or framework
would read as another is refused (RFC 3986 section 6.2.2 lists the equivalences), and what is left means the same to
everyone. In a query, which nobody maps to a place, hexadecimal digits are written in capitals once, here: form encoders write either.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

from gateway.wire.limits import DEFAULT_LIMITS
from gateway.words.errors import Code, Refused

# RFC 3986 section 3.3: pchar without `;`, which is a parameter's start to some servers and nothing to others.
_PLAIN: Final = rb"A-Za-z0-9\-._~!$&'()*+,=:@"
_PATH: Final = re.compile(rb"(?:/(?:[" + _PLAIN + rb"]++|%[0-9A-F]{2})*+)++")
_UNENCODED: Final = b"/-._~!$&'()*+,=:@0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""What stands in such a path that has no triplet."""
# Section 3.4, and the square brackets that browsers and curl leave as they are; `&` and `=` part the pairs.
_QUERY: Final = re.compile(rb"(?:[" + _PLAIN + rb"/?\[\]]++|%[0-9A-Fa-f]{2})++")
# Section 2.3: encoding these gives a second spelling of the same path. ALPHA, DIGIT, "-", ".", "_", "~".
_NEEDLESS: Final = re.compile(rb"%(?:4[1-9A-F]|5[0-9A]|6[1-9A-F]|7[0-9A]|3[0-9]|2D|2E|5F|7E)")
_TILDE: Final = b"%7E"
_LOWER: Final = re.compile(rb"%[0-9A-Fa-f]?[a-f][0-9A-Fa-f]?")
_TRIPLET: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_DOTS: Final = re.compile(r"[.\s]+")
CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters of Unicode's categories Cc, Zl and Zp."""
MAX_ENCODED_PATH_BYTES: Final = 2_048
MAX_SEGMENTS: Final = 64
MAX_PAIRS: Final = 64
"""Bounds of what is looked at piece by piece before anybody is asked who he is; no address of ours or of an upstream's is near them."""

RESERVED: Final = frozenset(
    {".well-known", "v1", "oauth", "schema", "console", "healthz", "metrics", "readyz"}
)
"""First segments that are the control plane's: no catalogue may mount an upstream there."""


@dataclass(frozen=True, slots=True)
class Target:
    """One request target.

    path: exactly as received. segments: after the leading slash, each decoded once; a trailing slash is a last, empty one, so
    `/a/` is not `/a`; `/` has none. raw_query: as received, without `?`, its triplets in capitals. query: its pairs decoded, in order.
    """

    path: str
    segments: tuple[str, ...]
    raw_query: str
    query: tuple[tuple[str, str], ...]


def canonical(raw: bytes, *, max_bytes: int = DEFAULT_LIMITS.max_target_bytes) -> Target:
    """Gives the one reading of a request target in origin form (RFC 9112 section 3.2.1): `/path?query`, as received.

    Path: pchar and upper-case triplets only. Refused: `;`, `\\`, `//`, control characters, triplets of unreserved characters,
    segments that decode to dots and blanks only, to anything with `/`, `\\`, `;`, a control character or a triplet again
    (double encoding), to invalid UTF-8, or to something that Unicode's compatibility forms turn into one of these.
    Query: `name=value` pairs joined by `&`, each with `=`, each name once and not empty, none of `;` or `#`. `+` in a value means
    a space (the HTML form rule, which every server behind us follows); a plus is `%2B`; in a name it is refused. `~` may be
    encoded, and triplets may have small letters, because form encoders do so. An empty query after `?` is refused: it would
    be dropped on the way.
    Raises Refused: TARGET_TOO_LONG, TARGET_AMBIGUOUS; nothing else, and never with the target's text.
    """
    if len(raw) > max_bytes:
        raise Refused(Code.TARGET_TOO_LONG)
    raw_path, mark, raw_query = raw.partition(b"?")
    if (
        (len(raw_path) > MAX_ENCODED_PATH_BYTES and b"%" in raw_path)
        or raw_path.count(b"/") > MAX_SEGMENTS
        or raw_query.count(b"&") >= MAX_PAIRS
    ):
        raise Refused(Code.TARGET_TOO_LONG)
    if mark and not raw_query:
        _refuse()
    segments = _segments(raw_path)
    if b"%" in raw_query:
        raw_query = _LOWER.sub(lambda found: found[0].upper(), raw_query)
    pairs = _pairs(raw_query) if raw_query else ()
    return Target(raw_path.decode("ascii"), segments, raw_query.decode("ascii"), pairs)


def _refuse() -> NoReturn:
    raise Refused(Code.TARGET_AMBIGUOUS) from None


def _segments(raw_path: bytes) -> tuple[str, ...]:
    if raw_path == b"/":
        return ()
    if raw_path[:1] == b"/" and not raw_path.translate(None, _UNENCODED) and b"//" not in raw_path:
        # Nearly every path: nothing is encoded, so that a segment is what it reads.
        plain = raw_path[1:].decode("ascii").split("/")
        if b"/." in raw_path and any(piece and not piece.strip(".") for piece in plain):
            _refuse()
        return tuple(plain)
    if not _PATH.fullmatch(raw_path) or b"//" in raw_path:
        _refuse()
    return tuple(_segment(piece) for piece in raw_path[1:].split(b"/"))


def _segment(piece: bytes) -> str:
    if b"%" not in piece:
        if piece and not piece.strip(b"."):
            _refuse()
        return piece.decode("ascii")
    if _NEEDLESS.search(piece):
        _refuse()
    decoded = _decoded(piece)
    # Servers that fold compatibility characters would meet a fullwidth slash or dot only after our decision.
    for form in {decoded, unicodedata.normalize("NFKC", decoded)}:
        if _DOTS.fullmatch(form) or _TRIPLET.search(form) or any(mark in form for mark in "/\\;"):
            _refuse()
    return decoded


def _decoded(piece: bytes) -> str:
    try:
        text = unquote_to_bytes(piece).decode("utf-8")
    except UnicodeDecodeError:
        _refuse()
    # A triplet that comes out of decoding is one that a second decoding would find.
    if _TRIPLET.search(text) or CONTROLS.search(text):
        _refuse()
    return text


def _pairs(raw_query: bytes) -> tuple[tuple[str, str], ...]:
    if not _QUERY.fullmatch(raw_query):
        _refuse()
    pairs = tuple(_pair(part) for part in raw_query.split(b"&"))
    if len({name for name, _ in pairs}) != len(pairs):
        _refuse()
    return pairs


def _pair(part: bytes) -> tuple[str, str]:
    name, equals, value = part.partition(b"=")
    if not equals or not name or b"+" in name:
        _refuse()
    if _NEEDLESS.search(name) or _NEEDLESS.search(value.replace(_TILDE, b"~")):
        _refuse()
    decoded = _decoded(name)
    if ";" in decoded:
        _refuse()
    return decoded, _decoded(value.replace(b"+", b" "))

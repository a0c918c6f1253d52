"""Step 7: an upstream's own addresses in its answers become the gateway's, or do not pass. Pure.

A link that a caller follows past the gateway is a way around it; a link to somewhere else is none of the catalogue's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from gateway.upstream.address import Origin
from gateway.wire.target import canonical
from gateway.words.access import ResourceRef
from gateway.words.errors import Refused
from gateway.words.resource import UpstreamSpec, Verb

_ABSOLUTE = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+(?:[/?#].*)?", re.IGNORECASE)
_LINK_VALUE = re.compile(
    r'\s*<(?P<target>[^<>]*)>(?:\s*;\s*[a-z*]+=(?:"[^",;]*"|[^",;\s]+))*?'
    r'(?:\s*;\s*rel=(?P<q>"?)(?P<rel>[a-z0-9-]+)(?P=q)(?:\s*;\s*[a-z*]+=(?:"[^",;]*"|[^",;\s]+))*)?\s*'
)
_MAX_LINK = 4096


@dataclass(frozen=True, slots=True)
class Mount:
    """One upstream's two addresses: where it is, and where callers see it.

    origin: None for the embedded store. base: path before every target there. prefix: path before every target here.
    """

    origin: Origin | None
    base: str
    prefix: str

    def inward(self, link: str) -> str | None:
        """Gives the gateway's path for a link below the upstream's base; None for every other link.

        Only an absolute address or an absolute path is understood, in one spelling (wire.target), without a query: a query
        of the upstream's making is no parameter of the gateway's, and may hold values.
        """
        path = self._path_of(link)
        if path is None or (self.base and path != self.base and not path.startswith(self.base + "/")):
            return None
        rest = path[len(self.base) :]
        return self.prefix + rest if rest else None

    def below(self, link: str) -> str | None:
        """Gives the path below the base, without the prefix; None as for `inward`."""
        seen = self.inward(link)
        return None if seen is None else seen[len(self.prefix) :]

    def _path_of(self, link: str) -> str | None:
        if len(link) > _MAX_LINK or not link.isascii():
            return None
        path = link
        if not link.startswith("/"):
            if not _ABSOLUTE.fullmatch(link) or not self._same_origin(link):
                return None
            path = "/" + link.split("://", 1)[1].partition("/")[2]
        try:
            target = canonical(path.encode("ascii"), max_bytes=_MAX_LINK)
        except Refused:
            return None
        return None if target.raw_query else target.path

    def _same_origin(self, link: str) -> bool:
        if self.origin is None:
            return False
        try:
            found = urlsplit(link)
            port = found.port or {"http": 80, "https": 443}[found.scheme]
        except ValueError:
            return False
        return (found.scheme, found.hostname, port) == (
            self.origin.scheme,
            self.origin.host,
            self.origin.port,
        )

    def link_header(self, value: str) -> tuple[str | None, bool]:
        """Rewrites a Link header (RFC 8288). Gives what is left of it, None for nothing, and whether a link was dropped.

        Of a link's parameters only `rel` passes: an anchor leads elsewhere, a title may be a value.
        """
        if len(value) > _MAX_LINK:
            return None, True
        kept: list[str] = []
        parts = value.split(",")
        for part in parts:
            found = _LINK_VALUE.fullmatch(part)
            path = None if found is None else self.inward(found["target"])
            if found is not None and path is not None:
                kept.append(f'<{path}>; rel="{found["rel"]}"' if found["rel"] else f"<{path}>")
        return ", ".join(kept) or None, len(kept) < len(parts)


def address_of(upstream: UpstreamSpec, ref: ResourceRef) -> str | None:
    """Gives the path at which callers read a record, None where no route of the catalogue reads it."""
    above = None if ref.parent is None else ref.parent.record
    ids = {"{id}": quote(ref.record or "", safe=""), "{parent}": quote(above or "", safe="")}
    for route in upstream.routes:
        if route.verb is Verb.READ and route.resource == ref.resource:
            path = [ids.get(segment, segment) for segment in route.template]
            if all(path):
                return "/".join((upstream.prefix, *path))
    return None

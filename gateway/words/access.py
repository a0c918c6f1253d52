"""What is asked: the call as the edge read it, and the access that the catalogue makes of it (steps 1 and 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from gateway.words.principal import Principal


@dataclass(frozen=True, slots=True)
class Call:
    """One request after the edge: canonical, bounded, read in exactly one way.

    id:        ours, `req_…`.
    method:    upper-case token; HEAD stays HEAD here and is decided as GET.
    path:      the canonical path exactly as received and as it will be forwarded (ASCII, percent-encoded).
    segments:  its segments after the leading slash, each percent-decoded once (UTF-8).
    raw_query: the query as it is sent on, without `?`; empty when there is none.
    query:     its pairs decoded, in order.
    headers:   names in lower case, in order, duplicates already refused where they matter.
    body:      bytes as received, bounded; b"" when there is none.
    peer:      the address that the connection came from.
    trace:     the id of the trace that it belongs to, 32 hex digits; a listed peer's, else ours.
    certificate: the names in the caller's verified client certificate (`URI:…`, `DNS:…`); empty when he showed none.
    """

    id: str
    method: str
    path: str
    segments: tuple[str, ...]
    raw_query: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)
    peer: str
    received: datetime
    trace: str | None = None
    certificate: tuple[str, ...] = ()

    @property
    def callers_id(self) -> str | None:
        """What the caller calls his request (`X-Request-Id`), None where he does not say. It may be anything: a value."""
        return self.header("x-request-id")

    def header(self, name: str) -> str | None:
        """Gives the value of the one header of that (lower-case) name, None when absent."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


@dataclass(frozen=True, slots=True)
class ResourceRef:
    """A place: a record, or a collection when `record` is None. `record` is a value unless the catalogue says ids are public."""

    upstream: str
    resource: str
    record: str | None = field(default=None, repr=False)
    parent: ResourceRef | None = field(default=None, repr=False)

    def record_of(self, record: str) -> ResourceRef:
        """Gives the place of one record of this collection."""
        return ResourceRef(self.upstream, self.resource, record, self.parent)


@dataclass(frozen=True, slots=True)
class Access:
    """Step 3's outcome, step 5's question: who wants to do what to what, and what for, at what time."""

    request: str
    principal: Principal
    action: str
    purpose: str | None
    ref: ResourceRef
    time: datetime
    trace: str | None = None
    callers_id: str | None = field(default=None, repr=False)

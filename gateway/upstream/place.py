"""Before the path: one upstream made ready from its catalogue entry: its mount, transport, fixed headers and cuts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from time import perf_counter

from gateway.observe import Count, Metrics, SpanKind, Trouble, end, here
from gateway.upstream.assertion import Asserter
from gateway.upstream.links import Mount
from gateway.upstream.shape import Cut
from gateway.upstream.target import target
from gateway.upstream.transport import Exchange, RawAnswer, Transport
from gateway.upstream.watch import trouble_of
from gateway.wire.headers import HOP_BY_HOP, well_formed
from gateway.wire.traceparent import HEADER as TRACEPARENT
from gateway.words.access import Access, ResourceRef
from gateway.words.errors import BadAnswer, Misconfigured, NoAnswer, NotSent
from gateway.words.json import Pointer
from gateway.words.resource import ResourceSpec, Shape, UpstreamSpec, Verb, Versioning

_ACCEPTED = (
    ("accept", "application/json"),
    ("accept-encoding", "identity"),
    ("user-agent", "gatehouse"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """One upstream.

    headers: ours, the catalogue's fixed ones and the credential; none of their names comes from a caller.
    asserter: signs who asks; None where the catalogue does not want it. embedded: the store in this process.
    """

    spec: UpstreamSpec
    mount: Mount
    transport: Transport
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    metrics: Metrics = field(repr=False)
    asserter: Asserter | None = None
    embedded: bool = False
    _cuts: dict[tuple[int, Pointer | None], Cut] = field(default_factory=dict, repr=False)

    def cut(self, shape: Shape, resource: ResourceSpec) -> Cut:
        """Gives the cut for a shape, made once. A cut keeps its shape, so that an id in the key names no other one."""
        version_at = resource.version_at if resource.versioning is Versioning.BODY else None
        key = (id(shape), version_at)
        found = self._cuts.get(key)
        if found is None:
            found = self._cuts[key] = Cut(shape, version_at)
        return found

    def shape_of(self, resource: ResourceSpec, verb: Verb) -> Shape | None:
        """Gives the shape of the resource's first route of that kind, None where it has none."""
        for route in self.spec.routes:
            if route.resource == resource.name and route.verb is verb:
                return route.shape
        return None

    def ours(self, name: str) -> bool:
        """Tells whether a (lower-case) header name is one that the gateway says itself."""
        return any(name == own for own, _ in self.headers)

    async def send(
        self,
        method: str,
        path: str,
        raw_query: str = "",
        *,
        by: Access | ResourceRef,
        added: Iterable[tuple[str, str]] = (),
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        accept: str | None = None,
        max_answer_bytes: int | None = None,
    ) -> RawAnswer:
        """Gives the raw answer. by: whose request it serves, or the place that the gateway looks at for itself. accept,
        max_answer_bytes: where it is not as for every request to this upstream. Raises what a transport raises."""
        where = target(self.mount.base, path, raw_query, added)
        span, ours = None, self.headers
        if accept is not None:
            ours = (*(pair for pair in ours if pair[0] != "accept"), ("accept", accept))
        if (traced := here.get()) is not None:
            if traced.root is not None:
                span = traced.child(f"{method} {self.spec.name}", SpanKind.CLIENT)
            ours = (*ours, (TRACEPARENT, traced.outgoing(span)))
        if self.asserter is not None:
            ours = (*ours, self.asserter.header(by, method, where, body))
        exchange = Exchange(
            method=method,
            target=where,
            headers=(*ours, *headers),
            body=body,
            connect_seconds=self.spec.connect_seconds,
            answer_seconds=self.spec.answer_seconds,
            max_answer_bytes=max_answer_bytes or self.spec.max_answer_bytes,
        )
        start = perf_counter()
        try:
            raw = await self.transport.send(exchange)
        except (NotSent, NoAnswer) as error:
            trouble = Trouble.NOT_SENT if isinstance(error, NotSent) else Trouble.NO_ANSWER
            self.metrics.count(Count.UPSTREAM_ERRORS, kind=trouble)
            end(span, error=trouble)
            raise
        except BadAnswer:
            end(span, error=Trouble.BAD_ANSWER)  # counted where all of them are (watch.judged)
            raise
        finally:
            self.metrics.exchanged(perf_counter() - start)
        end(span, status=raw.status)
        if raw.status > 400 and (seen := trouble_of(raw.status)) is not None:
            self.metrics.count(Count.UPSTREAM_ERRORS, kind=seen)
        return raw


def fixed_headers(spec: UpstreamSpec, credential: tuple[str, str] | None) -> tuple[tuple[str, str], ...]:
    """Gives the headers of every request to an upstream, each name once; the catalogue's win over ours.

    Raises Misconfigured for one that is malformed, frames the message, or stands where the credential does.
    """
    chosen = dict(_ACCEPTED)
    for name, value in spec.headers:
        if not well_formed(name.lower(), value) or name.lower() in HOP_BY_HOP | {"host", "accept-encoding"}:
            raise Misconfigured(f"upstream {spec.name}: the header {name} cannot be a fixed one")
        if credential is not None and name.lower() == credential[0]:
            raise Misconfigured(f"upstream {spec.name}: the header {name} is the credential's")
        chosen[name.lower()] = value
    if credential is not None:
        chosen[credential[0]] = credential[1]
    return tuple(chosen.items())

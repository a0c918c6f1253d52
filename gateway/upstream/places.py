"""Before the path: every upstream of the catalogue made ready, at the start and at each load. All of it, or none."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.keys import Refusal
from gateway.observe import Metrics
from gateway.upstream.address import AllowedHosts, Origin, Resolver, parse_base, system_resolver
from gateway.upstream.assertion import Asserter, Asserting
from gateway.upstream.credential import credential_header
from gateway.upstream.http import HttpTransport
from gateway.upstream.links import Mount
from gateway.upstream.place import Place, fixed_headers
from gateway.upstream.tls import Certified, Renewed
from gateway.upstream.transport import Transport
from gateway.words.errors import Misconfigured, NotSent
from gateway.words.resource import UpstreamSpec, UpstreamTls

EMBEDDED_BASE = "embedded:"
_Way = tuple[Origin, UpstreamTls | None]
"""Where to, and on which terms: upstreams of one origin share connections only where they share both."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at an upstream's certificate files found. ends: when what we show it ends, None where we show nothing."""

    upstream: str
    found: Renewed | Refusal | None
    ends: datetime | None


class Places:
    """The upstreams by name. Connections are kept over a load where the origin stays the same."""

    def __init__(
        self,
        *,
        environment: Mapping[str, str],
        allowed: AllowedHosts,
        embedded: Transport | None = None,
        tls: ssl.SSLContext | None = None,
        resolver: Resolver = system_resolver,
        metrics: Metrics | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        asserting: Asserting | None = None,
    ) -> None:
        """environment: where `env:` references are looked up. embedded: the transport to the store in this process.

        tls: the terms for upstreams that have none of their own. asserting: how to sign for those that want it.
        """
        self.metrics = metrics or Metrics()
        self._environment = environment
        self._allowed = allowed
        self._embedded = embedded
        self._tls = tls
        self._resolver = resolver
        self._now = now
        self._asserting = asserting
        self._places: dict[str, Place] = {}
        self._http: dict[_Way, HttpTransport] = {}
        self._certified: dict[UpstreamTls, Certified] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def load(self, specs: Iterable[UpstreamSpec]) -> None:
        """Takes these upstreams in place of those before; reads their credentials anew.

        Raises Misconfigured with every problem, and then nothing has changed. Transports that no upstream uses any more end
        once what is under way on them has been answered.
        """
        places: dict[str, Place] = {}
        http: dict[_Way, HttpTransport] = {}
        certified: dict[UpstreamTls, Certified] = {}
        problems: list[str] = []
        for spec in specs:
            try:
                places[spec.name] = self._place(spec, http, certified)
            except Misconfigured as error:
                problems.extend(error.problems)
        if problems:
            raise Misconfigured(*problems)
        unused = [transport for way, transport in self._http.items() if way not in http]
        self._places, self._http, self._certified = places, http, certified
        for transport in unused:
            task = asyncio.ensure_future(transport.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def of(self, name: str) -> Place:
        """Gives the upstream of that name. Raises NotSent where a load has just taken it away."""
        place = self._places.get(name)
        if place is None:
            raise NotSent
        return place

    async def look(self) -> Sequence[Look]:
        """Looks at the certificate files once. Renewed ones hold for every connection from now on; a broken change holds for none."""
        looks, places, ways = [], self._places, self._http
        for tls, certified in self._certified.items():
            found = await asyncio.to_thread(certified.look)
            name = next(name for name, place in places.items() if place.spec.tls == tls)
            looks.append(Look(name, found, certified.ends))
            if isinstance(found, Renewed):
                for (_, whose), transport in ways.items():
                    if whose == tls:
                        transport.renew(found.context)
        return looks

    async def close(self) -> None:
        """Ends every transport, once what is under way has been answered."""
        transports: list[Transport] = list(self._http.values())
        if self._embedded is not None:
            transports.append(self._embedded)
        await asyncio.gather(*self._closing, *(transport.close() for transport in transports))

    def _place(
        self, spec: UpstreamSpec, http: dict[_Way, HttpTransport], certified: dict[UpstreamTls, Certified]
    ) -> Place:
        credential = None
        if spec.credential is not None:
            credential = credential_header(spec.credential, self._environment, spec.name)
        headers = fixed_headers(spec, credential)
        if spec.base == EMBEDDED_BASE:
            if self._embedded is None:
                raise Misconfigured(f"upstream {spec.name}: there is no embedded store in this process")
            mount = Mount(None, "", spec.prefix)
            return Place(spec, mount, self._embedded, headers, self.metrics, embedded=True)
        origin, base = parse_base(spec.base)
        way = (origin, spec.tls)
        if way not in http:
            tls = self._tls
            if spec.tls is not None:
                if spec.tls not in certified:
                    certified[spec.tls] = self._certified.get(spec.tls) or Certified(
                        spec.tls, spec.name, self._now
                    )
                tls = certified[spec.tls].context
            http[way] = self._http.get(way) or HttpTransport(
                origin, allowed=self._allowed, tls=tls, resolver=self._resolver
            )
        return Place(
            spec, Mount(origin, base, spec.prefix), http[way], headers, self.metrics, self._asserter(spec)
        )

    def _asserter(self, spec: UpstreamSpec) -> Asserter | None:
        if spec.assertion is None:
            return None
        if self._asserting is None:
            raise Misconfigured(
                f"upstream {spec.name}: there is no key to sign assertions with in this process"
            )
        return Asserter(self._asserting, spec.name, spec.assertion)

"""Before the path: every upstream of the catalogue made ready, at the start and at each load. All of it, or none."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping

from gateway.observe import Metrics
from gateway.upstream.address import AllowedHosts, Origin, Resolver, parse_base, system_resolver
from gateway.upstream.credential import credential_header
from gateway.upstream.http import HttpTransport
from gateway.upstream.links import Mount
from gateway.upstream.place import Place, fixed_headers
from gateway.upstream.transport import Transport
from gateway.words.errors import Misconfigured, NotSent
from gateway.words.resource import UpstreamSpec

EMBEDDED_BASE = "embedded:"


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
    ) -> None:
        """environment: where `env:` references are looked up. embedded: the transport to the store in this process."""
        self.metrics = metrics or Metrics()
        self._environment = environment
        self._allowed = allowed
        self._embedded = embedded
        self._tls = tls
        self._resolver = resolver
        self._places: dict[str, Place] = {}
        self._http: dict[Origin, HttpTransport] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def load(self, specs: Iterable[UpstreamSpec]) -> None:
        """Takes these upstreams in place of those before; reads their credentials anew.

        Raises Misconfigured with every problem, and then nothing has changed. Transports that no upstream uses any more end
        once what is under way on them has been answered.
        """
        places: dict[str, Place] = {}
        http: dict[Origin, HttpTransport] = {}
        problems: list[str] = []
        for spec in specs:
            try:
                places[spec.name] = self._place(spec, http)
            except Misconfigured as error:
                problems.extend(error.problems)
        if problems:
            raise Misconfigured(*problems)
        unused = [transport for origin, transport in self._http.items() if origin not in http]
        self._places, self._http = places, http
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

    async def close(self) -> None:
        """Ends every transport, once what is under way has been answered."""
        transports: list[Transport] = list(self._http.values())
        if self._embedded is not None:
            transports.append(self._embedded)
        await asyncio.gather(*self._closing, *(transport.close() for transport in transports))

    def _place(self, spec: UpstreamSpec, http: dict[Origin, HttpTransport]) -> Place:
        credential = None
        if spec.credential is not None:
            credential = credential_header(spec.credential, self._environment, spec.name)
        headers = fixed_headers(spec, credential)
        if spec.base == EMBEDDED_BASE:
            if self._embedded is None:
                raise Misconfigured(f"upstream {spec.name}: there is no embedded store in this process")
            return Place(spec, Mount(None, "", spec.prefix), self._embedded, headers, self.metrics)
        origin, base = parse_base(spec.base)
        if origin not in http:
            http[origin] = self._http.get(origin) or HttpTransport(
                origin, allowed=self._allowed, tls=self._tls, resolver=self._resolver
            )
        return Place(spec, Mount(origin, base, spec.prefix), http[origin], headers, self.metrics)

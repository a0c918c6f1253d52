"""Beside the path: looks at certificates while the process serves. A renewed one is taken, a broken one refused, an ending one told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

from gateway.edge import ListenerTls
from gateway.keys import Refusal
from gateway.observe import Alarms, event
from gateway.upstream import Look, Renewed
from gateway.words.control import CONTROL_UPSTREAM
from gateway.words.record import Alarm, AlarmKind

LISTENER = "listener"
OURS = "certificate"
"""The resource of an alarm about what we show, or hold, an upstream to."""
AGAIN = timedelta(days=1)
"""How often a certificate that ends soon is told of."""


class Certificates:
    """One look at everything that ends. warn: how long before its end a certificate is an alarm."""

    def __init__(
        self,
        alarms: Alarms,
        warn: timedelta,
        now: Callable[[], datetime],
        *,
        listener: ListenerTls | None,
        upstreams: Callable[[], Awaitable[Iterable[Look]]],
    ) -> None:
        self._alarms = alarms
        self._warn = warn
        self._now = now
        self._listener = listener
        self._upstreams = upstreams
        self._told: dict[tuple[str, str], datetime] = {}

    async def watch(self) -> None:
        """Looks once. Promises: what cannot be used changes nothing but an alarm."""
        if self._listener is not None:
            found = await asyncio.to_thread(self._listener.look)
            self._take(CONTROL_UPSTREAM, LISTENER, found)
            self._ending(CONTROL_UPSTREAM, LISTENER, self._listener.ends)
        for look in await self._upstreams():
            self._take(look.upstream, OURS, look.found)
            if look.ends is not None:
                self._ending(look.upstream, OURS, look.ends)

    def _take(self, upstream: str, resource: str, found: Refusal | Renewed | datetime | None) -> None:
        if isinstance(found, Refusal):
            self._alarms.raise_([Alarm(AlarmKind.CERTIFICATE_REFUSED, upstream, resource)])
        elif found is not None:
            self._told.pop((upstream, resource), None)
            event("certificate-taken", upstream=upstream, resource=resource)

    def _ending(self, upstream: str, resource: str, ends: datetime) -> None:
        now, place = self._now(), (upstream, resource)
        if ends - now > self._warn or now - self._told.get(place, now - AGAIN) < AGAIN:
            return
        self._told[place] = now
        event(
            "certificate-ends",
            logging.WARNING,
            upstream=upstream,
            resource=resource,
            seconds=round((ends - now).total_seconds()),
        )
        self._alarms.raise_([Alarm(AlarmKind.CERTIFICATE_ENDING, upstream, resource)])

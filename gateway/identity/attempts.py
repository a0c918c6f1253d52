"""Step 2 of the request path: wrong secrets, counted by where they come from and by whom they are meant for. No I/O, bounded.

Only wrong ones count, and only they are slowed: a right secret is known before anything here is asked, so whoever guesses at a
client, from wherever, never keeps the client itself out.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv6Address, ip_address, ip_network

from gateway.words.errors import Code, Refused

BURST = 10
"""Wrong secrets in a row that are answered as such."""
EACH_SECONDS = 6.0
"""After so long one more is."""
_REMEMBERED = 10_000


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Attempts:
    """Two tables of token buckets. The one that was used longest ago makes room: it has filled up again, or nearly."""

    def __init__(self) -> None:
        self._sources: OrderedDict[str, _Bucket] = OrderedDict()
        self._clients: OrderedDict[str, _Bucket] = OrderedDict()

    def wrong(self, source: str, client: str, now: datetime) -> None:
        """Notes one. Raises Refused(TOO_MANY) where there were too many from there, or for that client."""
        seconds = now.timestamp()
        waits = [
            _taken(table, name, seconds)
            for table, name in ((self._sources, _network(source)), (self._clients, client))
        ]
        if max(waits) > 0:
            raise Refused(Code.TOO_MANY, retry_after_seconds=int(max(waits)) + 1)


def _taken(table: OrderedDict[str, _Bucket], name: str, now: float) -> float:
    """Takes one from a bucket; gives how long it is until there is another where it is empty, else 0."""
    bucket = table.setdefault(name, _Bucket(float(BURST), now))
    table.move_to_end(name)
    if len(table) > _REMEMBERED:
        table.popitem(last=False)
    bucket.left = min(float(BURST), bucket.left + max(0.0, now - bucket.at) / EACH_SECONDS)
    bucket.at = now
    if bucket.left < 1:
        return (1 - bucket.left) * EACH_SECONDS
    bucket.left -= 1
    return 0.0


def _network(source: str) -> str:
    """Whoever has one address of IPv6 has the 64 bits below it too."""
    try:
        address = ip_address(source)
    except ValueError:
        return source
    if not isinstance(address, IPv6Address):
        return source
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), 64), strict=False))

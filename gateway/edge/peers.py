"""Step 1: which peers are believed about the trace that a request belongs to. None, unless an operator lists them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final, TypeAlias

from gateway.observe import lines_of
from gateway.wire import traceparent
from gateway.wire.traceparent import Parent

Network: TypeAlias = IPv4Network | IPv6Network
_REMEMBERED: Final = 1_000


class Peers:
    """Listed addresses. The address is the connection's own: what a header says of it counts for nothing here."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = tuple(networks)
        self._known: dict[str, bool] = {}

    def listed(self, peer: str) -> bool:
        """Tells whether that address is in one of the networks; what is no address is in none."""
        known = self._known.get(peer)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[peer] = self._look(peer)
        return known

    def parent(self, peer: str, headers: Sequence[tuple[bytes, bytes]]) -> Parent | None:
        """Gives the parent that a listed peer names; None for anybody else, and for a line that is not well formed."""
        return traceparent.parse(lines_of(headers, b"traceparent")) if self.listed(peer) else None

    def _look(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

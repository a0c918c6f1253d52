"""Step 7, before a connection: which hosts and addresses the gateway may connect to. Resolving is the only I/O here.

A name is resolved once a connect, every address is checked, and the connection goes to exactly a checked address: a
name that resolves differently the second time (DNS rebinding) never gets a second time.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.words.errors import Misconfigured

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""From a host and a port to the addresses' texts. Raises OSError."""

_BASE = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*)/?"
)
_LISTED = re.compile(
    r"(?P<wild>\*\.)?(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?):(?P<port>[0-9]{1,5})"
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of an upstream; the host in lower case, an IPv6 address without its brackets."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """What stands in the Host header (RFC 9110 section 7.2): the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_base(base: str) -> tuple[Origin, str]:
    """Gives an upstream's origin and the path before every target, without a slash at its end.

    Raises Misconfigured for anything but `http(s)://host[:port][/path]`: no user, query, fragment, empty or dot segment.
    """
    found = _BASE.fullmatch(base)
    if found is None or any(s in {".", ".."} for s in found["path"].lower().replace("%2e", ".").split("/")):
        raise Misconfigured(
            "an upstream's base is http(s)://host[:port][/path], without user, query or dot segments"
        )
    port = int(found["port"] or _DEFAULT_PORTS[found["scheme"]])
    if not 0 < port < 65536:
        raise Misconfigured("an upstream's port is from 1 to 65535")
    return Origin(found["scheme"], found["host"].strip("[]").lower(), port), found["path"]


class AllowedHosts:
    """The allow-list of the settings: `host:port`, or `*.suffix:port` for names below a suffix.

    A name that only a `*` lists may not resolve to this machine or a private network; one that is listed literally may.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        """Raises Misconfigured for an entry that is neither form."""
        self._literal: set[tuple[str, int]] = set()
        self._suffixes: set[tuple[str, int]] = set()
        for entry in entries:
            found = _LISTED.fullmatch(entry)
            if found is None or (found["wild"] and "[" in found["host"]):
                raise Misconfigured(f"an allowed host is host:port or *.suffix:port, not {entry!r}")
            host, port = found["host"].strip("[]").lower(), int(found["port"])
            if found["wild"]:
                self._suffixes.add(("." + host, port))
            else:
                self._literal.add((host, port))

    def literal(self, origin: Origin) -> bool:
        """Tells whether exactly this host and port is listed."""
        return (origin.host, origin.port) in self._literal

    def listed(self, origin: Origin) -> bool:
        """Tells whether the host may be an upstream at all."""
        return self.literal(origin) or any(
            origin.port == port and origin.host.endswith(suffix) for suffix, port in self._suffixes
        )


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """Gives the system's answer, in its order. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))

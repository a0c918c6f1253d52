"""Which addresses the gateway may connect to, and which of them a host's own text is. Pure: no name is looked up here."""

from __future__ import annotations

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Where machines keep credentials for whoever asks. None of them is ever an upstream, listed or not.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",  # RFC 6890: this network
        "169.254.0.0/16",  # RFC 3927: link-local; 169.254.169.254 is the metadata service of most clouds
        "100.100.100.200/32",  # metadata, Alibaba Cloud
        "168.63.129.16/32",  # wire server, Azure
        "192.0.0.0/24",  # RFC 6890: protocol assignments; 192.0.0.192 is metadata at Oracle
        "224.0.0.0/4",  # RFC 5771: multicast
        "240.0.0.0/4",  # RFC 1112: reserved, with the broadcast address
        "::/128",  # RFC 4291: unspecified
        "fe80::/10",  # RFC 4291: link-local
        "fec0::/10",  # RFC 3879: site-local, deprecated
        "ff00::/8",  # RFC 4291: multicast
        "fd00:ec2::/32",  # metadata, AWS (fd00:ec2::254)
        "fd20:ce::/32",  # metadata, Google Cloud (fd20:ce::254)
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
_COMPATIBLE = ipaddress.IPv6Network("::/96")  # RFC 4291 section 2.5.5.1, deprecated


def spelled(host: str) -> str | None:
    """Gives the address that a host is in itself, in any spelling that a connect takes for one; None for a name.

    A connect takes an IPv4 address also as one number (`2852039166`), in hexadecimal or octal, and with fewer than four parts
    (inet_aton(3)); a host in brackets of a URL is given without them.
    """
    if ":" in host:
        return host
    try:
        return str(ipaddress.IPv4Address(socket.inet_aton(host)))
    except (OSError, UnicodeEncodeError):
        return None


def permitted(text: str, *, literal: bool) -> bool:
    """Tells whether the gateway may connect to that address.

    literal: the host is listed as it stands, so this machine and private networks are meant. Link-local, metadata,
    unspecified, multicast and reserved addresses are refused whatever is listed, also inside an IPv6 address.
    """
    try:
        given = ipaddress.ip_address(text)
    except ValueError:  # a scope (`fe80::1%eth0`) on Pythons that refuse it, or no address at all
        return False
    return all(_permitted(one, literal) for one in (given, *_embedded(given)))


def _permitted(address: Address, literal: bool) -> bool:
    if any(address.version == net.version and address in net for net in _NEVER):
        return False
    return literal or address.is_global


def _embedded(address: Address) -> tuple[Address, ...]:
    """Gives the IPv4 addresses that an IPv6 address carries: mapped, 6to4, Teredo, NAT64, compatible."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    teredo = address.teredo or ()
    last = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    low = (last,) if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1) else ()
    return tuple(one for one in (address.ipv4_mapped, address.sixtofour, *teredo, *low) if one is not None)

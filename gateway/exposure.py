"""Before the path: may this process serve where it is told to? Off the loopback address: not in clear, and not with the demo's keys."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable
from datetime import datetime

from gateway.edge import ListenerTls
from gateway.identity import ApiKey, read_issuers
from gateway.identity.demo import APPLICATIONS, ISSUER
from gateway.settings import Settings
from gateway.words.errors import Misconfigured

_NAMED = 3
"""Demo keys whose ids a refusal names; the rest are counted."""


def loopback(host: str) -> bool:
    """Tells whether what listens on that address is reached from this machine alone. A name counts by all that it resolves to."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:  # "" and "0" are every address, whatever they look like: what `bind` would make of the text counts
        found = socket.getaddrinfo(host or "0.0.0.0", None, type=socket.SOCK_STREAM)  # noqa: S104 - asked about, not bound
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(str(entry[4][0])).is_loopback for entry in found)


def exposed(settings: Settings) -> bool:
    """Tells whether others than this machine can reach the port: by its own address, or through the proxy that is declared."""
    return settings.tls_terminated or not loopback(settings.host)


def own_address(settings: Settings) -> str | None:
    """Gives by what address callers reach this gateway, None where nobody said so and it cannot be known.

    Port 0 is nobody's address: a start that takes a free port has that port's number in its settings before it asks.
    """
    if settings.public_url:
        return settings.public_url
    if not settings.port or not loopback(settings.host) or settings.tls_terminated:
        return None
    scheme = "http" if settings.tls_certificate_file is None else "https"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{settings.port}"


def listener_tls(settings: Settings, now: Callable[[], datetime]) -> ListenerTls | None:
    """Gives the TLS of our own port, None where it speaks plain HTTP. Raises Misconfigured for files that cannot be used."""
    certificate, key = settings.tls_certificate_file, settings.tls_key_file
    clients = settings.tls_client_ca_file
    if (clients is None) != (settings.client_certificates_file is None) or (clients and not certificate):
        raise Misconfigured(
            "client certificates need all of GATEHOUSE_TLS_CLIENT_CA_FILE, GATEHOUSE_CLIENT_CERTIFICATES_FILE and a certificate of "
            "our own (GATEHOUSE_TLS_CERTIFICATE_FILE, GATEHOUSE_TLS_KEY_FILE): a proxy's word for one is never taken"
        )
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise Misconfigured(
            "half of a certificate is set: GATEHOUSE_TLS_CERTIFICATE_FILE and GATEHOUSE_TLS_KEY_FILE go together"
        )
    return ListenerTls(certificate, key, now, clients)


def check_address(settings: Settings) -> None:
    """Raises Misconfigured where credentials and clear values would cross a network unprotected, as far as settings tell."""
    own = settings.tls_certificate_file is not None
    if not own and not loopback(settings.host) and not settings.tls_terminated:
        raise Misconfigured(
            f"refuses plain HTTP on {settings.host}: what crosses the network in clear can be read and replayed. "
            "Set GATEHOUSE_TLS_CERTIFICATE_FILE and GATEHOUSE_TLS_KEY_FILE, or GATEHOUSE_HOST to 127.0.0.1, or "
            "GATEHOUSE_TLS_TERMINATED to on where a proxy ends TLS in front of this address and nothing else can reach it"
        )


def check_credentials(settings: Settings, keys: Iterable[ApiKey], now: datetime) -> None:
    """Raises Misconfigured where the port is exposed and a credential of the demonstration would be accepted.

    A demo key is known by its application: names that begin with `app:demo-` are reserved for the demonstration, which uses no
    other (and `Identity` knows none of them where the port is exposed: another process may issue one later). One that was
    revoked or has ended is no danger. Its issuer of persons' tokens is known by its name.
    """
    if not exposed(settings):
        return
    found = [
        key.id
        for key in keys
        if key.application.startswith(APPLICATIONS) and key.revoked_at is None and now < key.not_after
    ]
    problems = []
    if found:
        named = ", ".join(found[:_NAMED]) + (" and others" if len(found) > _NAMED else "")
        problems.append(
            f"refuses demo credentials: {len(found)} key(s) of applications named {APPLICATIONS}… hold here ({named}). "
            "Begin with a home folder and database of their own, or revoke them (DELETE /v1/keys/ID) while GATEHOUSE_HOST is "
            "127.0.0.1 and GATEHOUSE_TLS_TERMINATED is off"
        )
    path = settings.issuers_file
    if path is not None and any(issuer.issuer == ISSUER for issuer in read_issuers(path, settings.audience)):
        problems.append(
            f"refuses demo credentials: {path.name} lists the demo's issuer {ISSUER}; take it out of that file"
        )
    if problems:
        raise Misconfigured(*problems)

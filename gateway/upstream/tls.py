"""Before the path: an https upstream's own terms, made from the files that the catalogue refers to, and made anew when those change."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.keys import Refusal, Rotating, read_certificates, read_pair
from gateway.upstream.http import tls_context
from gateway.words.errors import Misconfigured
from gateway.words.resource import UpstreamTls


@dataclass(frozen=True, slots=True)
class Renewed:
    """Terms that hold. ends: when the certificate that we show ends, None where we show none."""

    context: ssl.SSLContext
    ends: datetime | None


class Certified:
    """One upstream's terms. Raises Misconfigured, naming upstream and file, where there are none to begin with."""

    def __init__(self, tls: UpstreamTls, upstream: str, now: Callable[[], datetime]) -> None:
        ca, certificate, key = (_path(reference) for reference in (tls.ca, tls.certificate, tls.key))

        def make() -> Renewed:
            try:
                return _terms(ca, certificate, key, now())
            except Misconfigured as error:
                raise Misconfigured(
                    *(f"upstream {upstream}: tls: {one}" for one in error.problems)
                ) from error

        paths = [path for path in (ca, certificate, key) if path is not None]
        self._held = Rotating(paths, make)

    @property
    def context(self) -> ssl.SSLContext:
        """What the next connection is held to."""
        return self._held.value.context

    @property
    def ends(self) -> datetime | None:
        """When the certificate that we show ends."""
        return self._held.value.ends

    def look(self) -> Renewed | Refusal | None:
        """Gives new terms that hold from now on, a refusal of what the files have become, or None. Blocks."""
        return self._held.look()


def _terms(ca: Path | None, certificate: Path | None, key: Path | None, now: datetime) -> Renewed:
    if ca is not None:
        read_certificates(ca)
    context = tls_context(ca)
    if certificate is None or key is None:
        return Renewed(context, None)
    pair = read_pair(certificate, key, now)
    try:
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{certificate.name}: OpenSSL does not take this certificate") from error
    return Renewed(context, pair.ends)


def _path(reference: str | None) -> Path | None:
    return None if reference is None else Path(reference.removeprefix("file:"))

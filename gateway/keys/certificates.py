"""Ground: certificate files. What is wrong with a certificate and its key is found before TLS is asked to use them.

A problem names the file and what to do, never what the file holds.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Generic, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gateway.words.errors import Misconfigured

T = TypeVar("T")
MAX_FILE_BYTES: Final = 1_048_576
# What the library raises of bytes that are no certificate, or one that it cannot take apart; they have no common root.
_UNREADABLE: Final = (
    ValueError,
    TypeError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with the private key that belongs to it, as files. ends: when the first of the chain ends (UTC)."""

    certificate: Path
    key: Path
    ends: datetime


def read_pair(certificate: Path, key: Path, now: datetime) -> Pair:
    """Gives the pair. The certificate file may hold the chain above it, the one that is shown first.

    Raises Misconfigured: a file that cannot be read, a key that others may read, that has a pass phrase or belongs to another
    certificate, a certificate that does not hold at `now`.
    """
    chain = read_certificates(certificate)
    private = _private(key)
    first = chain[0]
    spki = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if private.public_key().public_bytes(*spki) != first.public_key().public_bytes(*spki):
        raise Misconfigured(
            f"{key.name} is not the key of the first certificate in {certificate.name}: put the pair that belongs together there"
        )
    for one in chain:
        if now < one.not_valid_before_utc:
            raise Misconfigured(
                f"{certificate.name}: a certificate holds only from {one.not_valid_before_utc.isoformat()} on; look at the clock"
            )
        if now >= one.not_valid_after_utc:
            raise Misconfigured(
                f"{certificate.name}: a certificate ended on {one.not_valid_after_utc.isoformat()}; renew it"
            )
    return Pair(certificate, key, min(one.not_valid_after_utc for one in chain))


def read_certificates(path: Path) -> tuple[x509.Certificate, ...]:
    """Gives the certificates of a PEM file, at least one. Raises Misconfigured."""
    try:
        found = x509.load_pem_x509_certificates(_bytes(path, private=False))
        # Read now: a certificate whose parts cannot be read must not pass here and stop something later.
        for one in found:
            one.public_key()
            one.extensions  # noqa: B018 - parsed on access
    except UnsupportedAlgorithm as error:
        raise _unknown_kind(path) from error
    except _UNREADABLE as error:
        raise Misconfigured(f"{path.name}: no PEM certificates that can be read; put some there") from error
    return tuple(found)


def pem_of(certificates: Iterable[x509.Certificate]) -> bytes:
    """Gives them as PEM, one after the other and nothing else."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in certificates)


def stamp(paths: Iterable[Path]) -> object:
    """Gives what tells one state of files from another; links are followed, since renewals often only turn one."""
    stamps: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            about = path.stat()
        except OSError:
            stamps.append(None)
        else:
            stamps.append((about.st_mtime_ns, about.st_size, about.st_ino))
    return stamps


@dataclass(frozen=True, slots=True)
class Refusal:
    """Files were changed to something that cannot be used; what was in use stays."""

    problems: tuple[str, ...]


class Rotating(Generic[T]):
    """Something that is made from files, and made anew when they change.

    Promises: `value` is always something that was made whole; files that are being written are not taken for broken ones: they
    are refused when two looks in a row find them unchanged and unusable.
    """

    def __init__(self, paths: Iterable[Path], make: Callable[[], T]) -> None:
        """Raises Misconfigured: there is nothing to fall back on yet."""
        self._paths = tuple(paths)
        self._make = make
        self._broken: object = None
        # Before they are read: what changes meanwhile is found by the next look.
        self._seen = stamp(self._paths)
        self.value = make()

    def look(self) -> T | Refusal | None:
        """Gives the new value, a refusal (once for each state of the files), or None where there is nothing new. Blocks."""
        now = stamp(self._paths)
        if now == self._seen:
            return None
        try:
            value = self._make()
        except Misconfigured as error:
            if now != self._broken:
                self._broken = now
                return None
            self._seen = now
            return Refusal(error.problems)
        self._seen, self._broken, self.value = now, None, value
        return value


def _private(path: Path) -> PrivateKeyTypes:
    data = _bytes(path, private=True)
    try:
        return load_pem_private_key(data, password=None)
    except TypeError:
        raise Misconfigured(
            f"{path.name}: has a pass phrase, and nobody is there to say it; remove it"
        ) from None
    except UnsupportedAlgorithm as error:
        raise _unknown_kind(path) from error
    except ValueError:  # its text may quote the file
        raise Misconfigured(f"{path.name}: no PEM private key that can be read; put one there") from None


def _unknown_kind(path: Path) -> Misconfigured:
    return Misconfigured(
        f"{path.name}: holds a key of a kind that is not known here, as SM2 is; use RSA, ECDSA on P-256 or P-384, or Ed25519"
    )


def _bytes(path: Path, *, private: bool) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise Misconfigured(f"{path.name}: cannot be opened ({error.strerror})") from error
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        os.close(handle)
        raise Misconfigured(f"{path.name}: not a plain file")
    with os.fdopen(handle, "rb") as opened:
        if private and stat.S_IMODE(about.st_mode) & 0o077:
            raise Misconfigured(f"{path.name}: others may read or write it; `chmod 600` it")
        if private and about.st_uid not in (os.geteuid(), 0):
            raise Misconfigured(f"{path.name}: belongs to another user")
        return opened.read(MAX_FILE_BYTES)

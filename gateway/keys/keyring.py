"""Ground: what can be done with the secrets. Deriving, MACs, wrapping data keys. No I/O; the dice are the system's.

Sources: HKDF, RFC 5869; HMAC-SHA-256, RFC 2104; AES-256-GCM with random 96-bit nonces, NIST SP 800-38D section 8.2.2.
"""

from __future__ import annotations

import hmac
import os
from dataclasses import dataclass
from typing import NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.keys.labels import Label
from gateway.keys.material import SECRET_BYTES, Material
from gateway.keys.parts import parted
from gateway.words.errors import GatehouseError

NONCE_BYTES = 12


class Unopened(GatehouseError):
    """A ciphertext is not what it is claimed to be: altered, misplaced, or under another key. Says no more, on purpose."""


@dataclass(frozen=True, slots=True)
class DataKeyPlace:
    """Where a data key belongs; a wrapped key opens nowhere else. key: 16 bytes. version: counts from 1 within (subject, cls)."""

    subject: str
    cls: str
    key: bytes
    version: int


@dataclass(frozen=True, slots=True)
class KekStatus:
    """One key-encryption key as it may be shown. fingerprint: 16 hex digits of a MAC under it; tells two keys apart."""

    version: int
    created: str
    wraps: bool
    fingerprint: str


@dataclass(frozen=True, slots=True)
class KeyringStatus:
    """What `gatehouse keys status` shows."""

    source: str
    root_fingerprint: str
    keks: tuple[KekStatus, ...]


class Keyring:
    """The secrets of one process. Empty repr, not copied, not pickled."""

    __slots__ = ("_derived", "_keks", "_macs", "_material", "_sealers", "_wrapping")

    def __init__(self, material: Material) -> None:
        self._material = material
        # Each KEK's cipher is derived, so that the secret itself is used for nothing directly.
        self._keks = {
            kek.version: AESGCM(_hkdf(kek.secret, Label.DATA_KEY_WRAP, SECRET_BYTES)) for kek in material.keks
        }
        self._wrapping = material.keks[-1].version
        self._derived: dict[Label, bytes] = {}
        self._sealers: dict[Label, AESGCM] = {}
        self._macs: dict[Label, hmac.HMAC] = {}

    def derive(self, label: Label) -> bytes:
        """Gives the 32-byte key of that label: the same in every process that has the same root."""
        key = self._derived.get(label)
        if key is None:
            key = self._derived[label] = _hkdf(self._material.root, label, SECRET_BYTES)
        return key

    def mac(self, label: Label, *parts: bytes | str) -> bytes:
        """Gives HMAC-SHA-256 (32 bytes) over the parts, each behind its length, under the label's own key."""
        keyed = self._macs.get(label)
        if keyed is None:
            keyed = self._macs[label] = hmac.new(self.derive(label), digestmod="sha256")
        # A copy of the keyed state, because hmac.digest keys it anew each time and lets go of the interpreter's lock for it:
        # on the hot path that hands the processor to the log's writer in the middle of a request.
        mac = keyed.copy()
        mac.update(parted(*parts))
        return mac.digest()

    def seal(self, label: Label, data: bytes, about: bytes) -> bytes:
        """Gives nonce ‖ ciphertext ‖ tag under the label's own key, bound to `about`."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._sealer(label).encrypt(nonce, data, about)

    def open(self, label: Label, sealed: bytes, about: bytes) -> bytes:
        """Gives what `seal` was given. Raises Unopened for anything else."""
        return _opened(self._sealer(label), sealed, about)

    @property
    def wrapping(self) -> int:
        """The version of the key-encryption key that wraps now: the newest."""
        return self._wrapping

    def wrap(self, data_key: bytes, place: DataKeyPlace) -> tuple[int, bytes]:
        """Gives the KEK's version and nonce ‖ ciphertext ‖ tag (60 bytes)."""
        nonce = os.urandom(NONCE_BYTES)
        version = self._wrapping
        return version, nonce + self._keks[version].encrypt(nonce, data_key, _about(place, version))

    def unwrap(self, kek_version: int, wrapped: bytes, place: DataKeyPlace) -> bytes:
        """Gives the data key. Raises Unopened where it was altered, belongs elsewhere, or its KEK is not here."""
        kek = self._keks.get(kek_version)
        if kek is None:
            raise Unopened
        return _opened(kek, wrapped, _about(place, kek_version))

    def status(self) -> KeyringStatus:
        """Gives what may be shown: versions and fingerprints, no secret."""
        return KeyringStatus(
            self._material.source,
            _fingerprint(self._material.root),
            tuple(
                KekStatus(k.version, k.created, k.version == self._wrapping, _fingerprint(k.secret))
                for k in self._material.keks
            ),
        )

    def _sealer(self, label: Label) -> AESGCM:
        sealer = self._sealers.get(label)
        if sealer is None:
            sealer = self._sealers[label] = AESGCM(self.derive(label))
        return sealer

    def __repr__(self) -> str:
        return "Keyring()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a keyring is not copied out of the process")


def _hkdf(secret: bytes, label: Label, length: int) -> bytes:
    # No salt: the input is uniformly random already (RFC 5869 section 3.1); info separates the uses (section 3.2).
    return HKDF(hashes.SHA256(), length=length, salt=None, info=label.value).derive(secret)


def _fingerprint(secret: bytes) -> str:
    return _hkdf(secret, Label.KEY_FINGERPRINT, 8).hex()


def _about(place: DataKeyPlace, kek_version: int) -> bytes:
    return parted(
        Label.DATA_KEY_WRAP.value,
        place.subject,
        place.cls,
        place.key,
        place.version.to_bytes(4, "big"),
        kek_version.to_bytes(4, "big"),
    )


def _opened(cipher: AESGCM, sealed: bytes, about: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], about)
    except (InvalidTag, ValueError):  # ValueError: too short to hold a nonce
        raise Unopened from None

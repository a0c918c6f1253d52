"""Ground: how things are named in entries, where their names are values. Fits `rooms.Evidence`. No I/O."""

from __future__ import annotations

import base64

from gateway.keys.keyring import Keyring
from gateway.keys.labels import Label
from gateway.words.access import ResourceRef

REFERENCE_BYTES = 16


class KeyedEvidence:
    """Keyed names: the same thing has the same name in every entry, and nobody without the key can guess a thing and check."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def reference(self, ref: ResourceRef, public: bool) -> str:
        """Gives the id when it is public (or the collection's empty name), else `ref_` and 22 base64url characters.

        The parent is no part of it: a record reached through its parent and directly is one record.
        """
        if ref.record is None:
            return ""
        return ref.record if public else self.token(ref.upstream, ref.resource, ref.record)

    def token(self, upstream: str, resource: str, record: str) -> str:
        """Gives the keyed token of one record's place."""
        mac = self._keyring.mac(Label.EVIDENCE_REFERENCE, upstream, resource, record)
        return "ref_" + base64.urlsafe_b64encode(mac[:REFERENCE_BYTES]).decode("ascii").rstrip("=")

    def bytes_digest(self, label: str, data: bytes) -> str:
        """Gives a keyed digest (64 hex digits) of bytes that must not be guessed from the entry."""
        return self._keyring.mac(Label.EVIDENCE_DIGEST, label, data).hex()

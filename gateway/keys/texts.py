"""Ground: small texts that leave and come back, such as a list's cursor. Fits `rooms.Seals`. No I/O."""

from __future__ import annotations

import base64
import binascii

from gateway.keys.keyring import Keyring, Unopened
from gateway.keys.labels import Label
from gateway.keys.parts import parted


class SealedTexts:
    """Opaque, authenticated, bound to who asked what. They outlive no change of the root secret, and need not."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, label: str, plain: bytes, bound: bytes) -> str:
        """Gives a URL-safe text that only `open` with the same label and `bound` opens."""
        return _text(self._keyring.seal(Label.SEALED_TEXT, plain, parted(label, bound)))

    def open(self, label: str, text: str, bound: bytes) -> bytes | None:
        """Gives the plain bytes back, None for anything that was not sealed just so, another spelling included."""
        try:
            sealed = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
            if _text(sealed) != text:
                return None
            return self._keyring.open(Label.SEALED_TEXT, sealed, parted(label, bound))
        except (binascii.Error, ValueError, Unopened):
            return None


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode("ascii").rstrip("=")

"""Step 8's tokens: the same value for one application is the same token, so that it can join and count without seeing. Pure."""

from __future__ import annotations

import base64
import json

from gateway.keys import Keyring, Label
from gateway.words.json import Json, Pattern
from gateway.words.resource import ResourceSpec

TOKEN_BYTES = 16


def token(keyring: Keyring, application: str, resource: ResourceSpec, pattern: Pattern, value: Json) -> Json:
    """Gives `tok_` and 22 base64url characters, 128 bits of a MAC. null stays null.

    Promises: same application, place and value, same token; another application, field or JSON type, another token.
    """
    if value is None:
        return None
    # Sorted names: an object's order is no part of its value. A string and the number it spells differ by their quotes.
    text = json.dumps(value, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    mac = keyring.mac(Label.FIELD_TOKEN, application, resource.upstream, resource.name, pattern, text)
    return "tok_" + base64.urlsafe_b64encode(mac[:TOKEN_BYTES]).decode("ascii").rstrip("=")

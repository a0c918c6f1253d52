"""Step 2 of the request path, client certificates: which key's holder a certificate proves. No I/O but reading the file.

A certificate stands for an API key and for nothing by itself: what it may do, how long, and whether it was revoked is the key's
row, so a revocation holds in log order as for every key. A key that stands here counts with its certificate alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway.identity.listed import read_list
from gateway.words.errors import Misconfigured

# RFC 5280 section 4.2.1.6: a URI (such as a SPIFFE id) or a DNS name, written out: no wildcard names one application.
_NAME = re.compile(r"URI:[a-z][a-z0-9+.-]{0,31}:[\x21-\x7e]{1,300}|DNS:[a-z0-9][a-z0-9.-]{0,252}", re.ASCII)
_KEY = re.compile(r"key_[0-9a-z]{26}", re.ASCII)


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the file, as an operator writes it."""

    certificate: str
    key: str


class Holders:
    """Names of certificates (`URI:…`, `DNS:…`) and the keys whose holders they prove."""

    __slots__ = ("_keys", "bound")

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = dict(keys)
        self.bound = frozenset(keys.values())
        """Keys that count with a certificate alone."""

    def key_of(self, names: tuple[str, ...]) -> str | None:
        """Gives the one key that the names of a certificate stand for; None for none, and for several: that is nobody in particular."""
        found = {self._keys[name] for name in names if name in self._keys}
        return found.pop() if len(found) == 1 else None


NOBODY = Holders({})


def read_holders(path: Path) -> Holders:
    """Gives what a file says: a JSON array of {"certificate": "URI:spiffe://…", "key": "key_…"}. Raises Misconfigured."""
    lines = read_list(path, list[_Line])
    problems = []
    keys: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not _NAME.fullmatch(line.certificate):
            problems.append(
                f"{path.name}, entry {number}: a certificate is named URI:… or DNS:… (lower case, no wildcard)"
            )
        if not _KEY.fullmatch(line.key):
            problems.append(f"{path.name}, entry {number}: a key is named by its id, key_…")
        if line.certificate in keys:
            problems.append(f"{path.name}, entry {number}: this certificate stands there twice")
        keys[line.certificate] = line.key
    if problems:
        raise Misconfigured(*problems)
    return Holders(keys)

"""Whose tokens for persons are believed, and on which terms. Plain values, made from settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.identity.listed import read_list
from gateway.words.errors import Misconfigured

ALGORITHMS: Mapping[str, str] = {"EdDSA": "Ed25519", "Ed25519": "Ed25519", "ES256": "ES256", "RS256": "RS256"}
"""What may be pinned: a token's `alg` → the algorithm it is verified by. EdDSA (RFC 8037) means Ed25519 here; RFC 9864 renamed it."""

TYPES = frozenset({"jwt", "at+jwt"})
_ISSUER = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?", re.ASCII)
_APPLICATION = re.compile(r"app:[a-z0-9][a-z0-9-]{0,62}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Issuer:
    """One issuer of person tokens.

    issuer:     its `iss`, compared exactly; part of every principal id it vouches for.
    jwks:       where its public keys are: a file, or an https address.
    audience:   this gateway's name at that issuer; must be in `aud`.
    algorithms: the pinned ones, names of ALGORITHMS.
    clients:    its client ids → our applications. None: client `desk` is `app:desk`. Where it is given, only it holds.
    types:      accepted `typ`, lower case (RFC 7519 section 5.1, RFC 9068 section 2.1).
    Raises Misconfigured for terms that could not protect anything.
    """

    issuer: str
    jwks: Path | str
    audience: str
    algorithms: frozenset[str]
    clients: Mapping[str, str] | None = None
    types: frozenset[str] = TYPES

    def __post_init__(self) -> None:
        problems = []
        if not _ISSUER.fullmatch(self.issuer):
            problems.append("an issuer is an https address without query or fragment")
        if isinstance(self.jwks, str) and not self.jwks.startswith("https://"):
            problems.append("an issuer's keys come from a file or an https address")
        if not self.audience:
            problems.append("an issuer needs the audience that its tokens for this gateway carry")
        if not self.algorithms or not self.algorithms <= set(ALGORITHMS):
            problems.append(f"an issuer's algorithms are some of {', '.join(ALGORITHMS)}")
        if any(not _APPLICATION.fullmatch(name) for name in (self.clients or {}).values()):
            problems.append("a client id stands for an application: app:NAME")
        if problems:
            raise Misconfigured(*problems)

    def application_of(self, client: str) -> str | None:
        """Gives our name of one of its clients, None where it has none."""
        if self.clients is not None:
            return self.clients.get(client)
        name = f"app:{client}"
        return name if _APPLICATION.fullmatch(name) else None


class _Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the issuers file, as an operator writes it."""

    issuer: str
    jwks: str
    algorithms: list[str]
    audience: str | None = None
    clients: dict[str, str] | None = None
    types: list[str] | None = None


def read_issuers(path: Path, audience: str) -> tuple[Issuer, ...]:
    """Gives the issuers that a file lists: a JSON array of objects with the names of `Issuer`; `jwks` is relative to the file.

    audience: holds where an entry names none. Raises Misconfigured, naming the entry's place and no value of it.
    """
    entries = read_list(path, list[_Terms])
    return tuple(_issuer(path, number, entry, audience) for number, entry in enumerate(entries, 1))


def _issuer(path: Path, number: int, entry: _Terms, audience: str) -> Issuer:
    if "\0" in entry.jwks:
        raise Misconfigured(f"{path.name}, issuer {number}: `jwks` is no file's name and no address")
    try:
        return Issuer(
            issuer=entry.issuer,
            jwks=entry.jwks if "://" in entry.jwks else path.parent / entry.jwks,
            audience=entry.audience or audience,
            algorithms=frozenset(entry.algorithms),
            clients=entry.clients,
            types=TYPES if entry.types is None else frozenset(name.lower() for name in entry.types),
        )
    except Misconfigured as error:
        raise Misconfigured(*(f"{path.name}, issuer {number}: {line}" for line in error.problems)) from error

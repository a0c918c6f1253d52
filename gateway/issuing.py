"""Beside the path: joins what issues access tokens and takes them, where this gateway knows by what address it is reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.control import TokenDoor
from gateway.credentials import Clients as ClientDesk
from gateway.credentials import Keys, Tokens
from gateway.exposure import own_address
from gateway.identity import AccessTokens, Clients, Identity, Proofs, Terms, secret_tag
from gateway.keys import Keyring, TokenKeys
from gateway.settings import Settings
from gateway.wire.json import dump


@dataclass(frozen=True, slots=True)
class Issuing:
    """What identity needs of it: clients' secrets, and the tokens that are made and read again. audience: our name in them."""

    clients: Clients
    tokens: AccessTokens
    audience: str

    def door(self, keys: Keys, identity: Identity, clock: Callable[[], datetime]) -> TokenDoor:
        """Gives what the control plane answers with."""
        return TokenDoor(
            Tokens(keys.desk, identity),
            ClientDesk(keys, self.clients),
            self.tokens.issuer,
            self.audience,
            jwks=lambda: dump(self.tokens.jwks(clock())),
        )


def issuing(settings: Settings, keyring: Keyring) -> Issuing | None:
    """Gives it; None where nobody said by what address callers come: then no token is issued, and none is taken."""
    issuer = own_address(settings)
    if issuer is None:
        return None
    terms = Terms(issuer, settings.audience, timedelta(seconds=settings.token_seconds))
    clients = Clients(secret_tag(keyring), Proofs(settings.secret_checks))
    return Issuing(clients, AccessTokens(TokenKeys(keyring), terms), settings.audience)

"""Step 2 of the request path: a credential becomes a `Principal`. Fits `rooms.Identifier`.

Promises: one Unidentified for every key that does not hold, one PERSON_UNPROVEN for every token that does not; why is counted
in `strangers` and nowhere else. Whoever decides on a principal takes the caches' fence before he asks for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from gateway.identity import access
from gateway.identity.access import AccessTokens, Minted, Said
from gateway.identity.apikeys import ApiKeys, Checked, KeyedHash, fault
from gateway.identity.certificates import NOBODY, Holders, read_holders
from gateway.identity.clients import Clients
from gateway.identity.freezes import freezes_that_hold
from gateway.identity.issuers import Issuer
from gateway.identity.jwks import Fetch
from gateway.identity.persons import Persons, Proven, Told, untold
from gateway.identity.secretrows import ClientSecret, all_secrets
from gateway.identity.store import ApiKey, all_keys, read_key
from gateway.identity.strangers import Stranger, Strangers, Unproven
from gateway.observe import event
from gateway.store import Store
from gateway.words.access import Call
from gateway.words.errors import Misconfigured, Unidentified
from gateway.words.principal import Party, Principal

PERSON_HEADER = "gatehouse-person"
# Principals of keys and of their tokens that are kept made.
_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class ClientShown:
    """What a client shows of itself at the token endpoint: its id (empty: nothing that can be read), its secret, and the token of
    the person it acts for."""

    id: str
    secret: str = field(repr=False)
    person: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ClientProof:
    """A client as it proved itself: what a key and a person's token in their headers would have made of it, and by which secret."""

    principal: Principal
    key: ApiKey
    secret: ClientSecret
    person: Proven | None


class Identity:
    """The identity room. `load` before first use, and at each refresh of the caches."""

    def __init__(
        self,
        *,
        store: Store,
        keyed_hash: KeyedHash,
        issuers: Sequence[Issuer],
        clock: Callable[[], datetime],
        fetch: Fetch | None = None,
        told: Told = untold,
        barred: str | None = None,
        holders: Path | None = None,
        clients: Clients | None = None,
        tokens: AccessTokens | None = None,
    ) -> None:
        """barred: applications whose names begin so have no key here, whoever issues one on this or another process.

        holders: the file that says which key's holder a client certificate proves; None where certificates prove nothing.
        clients, tokens: both or none; without them no token of ours is issued or taken. Raises Misconfigured where an issuer of
        persons' tokens has our own name.
        """
        self.strangers = Strangers()
        self._store = store
        self._keys = ApiKeys(keyed_hash)
        self._persons = Persons(issuers, fetch, told, None if tokens is None else tokens.issuer)
        self._clock = clock
        self._turn = asyncio.Lock()
        self._barred = barred
        self._holders_file = holders
        self._holders = NOBODY
        self._frozen: frozenset[str] = frozenset()
        self._alone: dict[tuple[str, frozenset[str]], tuple[ApiKey, Principal]] = {}
        self._clients = clients
        self._tokens = tokens

    async def load(self) -> None:
        """Reads every key and every key file anew; what was there before serves until they have been read.

        Raises Unavailable, and Misconfigured where an issuer's key file, or the file of certificates' holders, was never good.
        Promises: other threads only read; what was read is taken on the event loop, one reading after the other, so that an older
        one never takes the place of a newer.
        """
        async with self._turn:
            frozen = frozenset(one.who for one in await self._store.scan(freezes_that_hold))
            keys = await self._store.scan(all_keys)
            secrets = [] if self._clients is None else await self._store.scan(all_secrets)
            self._frozen = frozen
            # A frozen key is not there: whatever is looked at of an unknown one is looked at of it, and nothing else.
            self._keys.replace(key for key in keys if not self._bars(key))
            if self._clients is not None:
                self._clients.replace(secrets)
            if self._holders_file is not None:
                self._holders = self._read_holders(self._holders_file)
            await self._load_files()

    async def watch(self) -> None:
        """Looks at the key files once and believes what changed: nothing in the log says that a key was taken out of one."""
        async with self._turn:
            await self._load_files()

    async def _load_files(self) -> None:
        if self._persons.has_files:
            self._persons.take(await asyncio.to_thread(self._persons.read))

    async def update_issuers(self) -> None:
        """Asks the issuers' addresses for their keys; for a start, so that the first person need not wait."""
        await self._persons.update(self._clock())

    async def keep_fresh(self) -> None:
        """Asks issuers' addresses whose keys are not fresh any more; to be called often, so that no request waits for one."""
        await self._persons.keep_fresh(self._clock())

    async def identify(self, call: Call) -> Principal:
        """Gives who asks. Raises Unidentified, Refused(PERSON_UNPROVEN)."""
        shown = [value for name, value in call.headers if name == "authorization"]
        certified = self._holders.key_of(call.certificate) if call.certificate else None
        if self._tokens is not None and (text := access.shown(shown)) is not None:
            return await self._by_token(self._tokens, text, certified, call)
        key = await self._application(shown, certified)
        tokens = [value for name, value in call.headers if name == PERSON_HEADER]
        how = f"certificate:{key.id}" if key.id == certified else f"api-key:{key.id}"
        if not tokens:
            return self._by_itself(key, how, key.purposes)
        person = await self._person(tokens, key.application)
        return Principal(Party(key.application, key.roles), person.party, key.purposes, (how, person.how))

    def _by_itself(self, key: ApiKey, how: str, purposes: frozenset[str]) -> Principal:
        """Gives the principal of an application that acts for nobody: one value a key, so that what is worked out for it is found again.

        Tokens of one client may be limited to any of its purposes: what is remembered of them all is bounded."""
        known = self._alone.get((how, purposes))
        if known is None or known[0] is not key:
            made = Principal(Party(key.application, key.roles), None, purposes, (how,))
            if len(self._alone) >= _REMEMBERED:
                self._alone.clear()
            known = self._alone[how, purposes] = key, made
        return known[1]

    async def client(self, shown: ClientShown, call: Call) -> ClientProof:
        """Gives the client that asks for a token, with the person it acts for where it shows his.

        Raises Unidentified, Refused(PERSON_UNPROVEN), Refused(TOO_MANY) (see Clients.check).
        """
        if self._clients is None:
            raise AssertionError("there is no token endpoint without clients")
        if not shown.id:
            self.strangers.count(Stranger.NO_CREDENTIAL)
            raise Unidentified
        certified = self._holders.key_of(call.certificate) if call.certificate else None
        tried = await self._clients.check(shown.id, shown.secret, call.peer, self._clock)
        if tried.secret is None:
            self.strangers.count(tried.reason or Stranger.CLIENT_UNKNOWN)
            raise Unidentified
        now = self._clock()
        key = await self._held(self._keys.named(tried.secret.client, now), certified, now)
        person = None if shown.person is None else await self._person([shown.person], key.application)
        proven = (f"client-secret:{key.id}",) if person is None else (f"client-secret:{key.id}", person.how)
        party = None if person is None else person.party
        principal = Principal(Party(key.application, key.roles), party, key.purposes, proven)
        return ClientProof(principal, key, tried.secret, person)

    def mint(self, proof: ClientProof, purposes: frozenset[str] | None) -> Minted:
        """Gives an access token for a client, limited to `purposes` where they are given."""
        if self._tokens is None:
            raise AssertionError("there is no token endpoint without tokens")
        return self._tokens.mint(
            client=proof.key.id,
            secret=proof.secret.id,
            application=proof.key.application,
            purposes=purposes,
            person=proof.person,
            now=self._clock(),
        )

    async def _by_token(
        self, tokens: AccessTokens, text: str, certified: str | None, call: Call
    ) -> Principal:
        """Gives who shows one of our own tokens. What he may do is the key's row as it stands now, never the token's word."""
        said = await self._said(tokens, text)
        now = self._clock()
        if self._clients is None or not self._clients.holds(said.secret, now):
            self.strangers.count(Stranger.CLIENT_SECRET_ENDED)
            raise Unidentified
        key = await self._held(self._keys.named(said.client, now), certified, now)
        shown = [value for name, value in call.headers if name == PERSON_HEADER]
        if shown and said.person is not None:
            self.strangers.count(Stranger.SEVERAL_TOKENS)
            raise Unproven(Stranger.SEVERAL_TOKENS)
        person = await self._person(shown, key.application) if shown else said.person
        purposes = key.purposes if said.purposes is None else key.purposes & said.purposes
        how = f"access-token:{key.id}"
        if person is None:
            return self._by_itself(key, how, purposes)
        return Principal(Party(key.application, key.roles), person.party, purposes, (how, person.how))

    async def _said(self, tokens: AccessTokens, text: str) -> Said:
        """Gives what a token of ours says, verified; one that carries a person only while his issuer's key is believed."""
        now, generation = self._clock(), self._persons.generation
        said = tokens.known(text, now, generation)
        if said is not None and not self._person_frozen(said):
            return said
        try:
            said = tokens.verify(text, now)
            person = said.person
            if self._person_frozen(said):
                raise Unproven(Stranger.PERSON_FROZEN)
            if person is not None and not await self._persons.believes(person.issuer, person.kid, now):
                raise Unproven(Stranger.ACCESS_ENDED)
        except Unproven as error:
            self.strangers.count(error.reason)
            raise Unidentified from None
        tokens.remember(text, said, generation)
        return said

    def _person_frozen(self, said: Said) -> bool:
        return said.person is not None and said.person.party.id in self._frozen

    async def _application(self, authorization: Sequence[str], certified: str | None) -> ApiKey:
        """Gives the key. A certificate stands in for its key's text; beside a text it must be that of the same key."""
        now = self._clock()
        if certified is not None and not authorization:
            checked = self._keys.named(certified, now)
        else:
            checked = self._keys.check(authorization, now)
        return await self._held(checked, certified, now)

    async def _held(self, checked: Checked, certified: str | None, now: datetime) -> ApiKey:
        """Gives the key that was proven, where it holds and no certificate says otherwise."""
        key, reason = checked.key, checked.reason
        if (
            key is not None
            and key.id != certified
            and (certified is not None or key.id in self._holders.bound)
        ):
            key, reason = None, Stranger.CERTIFICATE_OTHER
        if key is not None and reason is Stranger.KEY_UNCONFIRMED:
            # Its outcome may have been recorded since the caches were read. Only who holds the right secret causes this read.
            key, reason = await self._again(key, now)
        if key is None or reason is not None:
            self.strangers.count(reason or Stranger.KEY_UNKNOWN)
            raise Unidentified
        return key

    async def _again(self, old: ApiKey, now: datetime) -> tuple[ApiKey | None, Stranger | None]:
        key = await self._store.read(lambda connection: read_key(connection, old.id))
        if key is None or self._bars(key):
            return None, Stranger.KEY_UNKNOWN
        self._keys.learn(old, key)
        return key, fault(key, now)

    def _read_holders(self, path: Path) -> Holders:
        try:
            return read_holders(path)
        except Misconfigured:
            if self._holders is NOBODY:
                raise
            # As with an issuer's keys: what was good goes on. Whoever must not come in any more has his key revoked.
            event("holders-kept", logging.ERROR)
            return self._holders

    def _bars(self, key: ApiKey) -> bool:
        if key.id in self._frozen:
            return True
        return self._barred is not None and key.application.startswith(self._barred)

    async def _person(self, tokens: Sequence[str], application: str) -> Proven:
        try:
            if len(tokens) > 1:
                raise Unproven(Stranger.SEVERAL_TOKENS)
            person = await self._persons.prove(tokens[0], application, self._clock())
            if person.party.id in self._frozen:
                raise Unproven(Stranger.PERSON_FROZEN)
            return person
        except Unproven as error:
            self.strangers.count(error.reason)
            raise

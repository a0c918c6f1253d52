"""Step 2 of the request path: a credential becomes a `Principal`. Fits `rooms.Identifier`.

Promises: one Unidentified for every key that does not hold, one PERSON_UNPROVEN for every token that does not; why is counted
in `strangers` and nowhere else. Whoever decides on a principal takes the caches' fence before he asks for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from gateway.identity.apikeys import ApiKeys, KeyedHash, fault
from gateway.identity.certificates import NOBODY, Holders, read_holders
from gateway.identity.issuers import Issuer
from gateway.identity.jwks import Fetch
from gateway.identity.persons import Persons, Proven, Told, untold
from gateway.identity.store import ApiKey, all_keys, read_key
from gateway.identity.strangers import Stranger, Strangers, Unproven
from gateway.observe import event
from gateway.store import Store
from gateway.words.access import Call
from gateway.words.errors import Misconfigured, Unidentified
from gateway.words.principal import Party, Principal

PERSON_HEADER = "gatehouse-person"


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
    ) -> None:
        """barred: applications whose names begin so have no key here, whoever issues one on this or another process.

        holders: the file that says which key's holder a client certificate proves; None where certificates prove nothing.
        """
        self.strangers = Strangers()
        self._store = store
        self._keys = ApiKeys(keyed_hash)
        self._persons = Persons(issuers, fetch, told)
        self._clock = clock
        self._turn = asyncio.Lock()
        self._barred = barred
        self._holders_file = holders
        self._holders = NOBODY
        self._alone: dict[str, tuple[ApiKey, Principal]] = {}

    async def load(self) -> None:
        """Reads every key and every key file anew; what was there before serves until they have been read.

        Raises Unavailable, and Misconfigured where an issuer's key file, or the file of certificates' holders, was never good.
        Promises: other threads only read; what was read is taken on the event loop, one reading after the other, so that an older
        one never takes the place of a newer.
        """
        async with self._turn:
            keys = await self._store.scan(all_keys)
            self._keys.replace(key for key in keys if not self._bars(key))
            self._alone = {}
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

    async def identify(self, call: Call) -> Principal:
        """Gives who asks. Raises Unidentified, Refused(PERSON_UNPROVEN)."""
        shown = [value for name, value in call.headers if name == "authorization"]
        certified = self._holders.key_of(call.certificate) if call.certificate else None
        key = await self._application(shown, certified)
        tokens = [value for name, value in call.headers if name == PERSON_HEADER]
        how = f"certificate:{key.id}" if key.id == certified else f"api-key:{key.id}"
        if not tokens:
            return self._by_itself(key, how)
        person = await self._person(tokens, key.application)
        return Principal(Party(key.application, key.roles), person.party, key.purposes, (how, person.how))

    def _by_itself(self, key: ApiKey, how: str) -> Principal:
        """Gives the principal of an application that acts for nobody: one value a key, so that what is worked out for it is found again."""
        known = self._alone.get(how)
        if known is None or known[0] is not key:
            made = Principal(Party(key.application, key.roles), None, key.purposes, (how,))
            known = self._alone[how] = key, made
        return known[1]

    async def _application(self, authorization: Sequence[str], certified: str | None) -> ApiKey:
        """Gives the key. A certificate stands in for its key's text; beside a text it must be that of the same key."""
        now = self._clock()
        if certified is not None and not authorization:
            checked = self._keys.named(certified, now)
        else:
            checked = self._keys.check(authorization, now)
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
        return self._barred is not None and key.application.startswith(self._barred)

    async def _person(self, tokens: Sequence[str], application: str) -> Proven:
        try:
            if len(tokens) > 1:
                raise Unproven(Stranger.SEVERAL_TOKENS)
            return await self._persons.prove(tokens[0], application, self._clock())
        except Unproven as error:
            self.strangers.count(error.reason)
            raise

"""Service: API keys are issued, revoked and listed. Every door comes here; none holds a way around it.

Order of a change, and what holds where it breaks off:
    intent entry        nothing is changed yet
    state rows          an issued key is unconfirmed and refused; a revoked key is refused by this process from here on
    outcome entry       raises the fence: no process serves a revoked key after it, in log order
    confirmation        the issued key holds from here on
    answer              the one time that the secret is shown
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from audit import Kind, LogBusy, LogUnavailable, Receipt
from gateway.corridor.desk import Asker, Desk, Visit
from gateway.credentials.settle import KeySettlement
from gateway.credentials.wish import Declared, Wish
from gateway.identity import (
    SECRET_BYTES,
    ApiKey,
    ClientSecret,
    KeyedHash,
    all_keys,
    client_ids,
    confirm_key,
    insert_key,
    insert_secret,
    is_key_id,
    read_key,
    revoke_key,
    write_key_text,
)
from gateway.store import Connection
from gateway.words.control import CONTROL_KEY, KEY_CREATE, KEY_LIST, KEY_REVOKE
from gateway.words.decision import Decision, Disclosure
from gateway.words.errors import Code, Refused, Unavailable
from gateway.words.ids import new_id
from gateway.words.json import JsonObject

MAX_LISTED = 500


@dataclass(frozen=True, slots=True)
class Minted:
    """A key that is not kept yet. text: what its holder sends, or the client's secret. secret: the secret's row, where it is a client."""

    key: ApiKey
    text: str = field(repr=False)
    secret: ClientSecret | None = None


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key. `text` is what its holder sends; it is nowhere else, and the repr does not show it."""

    key: ApiKey
    text: str = field(repr=False)
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Page:
    """Which run of keys: at most `limit` (1 to MAX_LISTED), those after the key `after`."""

    after: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Listed:
    """A run of keys as the asker may see them. next: where the following run begins, None at the end."""

    keys: tuple[JsonObject, ...]
    next: str | None
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Keys:
    """The service.

    reload: reads this process's credentials anew, without the log: a revocation holds here even where its outcome cannot be recorded.
    declared: gives the names that the policy in force knows.
    """

    desk: Desk
    keyed_hash: KeyedHash
    reload: Callable[[], Awaitable[None]]
    declared: Callable[[], Declared]
    dice: Callable[[int], bytes] = os.urandom

    async def issue(self, asker: Asker, read: Callable[[], Wish]) -> Issued:
        """Gives a new key, as `issue_as`."""

        async def mint(wish: Wish) -> Minted:
            text, read = write_key_text(new_id("key"), self.dice(SECRET_BYTES))
            return Minted(self.row(read.id, self.keyed_hash(read.id, read.secret), wish), text)

        return await self.issue_as(asker, read, mint)

    async def issue_as(
        self, asker: Asker, read: Callable[[], Wish], mint: Callable[[Wish], Awaitable[Minted]]
    ) -> Issued:
        """Gives a new key of the kind that `mint` makes. `read` gives what is asked for; it runs once the asker is known, so that its
        refusal is recorded as his.

        Raises what `read` and `mint` raise, Refused (VALUE_REFUSED; CONFLICT where the key was ended while it was made), Denied,
        Unavailable (OUTCOME_UNRECORDED: the reconciler ends what came of it). Promises: after any of these no key came of it that
        anybody could use.
        """

        async def work(visit: Visit) -> Issued:
            visit.decide(self.desk.clock())
            wish = read()
            wish.check(self.desk.clock(), self.declared())
            minted = await mint(wish)
            key = minted.key
            visit.record = key.id
            part: JsonObject = {
                "verb": "create",
                "reference": key.id,
                "subject": None,
                "bound": bound_to(key),
            }
            if minted.secret is not None:
                part["secret"] = minted.secret.id
            kept = replace(key, intent=await self.desk.intend(visit, part))
            await self.desk.write(visit, lambda c: _insert(c, kept, minted.secret))
            receipt = await self.desk.conclude(visit, "done")
            now = self.desk.clock()
            try:
                holds = await self.desk.store.write(lambda c: confirm_key(c, key.id, now))
            except Unavailable as error:
                await self._take_back(visit, key)
                raise visit.unrecorded() from error
            if not holds:
                await self.desk.conclude(visit, "not-done")  # the outcome before said more than became true
                raise Refused(Code.CONFLICT)
            await self.catch_up()
            return Issued(replace(kept, confirmed_at=now), minted.text, receipt)

        return await self.desk.attend(asker, KEY_CREATE, CONTROL_KEY, work)

    async def revoke(self, asker: Asker, key_id: str) -> Receipt:
        """Ends a key for good; repeating it does nothing more. Once this has returned, no process serves the key any longer.

        Raises Denied, Refused(NOT_FOUND), Unavailable (OUTCOME_UNRECORDED: the reconciler settles it, and where the rows stand
        this process refuses the key already).
        """

        async def work(visit: Visit) -> Receipt:
            key = await self.desk.store.read(lambda c: read_key(c, key_id))
            if key is not None:  # an id that is none of ours may be anything, and is not repeated in an entry
                visit.record = key.id
            visit.decide(self.desk.clock())
            if key is None:
                raise Refused(Code.NOT_FOUND)
            intent = await self.desk.intend(visit, {"verb": "revoke", "reference": key.id, "subject": None})
            now = self.desk.clock()
            await self.desk.write(visit, lambda c: revoke_key(c, key_id, now, intent))
            try:
                await self.reload()
            except Unavailable as error:
                raise visit.unrecorded() from error
            receipt = await self.desk.conclude(visit, "done")
            await self.catch_up()
            return receipt

        return await self.desk.attend(asker, KEY_REVOKE, CONTROL_KEY, work)

    async def list(self, asker: Asker, read: Callable[[], Page] = Page) -> Listed:
        """Gives keys by id, oldest first, each with the members that the decision shows clear.

        Raises what `read` raises, Denied, Refused (PARAMETER_MALFORMED; FIELD_NOT_SEARCHABLE where he may not see ids and asks for a
        page of them).
        """

        async def work(visit: Visit) -> Listed:
            decision = visit.decide(self.desk.clock())
            wanted = read()
            if not 1 <= wanted.limit <= MAX_LISTED:
                raise Refused(Code.PARAMETER_MALFORMED, parameter="limit", expected=f"1 to {MAX_LISTED}")
            if wanted.after is not None and not is_key_id(wanted.after):
                raise Refused(Code.PARAMETER_MALFORMED, parameter="after")
            # Pages begin after an id and end with one: who may not see ids gets all keys at once, or none.
            by_id = decision.read.of("/id") is Disclosure.CLEAR
            if wanted.after is not None and not by_id:
                raise Refused(Code.FIELD_NOT_SEARCHABLE, field="/id")
            after = wanted.after or ""
            keys = [key for key in await self.desk.store.scan(all_keys) if key.id > after]
            by_secret = await self.desk.store.scan(client_ids)
            if len(keys) > wanted.limit and not by_id:
                raise Refused(Code.FIELD_NOT_SEARCHABLE, field="/id")
            page = [(key, shown(key, decision, key.id in by_secret)) for key in keys[: wanted.limit]]
            event = visit.event(Kind.SERVED, [_part(key, document) for key, document in page])
            receipt = await self.desk.log.append(event, fence=visit.ruled.fence)
            following = page[-1][0].id if len(keys) > wanted.limit else None
            return Listed(tuple(document for _, document in page), following, receipt)

        return await self.desk.attend(asker, KEY_LIST, CONTROL_KEY, work)

    @property
    def settlement(self) -> KeySettlement:
        """Gives what finishes the changes that broke off here."""
        return KeySettlement(self.desk, self.reload)

    async def _take_back(self, visit: Visit, key: ApiKey) -> None:
        """Ends a key that may have been confirmed or not, and says so in the log, if that can be done now."""
        try:
            await self.settlement.take_back(key, visit.asker.request)
        except (Unavailable, LogBusy, LogUnavailable):
            # The reconciler does it: by the intent to end it, or where there is none because the key is not confirmed.
            return

    async def catch_up(self) -> None:
        """Reads anew what is cached, after a change that is done and recorded: it holds whether this can be done now or later."""
        try:
            await self.desk.caches.refresh()
        except Unavailable:
            # An answer of 503 would have a key that holds lost and another one asked for. The fence has risen: whoever is served by
            # what this process knew before is told that it is stale, and the watch reads anew.
            return

    def row(self, key_id: str, digest: bytes, wish: Wish) -> ApiKey:
        """Gives the row of a key that is asked for, not kept yet."""
        return ApiKey(
            id=key_id,
            digest=digest,
            application=wish.application,
            roles=wish.roles,
            purposes=wish.purposes,
            created=self.desk.clock(),
            not_after=wish.not_after,
            intent=0,
        )


def _insert(connection: Connection, key: ApiKey, secret: ClientSecret | None) -> None:
    insert_key(connection, key)
    if secret is not None:
        insert_secret(connection, replace(secret, intent=key.intent))


def bound_to(key: ApiKey) -> JsonObject:
    """Gives what a key is bound to, as the entry of its issuing says it and as answers show it."""
    return {
        "application": key.application,
        "roles": [{"role": held.role, "unit": held.unit} for held in sorted(key.roles)],
        "purposes": [*sorted(key.purposes)],
        "created": _text(key.created),
        "expires": _text(key.not_after),
    }


def shown(key: ApiKey, decision: Decision, client: bool) -> JsonObject:
    """Gives the members of a key that the decision shows clear; the others are absent. client: it is one, proven by a secret."""
    confirmed = None if key.confirmed_at is None else _text(key.confirmed_at)
    revoked = None if key.revoked_at is None else _text(key.revoked_at)
    whole: JsonObject = {
        "id": key.id,
        "proof": "secret" if client else "key",
        **bound_to(key),
        "confirmed": confirmed,
        "revoked": revoked,
    }
    return {name: value for name, value in whole.items() if decision.read.of(f"/{name}") is Disclosure.CLEAR}


def _part(key: ApiKey, document: JsonObject) -> JsonObject:
    return {
        "reference": key.id,
        "subject": None,
        "fields": {"clear": [f"/{name}" for name in sorted(document)]},
    }


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

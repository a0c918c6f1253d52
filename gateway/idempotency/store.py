"""Which change a caller's key stands for, for a day. One row a key, unique among all replicas; expiry is looked at, not waited for."""

from __future__ import annotations

import hmac
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, func, select, text

from gateway.idempotency.claims import HEADER, Claims
from gateway.idempotency.tables import IDEMPOTENCY_KEY
from gateway.keys import Keyring
from gateway.store import Instant, Store
from gateway.words.access import Call
from gateway.words.claim import Claim, Standing
from gateway.words.errors import Code, Refused
from gateway.words.work import Addressed

KEPT = timedelta(hours=24)
"""How long a key stands for its change."""
SWEPT_TOGETHER = 1_000
_PRINCIPALS = 10_000

_ROW = IDEMPOTENCY_KEY.c
# A row that has ended, or whose change was certainly never sent (`instead`: the intent that the log says so of), gives its place.
# Both engines read the same text; through SQLAlchemy's own constructs each start would load the other engine's dialect.
_TAKE = text(
    "INSERT INTO idempotency_key (key, principal, request, salt, intent, expires) "
    "VALUES (:key, :principal, :request, :salt, :intent, :expires) ON CONFLICT (key) DO UPDATE "
    "SET request = excluded.request, salt = excluded.salt, intent = excluded.intent, expires = excluded.expires "
    "WHERE idempotency_key.expires <= :now OR idempotency_key.intent = :instead"
).bindparams(
    *(bindparam(column.name, type_=column.type) for column in IDEMPOTENCY_KEY.columns),
    bindparam("now", type_=Instant),
    bindparam("instead", type_=_ROW.intent.type),
)
_NO_INTENT = 0  # the log counts from 1


class IdempotencyKeys:
    """Keys in use. Fits `rooms.Repeats`.

    limit: how many keys one principal may have in use. Counted now and then, not for each key: several processes may together let
    one have a few more.
    """

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        *,
        limit: int = 100_000,
        kept: timedelta = KEPT,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._claims = Claims(keyring)
        self._limit = limit
        self._kept = kept
        self._clock = clock
        self._left: OrderedDict[bytes, int] = (
            OrderedDict()
        )  # how many more before a principal is counted again

    def claim(self, call: Call, what: Addressed) -> Claim | None:
        """Gives what a change's key stands for, None where it names none. Raises Refused(HEADER_MALFORMED)."""
        return self._claims.of(call, what)

    async def first(self, claim: Claim) -> Standing | None:
        """Gives what this key stands for, None where it is free.

        Raises Refused: IDEMPOTENCY_KEY_REUSED (it stands for another request), TOO_MANY (the principal has as many as he may).
        """
        now = self._clock()
        query = select(_ROW.request, _ROW.salt, _ROW.intent).where(_ROW.key == claim.key, _ROW.expires > now)
        row = await self._store.read(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            await self._admit(claim.principal, now)
            return None
        if not hmac.compare_digest(bytes(row.request), claim.request):
            raise Refused(Code.IDEMPOTENCY_KEY_REUSED, header=HEADER)
        return Standing(row.intent, self._claims.mark(claim.key, claim.request, bytes(row.salt)))

    async def take(self, claim: Claim, intent: int, instead: int | None) -> bool:
        """Lets the key stand for the change of this intent; False where another has it. Durable when it returns.

        instead: the intent that it stood for until now, where the log says that nothing of that was sent.
        """
        now = self._clock()
        row = {
            "key": claim.key,
            "principal": claim.principal,
            "request": claim.request,
            "salt": claim.salt,
            "intent": intent,
            "expires": now + self._kept,
            "now": now,
            "instead": _NO_INTENT if instead is None else instead,
        }
        taken = await self._store.write(lambda connection: connection.execute(_TAKE, row).rowcount)
        if taken == 1 and claim.principal in self._left:
            self._left[claim.principal] -= 1
        return taken == 1

    async def sweep(self) -> int:
        """Forgets keys that have ended, and gives how many they were."""
        now, swept = self._clock(), 0
        while count := await self._store.write(lambda connection: _sweep(connection, now)):
            swept += count
        return swept

    async def _admit(self, principal: bytes, now: datetime) -> None:
        if self._left.get(principal, 0) > 0:
            return
        inside = select(_ROW.key).where(_ROW.principal == principal, _ROW.expires > now).limit(self._limit)
        query = select(func.count()).select_from(inside.subquery())
        room = self._limit - await self._store.scan(lambda connection: connection.execute(query).scalar_one())
        if room <= 0:
            raise Refused(Code.TOO_MANY, header=HEADER)
        # An eighth of what is left: a busy caller is counted a few dozen times a day, and at the end each time.
        self._left[principal] = max(1, room // 8)
        self._left.move_to_end(principal)
        if len(self._left) > _PRINCIPALS:
            self._left.popitem(last=False)


def _sweep(connection: Connection, now: datetime) -> int:
    ended = select(_ROW.key).where(_ROW.expires <= now).limit(SWEPT_TOGETHER)
    # Said twice: a key that is taken anew in this moment is looked at again by the outer condition alone.
    return connection.execute(
        delete(IDEMPOTENCY_KEY).where(_ROW.key.in_(ended), _ROW.expires <= now)
    ).rowcount

"""One request on its way, and what is in force when it sets out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from audit import Receipt
from gateway.corridor.lists import Lister
from gateway.rooms import (
    Addresser,
    Decider,
    Upstream,
)
from gateway.words.access import Call, ResourceRef
from gateway.words.claim import Claim
from gateway.words.decision import Decision
from gateway.words.principal import Principal
from gateway.words.record import ClosedRecord
from gateway.words.work import Addressed

ATTEMPTS = 3
"""How often a request is decided anew when the fence moved while it was under way."""


@dataclass(frozen=True, slots=True)
class Ruled:
    """What one bundle says, read at one fence. A new bundle is a new value, taken at the same moment as its fence.

    decoys: records that nobody has business with: upstream, resource, id.
    fence: the log's fence before everything that this process caches (credentials, bundle, keys) was read.
    """

    fence: int
    addresser: Addresser
    decider: Decider
    upstream: Upstream
    lister: Lister
    decoys: frozenset[tuple[str, str, str]] = frozenset()


class Caches(Protocol):
    """Everything that this process caches and decides by: credentials, bundle, keys."""

    @property
    def now(self) -> Ruled:
        """What is in force, as this process knows it."""
        ...

    async def refresh(self) -> None:
        """Reads the log's fence, then everything cached anew, then takes that fence as its own."""
        ...


@dataclass(slots=True)
class Walk:
    """One request on its way. Grows with each step, so that a refusal's entry says all that was known.

    touched: whether it was about a decoy, whatever it is answered.
    record: the one that it is about, once that was looked at.
    claim: what its idempotency key stands for, if it named one. earlier: the intent of the first request with that key, if there is one.
    """

    call: Call
    ruled: Ruled
    principal: Principal
    what: Addressed | None = None
    record: ClosedRecord | None = None
    decision: Decision | None = None
    open_intent: Receipt | None = None
    claim: Claim | None = None
    earlier: int | None = None
    touched: bool = False

    def touch(self, *places: ResourceRef) -> None:
        """Notes what the request is about, is led to or is about to be shown: each place, and those that it is below."""
        if self.ruled.decoys:
            self.touched = self.touched or any(self._decoy(place) for place in places)

    def _decoy(self, place: ResourceRef | None) -> bool:
        while place is not None:
            if (place.upstream, place.resource, place.record) in self.ruled.decoys:
                return True
            place = place.parent
        return False

    @property
    def intent(self) -> Receipt:
        """The receipt of this request's intent; only steps after 6 ask for it."""
        if self.open_intent is None:
            raise AssertionError("a change is forwarded only after its intent")
        return self.open_intent

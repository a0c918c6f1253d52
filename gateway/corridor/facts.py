"""Step 4 of the request path: facts from the record, floors from whoever keeps them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.words.access import Access
from gateway.words.decision import Facts, Floors
from gateway.words.draft import Draft
from gateway.words.record import ClosedRecord
from gateway.words.resource import ResourceSpec


class FloorSource(Protocol):
    """Keeps one kind of floor: refusals, holds, erasures. Read fresh for each request; never cached."""

    async def floors(self, access: Access, subjects: Sequence[str | None]) -> Sequence[Floors]:
        """Gives each subject's floors, in order."""
        ...


@dataclass(frozen=True, slots=True)
class FactRoom:
    """Fits rooms.FactSource. `sources` grows as refusals, holds and erasures get their rooms; where several speak, all hold."""

    record: Callable[[ResourceSpec, ClosedRecord, Facts], Facts]
    draft: Callable[[ResourceSpec, Draft, Facts], Facts]
    sources: tuple[FloorSource, ...] = ()

    @property
    def floored(self) -> bool:
        """True where somebody keeps floors."""
        return bool(self.sources)

    async def floors(self, access: Access, subjects: Sequence[str | None]) -> Sequence[Facts]:
        """Gives what is known without each record."""
        known = [Facts() for _ in subjects]
        for source in self.sources:
            for index, floors in enumerate(await source.floors(access, subjects)):
                known[index] = replace(known[index], floors=_both(known[index].floors, floors))
        return known

    def of_record(self, resource: ResourceSpec, record: ClosedRecord, known: Facts) -> Facts:
        """Gives `known` joined with the record's facts."""
        return self.record(resource, record, known)

    def of_draft(self, resource: ResourceSpec, draft: Draft, known: Facts) -> Facts:
        """Gives `known` joined with the facts that the draft would have as a record."""
        return self.draft(resource, draft, known)


def _both(one: Floors, other: Floors) -> Floors:
    return Floors(one.erased or other.erased, one.held or other.held, one.refused | other.refused)

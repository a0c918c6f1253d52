"""Service: tells a caller who he is taken for. Recorded like any read."""

from __future__ import annotations

from dataclasses import dataclass

from audit import Kind, Receipt
from gateway.corridor.desk import Asker, Desk, Visit, purpose_of
from gateway.words.principal import Principal

WHOAMI = "whoami:read"


@dataclass(frozen=True, slots=True)
class Who:
    """The caller as identified, and the entry that says that he was told."""

    principal: Principal
    receipt: Receipt


async def whoami(desk: Desk, asker: Asker) -> Who:
    """Gives the caller's own principal; there is nothing to decide, since it is what he proved. Raises as `Desk.attend`."""

    async def work(visit: Visit) -> Who:
        visit.purpose = purpose_of(asker, visit.principal)
        receipt = await desk.log.append(visit.event(Kind.SERVED), fence=visit.ruled.fence)
        return Who(visit.principal, receipt)

    return await desk.attend(asker, WHOAMI, None, work)

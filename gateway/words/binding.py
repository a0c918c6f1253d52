"""Which key and seal id open a record: the gateway's own word on it, never the upstream's."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from gateway.words.access import ResourceRef


@dataclass(frozen=True, slots=True)
class Binding:
    """A record's place in the sealing: immutable once bound, unique both ways, authenticated.

    subject: our id of the data subject (`sub_…`). seal: random, one per record (`seal_…`). founds: the record is the subject itself.
    The subject's pseudonym is no part of it: that is kept beside his keys and ends with them.
    """

    ref: ResourceRef
    subject: str
    seal: str
    founds: bool


@dataclass(frozen=True, slots=True)
class Pending:
    """A create on its way: its seal is there, its record is not. Or a record that is about to be adopted.

    parent: where it is being created. marker: what finds the record that this create makes. created: when the seal was minted.
    adopts: the record that was there before, None for a create. It is bound before anything is sent: while it is pending, nothing was.
    """

    seal: str
    upstream: str
    resource: str
    subject: str
    founds: bool
    marker: str | None = field(repr=False)
    parent: ResourceRef | None
    created: datetime
    adopts: ResourceRef | None = None

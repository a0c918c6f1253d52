"""What one person files and another confirms before it is done: exactly one thing, once, within a time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

LASTS: Final = timedelta(days=3)
"""How long something that was filed may be confirmed."""
ACTIVATE_BUNDLE: Final = "bundle:activate"
"""The one kind there is today: another bundle is put in force."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Exactly what will be done. before: the digest that must still be in force when it is done; after: the one that then is."""

    kind: str
    before: str
    after: str

    @property
    def digest(self) -> str:
        """Gives `sha256:…` over the canonical bytes: the JSON object of the three, its keys in order, without a space."""
        said = {"after": self.after, "before": self.before, "format": 1, "kind": self.kind}
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Approval:
    """One statement that somebody filed, and what became of it.

    id:       `apr_…`.  filed_by, confirmed_by: persons, `person:<issuer>#<subject>`.  until: from then on it is not confirmed any more.
    intent:   the log's number of the entry that says who filed it; confirm_intent: of the one that says who confirmed it.
    executed: the log's number of the entry by which it was done.  lapsed_at: from when on it never will be.
    """

    id: str
    statement: Statement
    filed_by: str
    filed_at: datetime
    until: datetime
    intent: int
    confirmed_by: str | None = None
    confirmed_at: datetime | None = None
    confirm_intent: int | None = None
    executed: int | None = None
    lapsed_at: datetime | None = None

    def waits(self, now: datetime) -> bool:
        """True while it may be confirmed."""
        return self.confirmed_by is None and self.lapsed_at is None and now < self.until

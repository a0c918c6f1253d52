"""Ground: which kind of constraint an IntegrityError broke, said alike for both engines. No I/O."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy.exc import IntegrityError


class Conflict(StrEnum):
    """The constraint that said no."""

    UNIQUE = "unique"
    FOREIGN = "foreign"
    OTHER = "other"


# SQLite: extended result codes (sqlite.org/rescode.html); PostgreSQL: SQLSTATE (appendix A, class 23).
_KINDS: dict[int | str, Conflict] = {
    1555: Conflict.UNIQUE,  # SQLITE_CONSTRAINT_PRIMARYKEY
    2067: Conflict.UNIQUE,  # SQLITE_CONSTRAINT_UNIQUE
    787: Conflict.FOREIGN,  # SQLITE_CONSTRAINT_FOREIGNKEY
    "23505": Conflict.UNIQUE,
    "23503": Conflict.FOREIGN,
    "23001": Conflict.FOREIGN,  # restrict_violation
}


def conflict_of(error: IntegrityError) -> Conflict:
    """Gives the kind; its text is not looked at, since it may hold values."""
    cause = error.orig
    code = getattr(cause, "sqlite_errorcode", None) or getattr(cause, "sqlstate", None)
    return _KINDS.get(code, Conflict.OTHER) if code is not None else Conflict.OTHER

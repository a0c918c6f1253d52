"""Ground: where a store lives. A file for SQLite, a DSN and a schema for PostgreSQL. No I/O."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from gateway.words.errors import Misconfigured

Dialect: TypeAlias = Literal["sqlite", "postgresql"]

# PostgreSQL folds unquoted names and cuts them at 63 bytes; this subset needs no quoting and no folding.
_SCHEMA = re.compile(r"[a-z][a-z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class Location:
    """One store's place: `path` for SQLite; `dsn` (it may hold a password, so it is not in the repr) and `schema` for PostgreSQL."""

    dialect: Dialect
    path: Path | None = None
    dsn: str | None = field(default=None, repr=False)
    schema: str | None = None

    @classmethod
    def parse(cls, address: str, *, schema: str | None = None) -> Location:
        """Reads `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://…`; `schema` counts on PostgreSQL only.

        Raises Misconfigured for anything else, a memory database included: a store outlives its process.
        """
        if schema is not None and not _SCHEMA.fullmatch(schema):
            raise Misconfigured(
                "a schema's name is a lower-case letter, then letters, digits and underscores, 63 at most"
            )
        if address.startswith("sqlite:///") and "?" not in address:
            name = address.removeprefix("sqlite:///")
            if name and ":memory:" not in name:
                return cls("sqlite", path=Path(name))
        if address.startswith(("postgresql://", "postgres://")):
            return cls("postgresql", dsn=address, schema=schema)
        raise Misconfigured("a store's address is sqlite:///PATH or postgresql://USER@HOST/DATABASE")

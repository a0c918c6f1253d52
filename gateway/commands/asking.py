"""How commands ask the running gateway: over its socket, and of a log on PostgreSQL as one more process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.asking import TAIL, ask
from gateway.commands.saying import language, settings
from gateway.text import text
from gateway.words.errors import Misconfigured


def asked(operation: str, **given: Any) -> Any:
    """Gives what the running gateway answers. Raises Misconfigured where none can be asked, Refused where it said no."""
    chosen = settings()
    if chosen.database_url:
        raise Misconfigured(text("cli.asking.on-postgresql", language()))
    if not chosen.socket:
        raise Misconfigured(text("cli.asking.socket-off", language()))
    return asyncio.run(ask(chosen.home, operation, **given))


def entries(
    *, limit: int, after: int | None = None, callers_id: str | None = None
) -> Sequence[Mapping[str, Any]]:
    """Gives entries of the log, and leaves one of that. Raises as `asked` does; on PostgreSQL no gateway has to run."""
    chosen = settings()
    if chosen.database_url:
        from gateway import beside  # noqa: PLC0415 - as above

        return asyncio.run(beside.entries(chosen, after=after, limit=limit, callers_id=callers_id))
    wanted = {} if callers_id is None else {"callers_id": callers_id}
    found: Sequence[Mapping[str, Any]] = asked(TAIL, limit=limit, after=after, **wanted)["entries"]
    return found

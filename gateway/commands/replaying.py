"""`gatehouse audit replay`: a recorded decision is made again, and comes out the same or not. And how commands get entries for that."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gateway.commands.saying import FOUND_WANTING, as_json, language, say, settings
from gateway.text import text
from gateway.words.errors import Misconfigured
from gateway.words.replay import LeftOut

PAGE = 1_000
"""What one reading of the log gives at most."""
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


def last_entries(home: Path, count: int) -> list[Mapping[str, Any]]:
    """Gives the log's last entries, oldest first, from the running gateway, and leaves an entry of that. Raises Misconfigured."""
    found: list[Mapping[str, Any]] = []
    while count > 0:
        limit = min(count, PAGE)
        before = found[0]["seq"] if found else None
        page = _asked(home, None if before is None else max(0, before - 1 - limit), limit)
        page = [line for line in page if before is None or line["seq"] < before]
        if not page:
            break
        found[:0] = page
        count -= len(page)
    return found


def _asked(home: Path, after: int | None, limit: int) -> list[Mapping[str, Any]]:
    from gateway.local import ask  # noqa: PLC0415 - other commands start without loading it

    entries: list[Mapping[str, Any]] = asyncio.run(ask(home, "audit.tail", limit=limit, after=after))[
        "entries"
    ]
    return entries


@click.command("replay")
@click.argument("seq", type=click.IntRange(min=1))
@click.option(
    "--policies",
    type=_FOLDER,
    help="The folder that the decision was made by; without it, the policy folder of the settings.",
)
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def replay(seq: int, policies: Path | None, json_: bool) -> None:
    """Make the recorded decision of entry SEQ again. Exit code 0: it comes out the same; 1: it does not; 2: its bundle is not at hand."""
    from gateway.bundles import read  # noqa: PLC0415 - as above
    from gateway.replaying import remade  # noqa: PLC0415 - as above

    chosen = settings()
    found = [line for line in _asked(chosen.home, seq - 1, 1) if line["seq"] == seq]
    if not found:
        raise Misconfigured(text("cli.replay.no-entry", language(), seq=seq))
    by = read(policies or chosen.policies, chosen.upstream_hosts, chosen.max_opaque_bytes)
    outcomes = remade(found[0], by)
    if not outcomes:
        raise Misconfigured(text("cli.replay.no-decision", language(), seq=seq))
    made_by = found[0]["entry"]["decision"]["bundle"]
    if LeftOut.ANOTHER_BUNDLE in outcomes:
        raise Misconfigured(
            text("cli.replay.another-bundle", language(), seq=seq, bundle=made_by, here=by.bundle.digest)
        )
    same = [outcome is None for outcome in outcomes]
    if json_:
        as_json({"seq": seq, "bundle": made_by, "decisions": len(same), "same": sum(same)})
    else:
        say(
            "cli.replay.same" if all(same) else "cli.replay.otherwise",
            seq=seq,
            same=sum(same),
            count=len(same),
        )
    if not all(same):
        raise click.exceptions.Exit(FOUND_WANTING)

"""`gatehouse freezes`: who is frozen because a decoy was touched, and giving somebody free again."""

from __future__ import annotations

import asyncio

import click

from gateway.commands.saying import as_json, say, settings


@click.group()
def freezes() -> None:
    """Credentials and persons that are frozen because a decoy was touched."""


@freezes.command("list")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def freezes_list(json_: bool) -> None:
    """Show who is frozen, and since when."""
    from gateway.local import ask  # noqa: PLC0415 - other commands start without loading it

    found = asyncio.run(ask(settings().home, "freezes.list"))
    if json_:
        as_json(found)
    elif not found:
        say("cli.freezes.none")
    else:
        for one in found:
            click.echo(f"{one['since']}  {one['who']}")


@freezes.command("lift")
@click.argument("who")
def freezes_lift(who: str) -> None:
    """Give WHO (`key_…` or `person:…`) free again. It is recorded."""
    from gateway.local import ask  # noqa: PLC0415 - as above

    asyncio.run(ask(settings().home, "freezes.lift", who=who))
    say("cli.freezes.lifted", who=who)

"""`gatehouse freezes`: who is frozen because a decoy was touched, and giving somebody free again."""

from __future__ import annotations

import click

from gateway.asking import FREEZES, LIFT
from gateway.commands.asking import asked
from gateway.commands.saying import as_json, say


@click.group()
def freezes() -> None:
    """Credentials and persons that are frozen because a decoy was touched."""


@freezes.command("list")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def freezes_list(json_: bool) -> None:
    """Show who is frozen, and since when."""
    found = asked(FREEZES)
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
    asked(LIFT, who=who)
    say("cli.freezes.lifted", who=who)

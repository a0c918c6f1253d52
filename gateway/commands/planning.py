"""`gatehouse policy plan`: a change of the policy folder is seen before it acts, as text, as Markdown for a merge request, or as JSON."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from gateway.commands.plan_page import page
from gateway.commands.replaying import last_entries
from gateway.commands.saying import FOUND_WANTING, as_json, language, settings

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command("plan")
@click.argument("draft", type=_FOLDER)
@click.option(
    "--against",
    type=_FOLDER,
    help="The folder to compare with; without it, the policy folder of the settings.",
)
@click.option(
    "--replay",
    "count",
    type=click.IntRange(0, 100_000),
    default=0,
    metavar="N",
    help="Also make the decisions of the running gateway's last N entries again, and list those that would come out otherwise.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="For people, for a merge request, for scripts.",
)
def plan(draft: Path, against: Path | None, count: int, form: str) -> None:
    """Say who would gain and who would lose what if DRAFT were the policy folder. Exit code 1 where it could widen anybody's access."""
    from gateway.planning import plan  # noqa: PLC0415 - other commands start without loading it

    chosen = settings()
    recorded = last_entries(count)
    made = plan(against or chosen.policies, draft, chosen.upstream_hosts, chosen.max_opaque_bytes, recorded)
    if form == "json":
        as_json({"widens": bool(made.widenings), **dataclasses.asdict(made)})
    else:
        click.echo(page(made, language(), markdown=form == "markdown"))
    if made.widenings:
        raise click.exceptions.Exit(FOUND_WANTING)

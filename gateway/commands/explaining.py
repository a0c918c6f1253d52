"""`gatehouse policy explain`, `who-can`, `what-can`: why, who and what, asked of the running gateway."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from gateway.asking import EXPLAIN, WHAT_CAN, WHO_CAN
from gateway.commands.asking import asked as asked_running
from gateway.commands.saying import as_json, language
from gateway.words.decision import FactValue

SEPARATOR = "="
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")
"""What a spreadsheet may take for a formula's beginning."""


def _of_what(command: Callable[..., None]) -> Callable[..., None]:
    """Options by which a question says what it is about."""
    for option in reversed(
        (
            click.option("--upstream", help="Where several upstreams have the action."),
            click.option("--resource", help="Where several resources have the action."),
            click.option(
                "--fact",
                "facts",
                multiple=True,
                metavar="NAME=VALUE",
                help="In the place of a record: a fact that one might have.",
            ),
        )
    ):
        command = option(command)
    return command


@click.command("explain")
@click.option("--as", "who", required=True, metavar="WHO", help="person:…, app:… or system:….")
@click.option("--action", required=True, help="What is to be done, as a policy writes it: customer:read.")
@click.option("--record", help="The record's id; its facts are read, and never its values.")
@click.option("--parent", help="The record above it, where its address needs one.")
@click.option("--purpose", help="What for; without it the only one that the credential holds.")
@click.option(
    "--through",
    metavar="APP",
    help="The application by which a person comes; without it the one that gets him furthest.",
)
@_of_what
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def explain(json_: bool, facts: tuple[str, ...], **asked: str | None) -> None:
    """Say why the policy in force decides so: which rules, which nearly, which facts, each field, and what would allow it.

    Asks the running gateway; the question is recorded in its log. Exit code 0, whether it is allowed or not.
    """
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if facts:
        given["facts"] = facts_of(facts)
    said = asked_running(EXPLAIN, language=language().value, **given)
    if json_:
        as_json(said)
    else:
        click.echo("\n".join(said["text"]))


@click.command("who-can")
@click.argument("action")
@click.option("--field", help="Only who sees something of this field, and how.")
@click.option("--record", help="The record's id; its facts are read, and never its values.")
@click.option("--parent", help="The record above it, where its address needs one.")
@_of_what
@click.option("--csv", "csv_", is_flag=True, help="Print CSV that a spreadsheet takes for text alone.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def who_can(json_: bool, csv_: bool, facts: tuple[str, ...], **asked: str | None) -> None:
    """List everybody who may do ACTION to a record: the people whom the policy links to roles, and applications for themselves.

    Asks the running gateway; the question is recorded in its log.
    """
    given: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if facts:
        given["facts"] = facts_of(facts)
    found = asked_running(WHO_CAN, **given)
    _say(found, WHO, csv_=csv_, json_=json_)


@click.command("what-can")
@click.argument("who")
@click.option("--through", metavar="APP", help="Only by this application, where WHO is a person.")
@click.option("--csv", "csv_", is_flag=True, help="Print CSV that a spreadsheet takes for text alone.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def what_can(who: str, through: str | None, csv_: bool, json_: bool) -> None:
    """List what WHO (person:…, app:… or system:…) can do at all, before any record is known.

    `always`: on every record of that unit. `depends`: on its facts or the time; so do the fields under `open`.
    Asks the running gateway; the question is recorded in its log.
    """
    wanted = {} if through is None else {"through": through}
    _say(asked_running(WHAT_CAN, who=who, **wanted), WHAT, csv_=csv_, json_=json_)


WHO = ("who", "through", "purpose", "shown")
WHAT = (
    "resource",
    "action",
    "purpose",
    "through",
    "unit",
    "holds",
    "clear",
    "masked",
    "token",
    "open",
    "settable",
)


def _say(found: Mapping[str, Any], columns: Sequence[str], *, csv_: bool, json_: bool) -> None:
    if json_:
        as_json(found)
    elif csv_:
        click.echo(as_csv(found["rows"], columns), nl=False)
    else:
        click.echo("\n".join(as_table(found["rows"], columns)))


def as_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Iterator[str]:
    """Gives rows as lines of aligned columns."""
    lines = [columns, *([_cell(row[name]) for name in columns] for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Gives rows as CSV (RFC 4180). A cell that a spreadsheet would take for a formula begins with an apostrophe."""
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_as_text(_cell(row[name])) for name in columns])
    return made.getvalue()


def _cell(value: object) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def _as_text(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def facts_of(given: tuple[str, ...]) -> dict[str, FactValue | list[str]]:
    """Gives facts as they were typed: a whole number, true, false and none are those; several texts stand between commas after `[`."""
    made: dict[str, FactValue | list[str]] = {}
    for one in given:
        name, separator, value = one.partition(SEPARATOR)
        if not separator or not name:
            raise click.BadParameter(one, param_hint="--fact")
        made[name] = _fact(value)
    return made


def _fact(text: str) -> FactValue | list[str]:
    if text.startswith("[") and text.endswith("]"):
        return [part.strip() for part in text[1:-1].split(",") if part.strip()]
    known: dict[str, FactValue] = {"true": True, "false": False, "none": None}
    if text in known:
        return known[text]
    return int(text) if text.removeprefix("-").isdecimal() and text.isascii() else text

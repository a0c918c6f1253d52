"""`gatehouse policy activate`, `rollback`, `history` and `gatehouse approve`: bundles come in force, asked of the running gateway."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from gateway.asking import ACTIVATE, APPROVE, HISTORY
from gateway.commands.asking import asked
from gateway.commands.saying import FOUND_WANTING, as_json, language, say
from gateway.plainfile import read_plain
from gateway.text import text
from gateway.words.errors import Misconfigured

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
MOST_BYTES = 16 * 1024
"""What a key or a token has at most."""
LINES = {
    "activate": "cli.activation.came",
    "wait": "cli.activation.waited",
    "refuse": "cli.activation.refused",
}
"""What is said of an entry, by what became of the bundle."""


def _by_a_person(command: Callable[..., None]) -> Callable[..., None]:
    """Options by which a person proves who he is, as an application would prove it for him."""
    for option in reversed(
        (
            click.option(
                "--key-file", required=True, type=_FILE, help="A file that holds the application's API key."
            ),
            click.option(
                "--person-file",
                type=_FILE,
                help="A file that holds the person's token, as the application would send it.",
            ),
            click.option("--purpose", help="Where the key holds several."),
            click.option("--json", "json_", is_flag=True, help="Print JSON."),
        )
    ):
        command = option(command)
    return command


@click.command("activate")
@click.argument("digest", required=False)
@_by_a_person
def activate(
    digest: str | None, key_file: Path, person_file: Path | None, purpose: str | None, json_: bool
) -> None:
    """Put the bundle DIGEST in force; without it, the one that the policy folder offers and that waits.

    Where it could widen anybody's access it is filed, and another person confirms it by `gatehouse approve`. Exit code 0 where it is in
    force, 1 where it waits.
    """
    _file(digest, key_file, person_file, purpose, json_)


@click.command("rollback")
@click.argument("digest")
@_by_a_person
def rollback(digest: str, key_file: Path, person_file: Path | None, purpose: str | None, json_: bool) -> None:
    """Put the bundle DIGEST, which was in force before, in force again. `gatehouse policy history` lists digests.

    It is no other thing than a change to it: where it could widen anybody's access, another person confirms it. Exit codes as `activate`.
    """
    _file(digest, key_file, person_file, purpose, json_)


@click.command("approve")
@click.argument("approval")
@_by_a_person
def approve(
    approval: str, key_file: Path, person_file: Path | None, purpose: str | None, json_: bool
) -> None:
    """Confirm APPROVAL (apr_…), which another person filed; what was filed is done with it, once."""
    _say(_asked(APPROVE, key_file, person_file, purpose, approval=approval), json_)


@click.command("history")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="How many at most.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
def history(limit: int, json_: bool) -> None:
    """List which bundles came in force, latest first, by whom, what was refused, and what waits for a person.

    Asks the running gateway; the question is recorded in its log.
    """
    told = asked(HISTORY, limit=limit)
    if json_:
        as_json(told)
        return
    say("cli.activation.in-force", bundle=told["bundle"])
    if told["waits"] is not None:
        say("cli.activation.offered", bundle=told["waits"])
    for one in told["approvals"]:
        say("cli.activation.filed", id=one["id"], bundle=one["after"], by=one["filed_by"], until=one["until"])
    for item in told["items"]:
        who = ", ".join(item[name] for name in ("filed_by", "confirmed_by") if item[name]) or "-"
        say(
            LINES[item["what"]], seq=item["seq"], time=item["time"], bundle=item["bundle"], before=item["before"] or "-",
            how=item["how"], who=who, count=item["reasons"] or item["problems"] or 0,
        )  # fmt: skip


def _file(
    digest: str | None, key_file: Path, person_file: Path | None, purpose: str | None, json_: bool
) -> None:
    done = _asked(ACTIVATE, key_file, person_file, purpose, bundle=digest)
    _say(done, json_)
    if done["state"] == "waits":
        raise click.exceptions.Exit(FOUND_WANTING)


def _asked(
    what: str, key_file: Path, person_file: Path | None, purpose: str | None, **given: str | None
) -> Mapping[str, Any]:
    shown = {"key": _word(key_file), "person": None if person_file is None else _word(person_file)}
    said = {
        name: value for name, value in {**given, **shown, "purpose": purpose}.items() if value is not None
    }
    done: Mapping[str, Any] = asked(what, **said)
    return done


def _word(file: Path) -> str:
    """Gives what a file holds: one word. It is read from a file because a command line is seen by everybody on the machine."""
    try:
        word = read_plain(file, MOST_BYTES).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(text("cli.activation.unread", language(), file=str(file))) from error
    if not word or word.split() != [word]:
        raise Misconfigured(text("cli.activation.unread", language(), file=str(file)))
    return word


def _say(done: Mapping[str, Any], json_: bool) -> None:
    if json_:
        as_json(done)
    elif done["state"] == "waits":
        filed = done["approval"]
        say("cli.activation.waits", bundle=done["after"], id=filed["id"], until=filed["until"])
    else:
        say("cli.activation.done", bundle=done["after"], entry=done["entry"])
        if done["waived"]:
            say("cli.activation.waived")

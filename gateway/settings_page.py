"""Beside the path: the table of settings for people. docs/settings.md, gatehouse.toml.example and `gatehouse settings` are made here."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from gateway.settings import Given, Row

_HIDDEN = "(set, not shown)"

_INTRODUCTION = """\
# Settings

A setting is an environment variable, `GATEHOUSE_PORT`, or a line of a settings file, `port = 8080`. Both are read once at the start;
the environment wins over the file. One that is not in this table refuses to start and names the nearest. `gatehouse settings` says
what is in force and where each value comes from, `gatehouse settings --explain` prints this table. Made from `gateway/settings.py` by
`tools/settings_page.py`; a test compares both.

**The file** is the one that `GATEHOUSE_CONFIG` names, or `gatehouse --config FILE …`; without either none is read. It is TOML without
sections, one `name = value` a line, as in [gatehouse.toml.example](../gatehouse.toml.example). A relative path in it is seen from the
file's own folder; in the environment, from the folder that the command is called in. The file must belong to the user that runs
Gatehouse, or to root, and be writable by nobody else. Where it holds a setting marked *secret*, others must not be able to read it
(`chmod 640`; better still, keep the password out of it, in the file that PGPASSFILE names). Refusals name file and line, never a
value.

| variable | default | unit | range | effect |
| --- | --- | --- | --- | --- |
"""

_EXAMPLE = """\
# Settings of Gatehouse: copy this file, take the # away where you decide otherwise, and name the copy in GATEHOUSE_CONFIG.
# The environment (GATEHOUSE_PORT for port) wins over this file. `gatehouse settings` says what is in force.
# Made from gateway/settings.py by tools/settings_page.py; docs/settings.md has the same as a table.
"""


def page(rows: Iterable[Row]) -> str:
    """Gives docs/settings.md."""
    return _INTRODUCTION + "".join(f"{_line(row)}\n" for row in rows)


def _line(row: Row) -> str:
    effect = f"{row.effect} *Secret.*" if row.secret else row.effect
    shown = f"`{row.default}`" if row.default else ""
    return f"| `{row.variable}` | {shown} | {row.unit} | {row.range} | {effect} |"


def example(rows: Iterable[Row]) -> str:
    """Gives gatehouse.toml.example: every setting with its default, as a comment."""
    return _EXAMPLE + "".join(f"\n{_comment(row)}\n# {row.name} = {_toml(row)}\n" for row in rows)


def _comment(row: Row) -> str:
    said = "; ".join(filter(None, (row.range, row.unit, "secret" if row.secret else "")))
    return textwrap.fill(
        f"{row.effect} [{said}]", 110, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )


def _toml(row: Row) -> str:
    if row.example in ("on", "off"):
        return "true" if row.example == "on" else "false"
    # The table's defaults hold no quote and no backslash; a test reads the whole file back.
    return row.example if row.example.isdecimal() else f'"{row.example}"'


def explained(rows: Iterable[Row]) -> Iterator[str]:
    """Gives the lines of `gatehouse settings --explain`: each setting's name, default, unit and range, then what it does."""
    for row in rows:
        said = [f"default {row.default or '(none)'}{f' {row.unit}' if row.unit else ''}", row.range]
        yield f"{row.variable}  ({'; '.join([*said, *(['secret'] if row.secret else [])])})"
        yield textwrap.fill(
            row.effect, 110, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
        )


def described(row: Row) -> dict[str, Any]:
    """Gives one row of the table for scripts."""
    names = ("variable", "name", "default", "unit", "range", "effect", "secret")
    return {name: getattr(row, name) for name in names}


def shown(found: Given, value: object) -> dict[str, Any]:
    """Gives what is in force of one setting, for scripts. A secret is only said to be there."""
    plain = sorted(value) if isinstance(value, frozenset) else value
    if isinstance(plain, tuple):
        plain = [str(one) for one in plain]
    # A path is text for both; everything else stays what it is in JSON too.
    told = plain if isinstance(plain, bool | int | float | str | list | None) else str(plain)
    if found.row.secret and told:
        told = _HIDDEN
    return {"variable": found.row.variable, "value": told, "origin": found.origin}


def line(told: dict[str, Any]) -> str:
    """Gives the same on one line, for people."""
    value = told["value"]
    if isinstance(value, bool):
        value = "on" if value else "off"
    elif isinstance(value, list):
        value = ",".join(value)
    return f"{told['variable']} = {'' if value is None else value}".rstrip() + f"  ({told['origin']})"

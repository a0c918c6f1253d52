"""A plan as a person reads it: who gains and who loses what, what differs, what recorded decisions would become, why it may widen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING
from unicodedata import east_asian_width

from gateway.text import Language, text
from gateway.words.replay import LeftOut
from gateway.words.widening import Why, Widening

if TYPE_CHECKING:
    from gateway.catalogue import Change
    from gateway.planning import Plan
    from gateway.policy import Effect

Row = tuple[str, ...]
Section = tuple[str, tuple[str, ...], list[Row]]
"""A title, the columns' heads, and the rows."""
_HEAD = (
    "cli.plan.who",
    "cli.plan.where",
    "cli.plan.resource",
    "cli.plan.action",
    "cli.plan.field",
    "cli.plan.purpose",
    "cli.plan.when",
    "cli.plan.rule",
)
_FLIPS = (
    "cli.plan.role",
    "cli.plan.resource",
    "cli.plan.action",
    "cli.plan.field",
    "cli.plan.purpose",
    "cli.plan.was",
    "cli.plan.now",
    "cli.plan.decisions",
    "cli.plan.entry",
)
_VERDICT = {"allowed": "cli.plan.allowed", "denied": "cli.plan.denied"}
_LEFT_OUT = {
    LeftOut.ANOTHER_BUNDLE: "cli.plan.left-out.another-bundle",
    LeftOut.ANOTHER_ENGINE: "cli.plan.left-out.another-engine",
    LeftOut.WITHOUT_RESOURCE: "cli.plan.left-out.without-resource",
    LeftOut.ASKER_UNKNOWN: "cli.plan.left-out.asker-unknown",
    LeftOut.OTHERWISE: "cli.plan.left-out.otherwise",
}
_WHY = {
    Why.ALLOWED: "cli.plan.why.allowed",
    Why.ROLE: "cli.plan.why.role",
    Why.NO_LONGER_DENIED: "cli.plan.why.no-longer-denied",
    Why.NO_LONGER_FAILS: "cli.plan.why.no-longer-fails",
    Why.TOKEN_FOR_MASK: "cli.plan.why.token-for-mask",
    Why.PURPOSE: "cli.plan.why.purpose",
    Why.CLOCK: "cli.plan.why.clock",
    Why.ENGINE: "cli.plan.why.engine",
    Why.CATALOGUE: "cli.plan.why.catalogue",
    Why.TOO_MUCH: "cli.plan.why.too-much",
    Why.DECOY: "cli.plan.why.decoy",
    Why.BUDGET: "cli.plan.why.budget",
}


def page(made: Plan, chosen: Language, *, markdown: bool) -> str:
    """Gives the plan's text. Sections that say nothing are left out; the last line is the verdict."""
    say = partial(text, language=chosen)
    show = _markdown if markdown else _plain
    lines = [text("cli.plan.between", chosen, before=made.before, after=made.after)]
    for title, head, rows in _sections(made, say):
        if rows:
            lines += ["", *show(title, head, rows)]
    if made.effects.more:
        lines += ["", text("cli.plan.more", chosen, count=made.effects.more)]
    if (found := made.replayed) is not None:
        lines += ["", text("cli.plan.replayed", chosen, count=found.decisions, again=found.again)]
        lines += [
            text(_LEFT_OUT[LeftOut(why)], chosen, count=many) for why, many in sorted(found.left_out.items())
        ]
    return "\n".join([*lines, "", say("cli.plan.widens" if made.widenings else "cli.plan.proven")])


def _sections(made: Plan, say: Callable[[str], str]) -> Iterator[Section]:
    head = tuple(map(say, _HEAD))
    for gains in (True, False):
        rows = [_effect(one, say) for one in made.effects.effects if one.gains is gains]
        yield say("cli.plan.gains" if gains else "cli.plan.loses"), head, rows
    moved: list[Row] = [
        (say("cli.plan.given" if one.gains else "cli.plan.taken"), one.member, one.role, one.unit)
        for one in made.effects.links
    ]
    yield (
        say("cli.plan.links"),
        ("", *map(say, ("cli.plan.member", "cli.plan.role", "cli.plan.where"))),
        moved,
    )
    budgets: list[Row] = [
        (one.name, one.was or "-", one.now or "-", say("cli.plan.wider") if one.looser else "")
        for one in made.effects.budgets
    ]
    yield (
        say("cli.plan.budgets"),
        (*map(say, ("cli.plan.what", "cli.plan.was", "cli.plan.now")), ""),
        budgets,
    )
    yield (
        say("cli.plan.catalogue"),
        (*map(say, ("cli.plan.place", "cli.plan.what", "cli.plan.was", "cli.plan.now")), ""),
        _catalogue(made.catalogue, say),
    )
    flips: list[Row] = [
        (
            ", ".join(one.roles),
            *(one.resource, one.action, one.what, one.purpose or "-"),
            *(say(_VERDICT[side]) if side in _VERDICT else side for side in (one.was, one.now)),
            *(str(one.count), str(one.seq)),
        )
        for one in (made.replayed.flips if made.replayed else ())
    ]
    yield say("cli.plan.flips"), tuple(map(say, _FLIPS)), flips
    reasons: list[Row] = [
        (say(_WHY[one.why]), _at(one), one.holder or "", one.unit or "") for one in made.widenings
    ]
    yield (
        say("cli.plan.reasons"),
        tuple(map(say, ("cli.plan.why-head", "cli.plan.place", "cli.plan.member", "cli.plan.where"))),
        reasons,
    )


def _effect(one: Effect, say: Callable[[str], str]) -> Row:
    at = f"{one.rule.file}:{one.rule.line}"
    return (
        f"{one.holder} ({one.people})",
        *(one.unit, one.res, one.act, one.field, one.purpose, one.condition),
        f"{at} " + say("cli.plan.deny") if one.denied else at,
    )


def _catalogue(changes: Sequence[Change], say: Callable[[str], str]) -> list[Row]:
    """One row for each difference: what a file says once for all of its routes is told once."""
    alike: dict[Row, list[str]] = {}
    for one in changes:
        alike.setdefault(
            (one.what, one.was, one.now, say("cli.plan.wider") if one.widens else ""), []
        ).append(one.place)
    return [
        (places[0] + (f" (+{len(places) - 1})" if len(places) > 1 else ""), *told)
        for told, places in alike.items()
    ]


def _at(one: Widening) -> str:
    if one.rule is None:
        return one.about or ""
    return f"{one.rule.file}:{one.rule.line}" + (" ←" if one.was else "")


def _plain(title: str, head: Row, rows: Sequence[Row]) -> list[str]:
    widths = [max(map(_width, column)) for column in zip(head, *rows, strict=True)]
    cells = (
        (cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        for row in (head, *rows)
    )
    return [title, *(("  " + "  ".join(row)).rstrip() for row in cells)]


def _width(cell: str) -> int:
    """How many columns of a terminal it takes: a Chinese character takes two."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in cell)


def _markdown(title: str, head: Row, rows: Sequence[Row]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [f"### {title}", "", line(head), line(["---"] * len(head)), *map(line, rows)]

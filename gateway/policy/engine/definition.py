"""model.conf, read as pycasbin reads it: sections, options, continuation lines. What pycasbin would pass over in silence is a fault."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.policy.engine.faults import MODEL, Fault, Unfit
from gateway.policy.engine.spelling import escaped, uncommented

SECTIONS = {
    "request_definition": "r",
    "policy_definition": "p",
    "role_definition": "g",
    "policy_effect": "e",
    "matchers": "m",
}
_OPTION = re.compile(r"([rpgem])(\d*)\Z")
_ROLE = re.compile(r"_\s*,\s*_(?:\s*,\s*_)?\Z")
_CONDITIONAL = re.compile(r"[_,\s]*\([^)]*\)[_,\s]*\Z")


class Effect(StrEnum):
    """The five that Casbin knows, by what an author writes (pycasbin compares the text, blanks included)."""

    ALLOW_OVERRIDE = "some(where (p_eft == allow))"
    DENY_OVERRIDE = "!some(where (p_eft == deny))"
    ALLOW_AND_DENY = "some(where (p_eft == allow)) && !some(where (p_eft == deny))"
    PRIORITY = "priority(p_eft) || deny"
    SUBJECT_PRIORITY = "subjectPriority(p_eft) || deny"


@dataclass(frozen=True, slots=True)
class Definition:
    """One model, and of its sections those that are asked for (`suffix`: "" for r, p, m; "2" for r2, p2, m2).

    request, rule: names of the columns. kinds: every kind of row the policy may hold → its number of columns.
    roles: `g`, `g2` … → 2 or 3. matcher: text without comments, not yet rewritten. lines: option → line.
    """

    suffix: str
    request: tuple[str, ...]
    rule: tuple[str, ...]
    kinds: dict[str, int]
    roles: dict[str, int]
    effect: Effect
    matcher: str
    text: str = field(repr=False)
    lines: dict[str, int] = field(repr=False)

    @property
    def rule_kind(self) -> str:
        """The kind of the rows that are decided by: `p`, `p2` …"""
        return "p" + self.suffix

    @property
    def eft(self) -> int | None:
        """The column of the effect; None where the model has none, and every rule allows."""
        return self.rule.index("eft") if "eft" in self.rule else None

    @property
    def priority(self) -> int | None:
        """The column that rows are sorted by, whatever the effect."""
        return self.rule.index("priority") if "priority" in self.rule else None


def definition(text: str, suffix: str = "") -> Definition:
    """Gives the model that a model.conf says. Raises Unfit with every fault."""
    options, faults = _options(text)
    made = _Reader(options, faults, suffix)
    found = made.read(text)
    if faults or found is None:
        raise Unfit(sorted(faults, key=lambda fault: fault.line))
    return found


Options = dict[str, tuple[str, int]]


class _Reader:
    def __init__(self, options: Options, faults: list[Fault], suffix: str) -> None:
        self._options = options
        self._faults = faults
        self._suffix = suffix

    def read(self, text: str) -> Definition | None:
        for letter in "rpm":
            if letter + self._suffix not in self._options:
                self._fault(1, "engine.option-missing", name=letter + self._suffix)
        if "e" not in self._options:
            self._fault(1, "engine.option-missing", name="e")
        if self._faults:
            return None
        columns = {name: self._columns(name) for name in self._options if name[0] in "rp"}
        roles = {name: self._role(name) for name in self._options if name[0] == "g"}
        effect = self._effect(columns["p" + self._suffix])
        if self._faults or effect is None:
            return None
        return Definition(
            suffix=self._suffix,
            request=columns["r" + self._suffix],
            rule=columns["p" + self._suffix],
            kinds={**{n: len(c) for n, c in columns.items() if n[0] == "p"}, **roles},
            roles=roles,
            effect=effect,
            matcher=self._value("m" + self._suffix),
            text=text,
            lines={name: line for name, (_value, line) in self._options.items()},
        )

    def _value(self, name: str) -> str:
        return uncommented(self._options[name][0])

    def _columns(self, name: str) -> tuple[str, ...]:
        value, line = self._options[name]
        columns = tuple(token.strip() for token in value.split(","))
        for column in columns:
            # Python's parser takes letters that look alike for one, and pycasbin looks the column up as it is written.
            if not column.isidentifier() or unicodedata.normalize("NFKC", column) != column:
                self._fault(line, "engine.column-name", name=name, column=column[:60])
        if len(set(columns)) < len(columns):
            self._fault(line, "engine.column-twice", name=name)
        return columns

    def _role(self, name: str) -> int:
        value, line = self._options[name]
        if _ROLE.match(value):
            return value.count("_")
        # The condition functions of a link are given by code; without code pycasbin takes every such link for held.
        key = "engine.conditional-role" if _CONDITIONAL.match(value) and "(" in value else "engine.role-shape"
        self._fault(line, key, name=name)
        return 0

    def _effect(self, rule: tuple[str, ...]) -> Effect | None:
        line = self._options["e"][1]
        written = escaped(self._value("e"))
        try:
            effect = Effect(written)
        except ValueError:
            self._fault(line, "engine.effect-unknown")
            return None
        if effect is not Effect.ALLOW_OVERRIDE and "eft" not in rule:
            self._fault(line, "engine.effect-without-column", name="p" + self._suffix)
        own = "e" + self._suffix
        if self._suffix and own in self._options:
            theirs = escaped(self._value(own)).replace(f"p{self._suffix}_", "p_")
            if theirs != written:  # pycasbin decides every section by `e`
                self._fault(self._options[own][1], "engine.effect-of-section", name=own)
        if effect is Effect.SUBJECT_PRIORITY and "g" not in self._options:
            self._fault(line, "engine.subject-priority-without-roles")
        return effect

    def _fault(self, line: int, key: str, **params: str | int) -> None:
        self._faults.append(Fault(MODEL, line, key, dict(params)))


def _options(text: str) -> tuple[Options, list[Fault]]:
    """Options by name. Joins lines that end in a backslash, passes over lines that start with `#` or `;`, as pycasbin's reader."""
    options: Options = {}
    faults: list[Fault] = []
    alone = re.search(r"\r(?!\n)", text)
    if alone:  # from a file it would end a line, from a text it would not
        faults.append(Fault(MODEL, text.count("\n", 0, alone.start()) + 1, "engine.no-option"))
    section = ""
    held: list[str] = []
    began = 0
    for number, raw in enumerate([*text.split("\n"), ""], 1):
        line = raw.strip()
        header = line.startswith("[") and line.endswith("]")
        if line and line[0] not in "#;" and not header:
            began = began if held else number
            if line.endswith("\\"):
                held.append(line[:-1].strip() + " ")
                continue
            held.append(line)
        if held:
            _take("".join(held), section, began, options, faults)
            held = []
        if header:
            section = line[1:-1]
            if section not in SECTIONS:
                faults.append(Fault(MODEL, number, "engine.section-unknown", {"name": section[:60]}))
    for name, (_value, line_number) in options.items():
        before = int(name[1:] or 1) - 1
        if before and (name[0] if before == 1 else f"{name[0]}{before}") not in options:
            faults.append(Fault(MODEL, line_number, "engine.option-after-gap", {"name": name}))
    return options, faults


def _take(joined: str, section: str, line: int, options: Options, faults: list[Fault]) -> None:
    name, equals, value = joined.partition("=")
    name, value = name.strip(), value.strip()
    if section and section not in SECTIONS:
        return  # all of it is told of once
    match = _OPTION.match(name)
    if not equals or not value:
        faults.append(Fault(MODEL, line, "engine.no-option", {}))
    elif (
        match is None
        or SECTIONS.get(section) != match.group(1)
        or match.group(2) in ("0", "1")
        or match.group(2).startswith("0")
    ):
        faults.append(
            Fault(MODEL, line, "engine.option-unknown", {"name": name[:60], "section": section[:60]})
        )
    elif name in options:
        faults.append(Fault(MODEL, line, "engine.option-twice", {"name": name}))
    else:
        options[name] = (value, line)

"""Beside the request path: holds the `g` rows, alone and together, before anyone gets a role by them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gateway.policy.finding import Finding, error
from gateway.policy.lint.near import Near
from gateway.policy.roles import MAX_CHAIN, RoleGraph, longest_chain
from gateway.policy.source import POLICY_FILE, Row
from gateway.policy.vocabulary import Vocabulary
from gateway.words.principal import ANYWHERE

_MEMBER = re.compile(r"(?:app|system):[a-z][a-z0-9_-]*\Z|person:[^\s,#]+#[^\s,#]+\Z")

Arrows = dict[str, list[str]]


def hold_links(rows: Sequence[Row], vocabulary: Vocabulary) -> list[Finding]:
    """Gives what is wrong with the links: names, units, cycles, length, and chains that Casbin would silently cut."""
    links = [row for row in rows if row.kind == "g" and len(row.columns) == 3]
    near = Near()
    findings = [finding for row in links for finding in _names(row, vocabulary, near)]
    depth, cycle = longest_chain((row.columns[0], row.columns[1]) for row in links)
    if cycle is not None:
        line = next(row.line for row in links if row.columns[0] == cycle)
        findings.append(
            error(
                POLICY_FILE,
                line,
                f"`{cycle}` inherits from itself",
                "Roles become one",
                "Break the circle",
                rule="role-cycle",
            )
        )
        return findings
    if depth >= MAX_CHAIN:
        findings.append(
            error(
                POLICY_FILE,
                links[0].line,
                f"a chain of {depth} links",
                f"Casbin stops silently at {MAX_CHAIN}",
                "Shorten the chain",
                rule="role-depth",
            )
        )
        return findings
    return findings + _cut(links)


def _names(row: Row, vocabulary: Vocabulary, near: Near) -> list[Finding]:
    member, role, unit = row.columns
    findings = []
    if role not in vocabulary.roles:
        findings.append(
            error(
                POLICY_FILE,
                row.line,
                f"unknown role `{role}`",
                "It would give nothing",
                near.suggest(role, vocabulary.roles, "Declare it"),
                rule="unknown-role",
            )
        )
    if member.startswith("role:"):
        if member not in vocabulary.roles:
            findings.append(
                error(
                    POLICY_FILE,
                    row.line,
                    f"unknown role `{member}`",
                    "Nobody would have it",
                    near.suggest(member, vocabulary.roles, "Declare it"),
                    rule="unknown-role",
                )
            )
    elif not _MEMBER.match(member):
        findings.append(
            error(
                POLICY_FILE,
                row.line,
                f"`{member}` is neither a role, a person, an application nor a system principal",
                "Whoever is named like it would get the role",
                "Write role:…, person:issuer#subject, app:… or system:…",
                rule="name-without-prefix",
            )
        )
    if unit != ANYWHERE and unit not in vocabulary.units:
        findings.append(
            error(
                POLICY_FILE,
                row.line,
                f"unknown unit `{unit}`",
                "The role is held nowhere",
                near.suggest(unit, vocabulary.units, "Declare it or `*`"),
                rule="unknown-unit",
            )
        )
    return findings


def _cut(links: Sequence[Row]) -> list[Finding]:
    """A chain that changes between a unit's links and those of `*` more than once ends in the middle.

    Looked at once for all members that hold the same and are held by none: a bank's ten thousand agents are one.
    """
    held: dict[str, set[tuple[str, str]]] = {}
    for row in links:
        held.setdefault(row.columns[0], set()).add((row.columns[1], row.columns[2]))
    targets = {row.columns[1] for row in links}
    alike: dict[frozenset[tuple[str, str]], str] = {}
    kept = {m for m in held if m in targets or alike.setdefault(frozenset(held[m]), m) == m}
    graph = RoleGraph((m, role, unit) for m in held if m in kept for role, unit in held[m])
    everywhere: Arrows = {}
    within: dict[str, Arrows] = {}
    first: dict[str, int] = {}
    for row in links:
        member, role, unit = row.columns
        if unit != ANYWHERE:
            first.setdefault(unit, row.line)
        if member in kept:
            arrows = everywhere if unit == ANYWHERE else within.setdefault(unit, {})
            arrows.setdefault(member, []).append(role)
    backwards = _turned(everywhere)
    findings = []
    for unit, own in sorted(within.items()):
        # Only who reaches one of the unit's own links can have such a chain.
        for member in sorted(_reached(own, backwards, _turned(own))):
            if _reached([member], everywhere, own) != graph.effective(member, unit):
                findings.append(
                    error(
                        POLICY_FILE,
                        first[unit],
                        f"a chain from `{member}` goes in and out of `{unit}`",
                        "Casbin asks within one unit at a time and would not follow it",
                        "Link the roles of the chain with `*`",
                        rule="role-chain-cut",
                    )
                )
    return findings


def _turned(arrows: Arrows) -> Arrows:
    turned: Arrows = {}
    for member, roles in arrows.items():
        for role in roles:
            turned.setdefault(role, []).append(member)
    return turned


def _reached(names: Iterable[str], *arrows: Arrows) -> frozenset[str]:
    """What is reached along arrows of any of these kinds, the names themselves included."""
    seen = set(names)
    edge = list(seen)
    while edge:
        following = {far for name in edge for kind in arrows for far in kind.get(name, ())}
        edge = list(following - seen)
        seen.update(edge)
    return frozenset(seen)

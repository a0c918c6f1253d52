"""Beside the request path: holds the `g` rows, alone and together, before anyone gets a role by them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.policy.finding import Finding, error
from gateway.policy.roles import MAX_CHAIN, RoleGraph, longest_chain
from gateway.policy.source import POLICY_FILE, Row
from gateway.policy.vocabulary import Vocabulary
from gateway.words.principal import ANYWHERE

_MEMBER = re.compile(r"(?:app|system):[a-z][a-z0-9_-]*\Z|person:[^\s,#]+#[^\s,#]+\Z")


def hold_links(rows: Sequence[Row], vocabulary: Vocabulary) -> list[Finding]:
    """Gives what is wrong with the links: names, units, cycles, length, and chains that Casbin would silently cut."""
    links = [row for row in rows if row.kind == "g" and len(row.columns) == 3]
    findings = [finding for row in links for finding in _names(row, vocabulary)]
    depth, cycle = longest_chain((row.columns[0], row.columns[1]) for row in links)
    if cycle is not None:
        line = next(row.line for row in links if row.columns[0] == cycle)
        findings.append(
            error(
                POLICY_FILE, line, f"`{cycle}` inherits from itself", "Roles become one", "Break the circle"
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
            )
        )
        return findings
    return findings + _cut(links)


def _names(row: Row, vocabulary: Vocabulary) -> list[Finding]:
    member, role, unit = row.columns
    findings = []
    if role not in vocabulary.roles:
        findings.append(
            error(POLICY_FILE, row.line, f"unknown role `{role}`", "It would give nothing", "Declare it")
        )
    if member.startswith("role:"):
        if member not in vocabulary.roles:
            findings.append(
                error(POLICY_FILE, row.line, f"unknown role `{member}`", "Nobody would have it", "Declare it")
            )
    elif not _MEMBER.match(member):
        findings.append(
            error(
                POLICY_FILE,
                row.line,
                f"`{member}` is neither a role, a person, an application nor a system principal",
                "Whoever is named like it would get the role",
                "Write role:…, person:issuer#subject, app:… or system:…",
            )
        )
    if unit != ANYWHERE and unit not in vocabulary.units:
        findings.append(
            error(
                POLICY_FILE,
                row.line,
                f"unknown unit `{unit}`",
                "The role is held nowhere",
                "Declare it or `*`",
            )
        )
    return findings


def _cut(links: Sequence[Row]) -> list[Finding]:
    """A chain that changes between a unit's links and those of `*` more than once ends in the middle."""
    triples = [(row.columns[0], row.columns[1], row.columns[2]) for row in links]
    graph = RoleGraph(triples)
    units = sorted({unit for _member, _role, unit in triples} - {ANYWHERE})
    everywhere = [(member, role, ANYWHERE) for member, role, unit in triples if unit == ANYWHERE]
    findings = []
    for unit in units:
        own = [row for row in links if row.columns[2] == unit]
        flat = RoleGraph([*everywhere, *((row.columns[0], row.columns[1], ANYWHERE) for row in own)])
        for member in {row.columns[0] for row in links}:
            if flat.effective(member, ANYWHERE) != graph.effective(member, unit):
                findings.append(
                    error(
                        POLICY_FILE,
                        own[0].line,
                        f"a chain from `{member}` goes in and out of `{unit}`",
                        "Casbin asks within one unit at a time and would not follow it",
                        "Link the roles of the chain with `*`",
                    )
                )
    return findings

"""Beside the request path: policies/vocabulary.yaml, the names that a policy may use, and its clock.

Casbin believes every name; a role or unit written wrong is then a rule that never matches. Here names are declared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.policy.condition import SUBJECT_NAMES, valid_fact_name
from gateway.policy.finding import Finding, error
from gateway.wire.yaml import Table, Unreadable, line_of, plain, read

FILE = "vocabulary.yaml"
_SECTIONS = frozenset({"clock", "purposes", "roles", "units", "attributes"})
_PURPOSE = re.compile(r"(?!none\Z)[a-z][a-z0-9_-]{0,40}\Z")
_ROLE = re.compile(r"role:[a-z][a-z0-9_-]{0,60}\Z")
_UNIT = re.compile(r"[a-z]+:[a-z][a-z0-9_-]{0,60}\Z")
_OFFSET = re.compile(r"UTC(?:([+-])(\d\d):(\d\d))?\Z")
_NOT_UNITS = ("role:", "person:", "app:", "system:", "show:", "set:")
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Names with their labels by language (`zh`, `en`), and the zone of `r.env`. attributes: what `r.sub` may be asked for."""

    purposes: Mapping[str, Labels]
    roles: Mapping[str, Labels]
    units: Mapping[str, Labels]
    attributes: frozenset[str]
    zone: tzinfo


def parse_vocabulary(text: str) -> tuple[Vocabulary | None, list[Finding]]:
    """Gives the vocabulary, or None and what is wrong with it."""
    try:
        document = plain(read(text))
    except Unreadable as exc:
        return None, [
            error(FILE, exc.line, exc.what, "No name would be known", exc.do, rule="vocabulary-unreadable")
        ]
    if not isinstance(document, Table):
        return None, [
            error(
                FILE,
                1,
                "it is empty or no mapping",
                "No name would be known",
                "Restore the file",
                rule="vocabulary-unreadable",
            )
        ]
    findings = [
        error(
            FILE,
            line_of(document, key),
            f"unknown section `{key}`",
            "It would say nothing",
            "Remove it",
            rule="vocabulary-section",
        )
        for key in document
        if key not in _SECTIONS
    ]
    vocabulary = Vocabulary(
        purposes=_names(document, "purposes", _PURPOSE, findings),
        roles=_names(document, "roles", _ROLE, findings),
        units=_names(document, "units", _UNIT, findings),
        attributes=_attributes(document, findings),
        zone=_zone(document, findings),
    )
    return (None if findings else vocabulary), findings


def _names(
    document: Table, section: str, shape: re.Pattern[str], findings: list[Finding]
) -> dict[str, Labels]:
    named = document.get(section)
    if not isinstance(named, Table) or not named:
        findings.append(
            error(
                FILE,
                line_of(document, section),
                f"`{section}` names nothing",
                "No rule fits",
                "Name them",
                rule="vocabulary-section",
            )
        )
        return {}
    made: dict[str, Labels] = {}
    for name, labels in named.items():
        if (
            not isinstance(name, str)
            or not shape.match(name)
            or (section == "units" and name.startswith(_NOT_UNITS))
        ):
            where = line_of(named, name)
            findings.append(
                error(
                    FILE,
                    where,
                    f"`{name}` is no name for {section}",
                    "It could be taken for another",
                    "Rename",
                    rule="vocabulary-name",
                )
            )
        elif not isinstance(labels, Table) or set(labels) != {"zh", "en"}:
            where = line_of(named, name)
            findings.append(
                error(
                    FILE,
                    where,
                    f"`{name}` lacks labels",
                    "It would be shown bare",
                    "Give zh and en",
                    rule="vocabulary-labels",
                )
            )
        else:
            made[name] = {"zh": str(labels["zh"]), "en": str(labels["en"])}
    return made


def _attributes(document: Table, findings: list[Finding]) -> frozenset[str]:
    listed = document.get("attributes", [])
    if not isinstance(listed, list) or not all(
        isinstance(name, str) and valid_fact_name(name) and name not in SUBJECT_NAMES for name in listed
    ):
        where = line_of(document, "attributes")
        findings.append(
            error(
                FILE,
                where,
                "`attributes` is no list of names",
                "Conditions would fail",
                "List the names",
                rule="vocabulary-attributes",
            )
        )
        return frozenset()
    return frozenset(listed)


def _zone(document: Table, findings: list[Finding]) -> tzinfo:
    text = document.get("clock")
    offset = _OFFSET.match(text) if isinstance(text, str) else None
    if offset is not None:
        if offset[1] is None:
            return UTC
        span = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        if span < timedelta(hours=24):
            return timezone(-span if offset[1] == "-" else span)
    elif isinstance(text, str):
        try:
            return ZoneInfo(text)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass  # said below: the same finding as for a clock that is no text
    where = line_of(document, "clock")
    findings.append(
        error(
            FILE,
            where,
            "`clock` is no time zone known here",
            "Hours would be another's",
            "Write `UTC+08:00`",
            rule="vocabulary-clock",
        )
    )
    return UTC

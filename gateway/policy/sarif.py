"""Beside the request path: a review as SARIF 2.1.0 (OASIS), which code hosts and editors show beside the lines of a change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gateway.policy.finding import Finding
from gateway.policy.kinds import KINDS, Kind
from gateway.policy.review import Review

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
BASE = "POLICIES"
_HELP = "docs/policy.md"


def sarif(found: Review, folder: Path, version: str) -> Mapping[str, Any]:
    """Gives one run: every kind of finding as a rule, in a fixed order, and each finding as a result with its file and line.

    Files are named from the folder on, which stands once, as their base.
    """
    rules = list(KINDS)
    root = folder.resolve().as_uri()
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "gatehouse policy check",
                "semanticVersion": version,
                "rules": [_rule(rule, KINDS[rule]) for rule in rules],
            }
        },
        "originalUriBaseIds": {BASE: {"uri": root if root.endswith("/") else f"{root}/"}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, rules) for finding in found.findings],
        "properties": {
            "engine": found.engine,
            "rules": found.rules,
            "decided": found.decided,
            "covered": found.covered,
        },
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: str, kind: Kind) -> Mapping[str, Any]:
    return {
        "id": rule,
        "shortDescription": {"text": _sentence(kind.meaning)},
        "fullDescription": {"text": f"{_sentence(kind.meaning)} {_sentence(kind.would_have)}"},
        "help": {"text": f"{_sentence(kind.do)} {_HELP} has the table of all findings."},
        "defaultConfiguration": {"level": kind.severity.value},
    }


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _result(finding: Finding, rules: list[str]) -> Mapping[str, Any]:
    said = [text for text in (finding.what, finding.would_have, finding.suggestion) if text]
    place = {
        # 3.4.4: relative to the base, and a reference as RFC 3986 writes it.
        "artifactLocation": {"uri": quote(finding.file), "uriBaseId": BASE},
        "region": {"startLine": max(finding.line, 1)},
    }
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": finding.severity.value,
        "message": {"text": ". ".join(text.removesuffix(".") for text in said) + "."},
        "locations": [{"physicalLocation": place}],
    }
    if finding.rule in rules:
        result["ruleIndex"] = rules.index(finding.rule)
    return result

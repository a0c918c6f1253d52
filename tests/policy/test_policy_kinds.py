"""Every kind of finding has an id that stays, and stands in docs/policy.md as in the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from gateway.policy.finding import Severity
from gateway.policy.kinds import KINDS
from gateway.policy.literals import Fault
from gateway.policy.portable import SPOKEN

ROOT = Path(__file__).parents[2]
MADE = {"error": Severity.ERROR, "warning": Severity.WARNING, "note": Severity.NOTE}
# Made with an id that is put together: `unknown-{what}`, or taken from a literal's fault.
TOGETHER = {f"unknown-{what}" for what in ("role", "unit", "purpose", "resource", "action", "field", "class")}
PORTABLE = set(SPOKEN)
ELSEWHERE = {Fault("", "").rule, "mixed-scripts", "catalogue", *TOGETHER, *PORTABLE}


def made() -> Iterator[tuple[str, Severity, str | None]]:
    """Each place that makes a finding: where, of which severity, with which id (None: worked out there, "": none given)."""
    for path in sorted((ROOT / "gateway" / "policy").rglob("*.py")):
        if path.name == "finding.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            if called.lstrip("_") not in MADE:
                continue
            given = next((k.value for k in node.keywords if k.arg == "rule"), ast.Constant(""))
            rule = str(given.value) if isinstance(given, ast.Constant) else None
            yield f"{path.name}:{node.lineno}", MADE[called.lstrip("_")], rule


def test_every_finding_is_made_with_the_id_of_its_kind() -> None:
    found = list(made())
    assert len(found) > 60
    assert [where for where, _severity, rule in found if rule == ""] == []
    wrong = [
        (where, rule) for where, severity, rule in found if rule and KINDS[rule].severity is not severity
    ]
    assert wrong == []


def test_every_kind_is_made_somewhere() -> None:
    assert {rule for _where, _severity, rule in made() if rule} | ELSEWHERE == set(KINDS)


def test_an_id_is_a_name_and_its_texts_are_sentences_without_their_ends() -> None:
    for rule, kind in KINDS.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule)
        for text in (kind.meaning, kind.would_have, kind.do):
            assert text == text.strip()
            assert not text.endswith(".")


def test_the_page_has_the_table_of_all_kinds() -> None:
    page = (ROOT / "docs" / "policy.md").read_text()
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (error|warning|note) \| (.+) \| (.+) \| (.+) \|$", page, re.M)
    wanted = [(rule, kind.severity, kind.meaning, kind.would_have, kind.do) for rule, kind in KINDS.items()]
    assert [tuple(text.replace("\\|", "|") for text in row) for row in rows] == wanted

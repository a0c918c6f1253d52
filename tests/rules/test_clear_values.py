"""Clear values have one way out and few ways in: this test reads the source for any other."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent.parent / "gateway"
MAKES_VIEWS = {"fields/lens.py"}
# Bytes that nobody reads: who makes them of an upstream's answer, and who puts them into one of ours.
HANDLES_BYTES = {"Content": {"upstream/content.py"}, "attachment": {"gate.py"}}
LOOKS_INTO_DRAFTS = {"fields/lens.py", "catalogue/facts.py"}


def calls(tree: ast.AST) -> list[str]:
    """What is called (the last part of a dotted name), attributes of others, called or passed on, and new names for View."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not (
            isinstance(node.value, ast.Name) and node.value.id == "self"
        ):
            found.append("." + node.attr)
        if isinstance(node, ast.Call):
            target = node.func
            found.append(target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", ""))
        if isinstance(node, ast.ImportFrom):
            found += [alias.name for alias in node.names if alias.name == "View" and alias.asname]
    return found


def offenders(source: dict[str, str]) -> set[tuple[str, str]]:
    found = set()
    for name, text in source.items():
        names = calls(ast.parse(text))
        if "View" in names and name not in MAKES_VIEWS:
            found.add((name, "View"))
        found |= {
            (name, word) for word, rooms in HANDLES_BYTES.items() if word in names and name not in rooms
        }
        if {".inside", "._document"} & set(names) and name not in LOOKS_INTO_DRAFTS | {"words/draft.py"}:
            found.add((name, "inside"))
    return found


def sources() -> dict[str, str]:
    return {str(p.relative_to(SOURCE)): p.read_text() for p in SOURCE.rglob("*.py")}


def test_only_the_lens_makes_views_and_only_two_rooms_look_into_drafts() -> None:
    assert offenders(sources()) == set()


def test_bytes_that_nobody_reads_have_one_maker_and_one_way_out() -> None:
    found = {
        word: {name for name, text in sources().items() if word in calls(ast.parse(text))}
        for word in HANDLES_BYTES
    }
    assert found == HANDLES_BYTES
    planted = {
        "a.py": "from gateway.words import answer\nanswer.Content(200, b'x')",
        "b.py": "reply = attachment(x, y, z)",
    }
    assert offenders(planted) == {("a.py", "Content"), ("b.py", "attachment")}


def test_the_lens_is_found_doing_both() -> None:
    names = calls(ast.parse(sources()["fields/lens.py"]))
    assert "View" in names
    assert ".inside" in names


def test_other_makers_and_readers_are_found() -> None:
    planted = {
        "a.py": "from gateway.words.record import View\nView(ref=1)",
        "b.py": "from gateway.words import record\nrecord.View(ref=1)",
        "c.py": "print(draft.inside())",
        "d.py": "look = draft.inside\nlook()",
        "e.py": "draft._document",
        "g.py": "from gateway.words.record import View as Other",
        "f.py": "x: View\nFieldView({})",
    }
    assert offenders(planted) == {
        ("a.py", "View"),
        ("b.py", "View"),
        ("g.py", "View"),
        ("c.py", "inside"),
        ("d.py", "inside"),
        ("e.py", "inside"),
    }

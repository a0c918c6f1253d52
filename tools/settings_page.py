"""Writes docs/settings.md from the one table of settings in code."""

from collections.abc import Iterable
from pathlib import Path

from gateway import settings


def render(rows: Iterable[tuple[str, str, str, str]]) -> str:
    """Gives the page."""
    lines = [
        "# Settings",
        "",
        "Environment variables, read once at the start. One that is not in this table refuses to start and names the nearest. Made from",
        "`gateway/settings.py` by `tools/settings_page.py`; a test compares both.",
        "",
        "| variable | default | unit | effect |",
        "| --- | --- | --- | --- |",
    ]
    for name, default, unit, effect in rows:
        shown = f"`{default}`" if default else ""
        lines.append(f"| `{name}` | {shown} | {unit} | {effect} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (Path(__file__).resolve().parent.parent / "docs" / "settings.md").write_text(render(settings.table()))

"""Writes docs/settings.md and gatehouse.toml.example from the one table of settings in code."""

from pathlib import Path

from gateway import settings, settings_page

ROOT = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    (ROOT / "docs" / "settings.md").write_text(settings_page.page(settings.table()))
    (ROOT / "gatehouse.toml.example").write_text(settings_page.example(settings.table()))

"""The table of layers names every part of the gateway, and no part that is not there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = re.search(r"^## Layers\n(.*?)(?=^## )", (ROOT / "docs" / "architecture.md").read_text(), re.M | re.S)


def test_the_table_of_layers_names_every_module_and_every_package() -> None:
    assert TABLE is not None
    rows = [line for line in TABLE[1].splitlines() if line.startswith("| ")]
    named = {
        name.removeprefix("gateway/").removesuffix("/")
        for name in re.findall(r"`([\w./]+)`", "\n".join(rows))
    }
    modules = {path.name for path in (ROOT / "gateway").glob("*.py") if path.name != "__init__.py"}
    packages = {path.parent.name for path in (ROOT / "gateway").glob("*/__init__.py")}
    assert sorted((modules | packages) - named) == []
    assert sorted(name for name in named if name.endswith(".py") and name not in modules) == []

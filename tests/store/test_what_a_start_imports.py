"""A start pays only for what it uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_start_on_sqlite_imports_nothing_that_only_others_need() -> None:
    heavy = "{'sqlalchemy.orm', 'sqlalchemy.ext.asyncio', 'aiosqlite', 'alembic', 'asyncpg'}"
    asked = f"import sys, gateway.serving; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

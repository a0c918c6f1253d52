"""A start pays only for what it uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_start_on_sqlite_imports_nothing_that_only_others_need() -> None:
    heavy = "{'sqlalchemy.orm', 'sqlalchemy.ext.asyncio', 'aiosqlite', 'alembic', 'asyncpg', 'opentelemetry', 'requests', 'litestar'}"
    asked = f"import sys, gateway.serving; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_start_does_not_look_for_garbage_in_what_it_is_loading() -> None:
    asked = (
        "import gc, sys, gateway.cli\n"
        "sys.argv = ['gatehouse', '--version']\n"
        "try: gateway.cli.main()\n"
        "except SystemExit: print(gc.get_threshold()[0])"
    )
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) >= 100_000

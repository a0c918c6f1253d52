"""A folder for files that are written anew by every example."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")

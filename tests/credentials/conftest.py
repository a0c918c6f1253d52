"""One process with a desk, on real stores."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.credentials.desk_house import Desks, open_desks


@pytest.fixture
async def desks(tmp_path: Path) -> AsyncIterator[Desks]:
    async with open_desks(tmp_path / "home") as desks:
        yield desks

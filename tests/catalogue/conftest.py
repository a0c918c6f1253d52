"""One catalogue for the tests that only ask it."""

from __future__ import annotations

import pytest

from gateway.catalogue import Catalogue
from tests.catalogue.builders import shop


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    return shop(tmp_path_factory.mktemp("catalogue"))

"""One installation per test, on a real SQLite file in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.consent_service.world import World, open_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = open_world(tmp_path / "data")
    yield made
    made.service.close()

"""One door for the whole run, and a tenant for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.serve_app.house import House, Studio


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    built = House(tmp_path_factory.mktemp("door"))
    yield built
    built.close()


@pytest.fixture
def studio(house: House) -> Studio:
    return house.studio()
